"""The index file of a large journal, ``runs.jsonl.index``: the positions of its lines, to open it without reading them.

The index is only a cache. It may be deleted, and it is ignored unless the indexed bytes have the recorded digest; a
journal that changed in any way but by appending is read again, line by line. Digesting the journal of 100,000 runs on
every core takes 0.05 s, reading each of its lines 1 s. After a successful comparison the index gets the modification
time of the journal; while the two times are equal, the digest is not computed again.

The file is a line of JSON, then for each table its ids, offsets and sizes as 64-bit integers in native byte order.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import time
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...digest import Hasher
from ..filesystem.disk import read_regular
from .view import OpenFile, TableIndex

_VERSION = 2
# Reading this much takes 0.01 s; ten times as much takes 0.1 s.
WORTH_BYTES = 1 << 21
_WORTH_AT_MOST_BYTES = 1 << 24
_WORTH_SHARE = 16
# The granularity of modification times: a write this long after another one changes the time.
_TICK_NS = 50_000_000
_CHUNK_BYTES = 1 << 23
_MAPPED_BYTES = 1 << 26
_COLUMNS = 3
_WORD_BYTES = array("q").itemsize


class _Table(msgspec.Struct, frozen=True):
    name: str
    last_id: int
    count: int


class _Head(msgspec.Struct, frozen=True):
    """The head of an index file: it covers the first `end` bytes of the journal, whose digest is `digest`.

    The last line begins at `last_at`; `crc` is the CRC-32 of the head (with crc = 0) and of the data after it;
    `live_bytes` is the total size of the current lines.
    """

    version: int
    order: str
    digest: str
    end: int
    last_at: int
    crc: int
    live_bytes: int
    tables: tuple[_Table, ...]


class Known(NamedTuple):
    """The positions of the lines in the first `end` bytes of a journal; `live_bytes` of them are current lines."""

    end: int
    last_at: int
    live_bytes: int
    tables: dict[str, TableIndex]


def index_path(journal: Path) -> Path:
    """Return the path of the index file of a journal."""
    return journal.with_name(f"{journal.name}.index")


def read_index(file: OpenFile) -> Known | None:
    """Read the index file; return None if there is none, or if it does not match the journal."""
    try:
        data = read_regular(index_path(file.path))
        line, _, body = data.partition(b"\n")
        head = msgspec.json.decode(line, type=_Head)
    except (OSError, msgspec.MsgspecError):
        return None
    words = sum(table.count for table in head.tables) * _COLUMNS
    is_ours = (head.version, head.order) == (_VERSION, sys.byteorder)
    is_whole = len(body) == words * _WORD_BYTES and _crc(head, body) == head.crc
    if not (is_ours and is_whole and _is_about(head, file)):
        return None
    tables = dict(_tables(head, memoryview(body)))
    return Known(head.end, head.last_at, head.live_bytes, tables)


def _is_about(head: _Head, file: OpenFile) -> bool:
    """Return whether the journal begins with the bytes that the index covers."""
    path, state = index_path(file.path), file.state()
    if head.end > state.st_size:
        return False
    with contextlib.suppress(OSError):
        if path.stat().st_mtime_ns == state.st_mtime_ns:
            return True
    if _digest(file, head.end) != head.digest:
        return False
    if file.state().st_mtime_ns == state.st_mtime_ns < time.time_ns() - _TICK_NS:
        with contextlib.suppress(OSError):  # the index of another user
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return True


def is_worth_it(known_bytes: int, indexed_bytes: int) -> bool:
    """Return whether a new index of `known_bytes` would save readers enough, compared with one of `indexed_bytes`."""
    worth = max(WORTH_BYTES, min(indexed_bytes // _WORTH_SHARE, _WORTH_AT_MOST_BYTES))
    return known_bytes - indexed_bytes >= worth


def _tables(head: _Head, body: memoryview) -> Iterator[tuple[str, TableIndex]]:
    words = body.cast("q")
    for table in head.tables:
        columns = [words[n * table.count : (n + 1) * table.count].tolist() for n in range(_COLUMNS)]
        words = words[_COLUMNS * table.count :]
        index = TableIndex()
        index.last_id = table.last_id
        index.places = dict(zip(columns[0], zip(columns[1], columns[2], strict=True), strict=True))
        yield table.name, index


def write_index(file: OpenFile, known: Known) -> None:
    """Write the index file; if that fails, the next reader reads the lines."""
    tables = tuple(
        _Table(name, index.last_id, len(index.places)) for name, index in known.tables.items()
    )
    body = b"".join(_columns(known))
    digest = _digest(file, known.end)
    head = _Head(
        _VERSION, sys.byteorder, digest, known.end, known.last_at, 0, known.live_bytes, tables
    )
    head = msgspec.structs.replace(head, crc=_crc(head, body))
    path = index_path(file.path)
    staged = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        staged.write_bytes(msgspec.json.encode(head) + b"\n" + body)
        os.utime(
            staged, ns=(0, 0)
        )  # unlike any journal's time, until a reader has compared the digest
        staged.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            staged.unlink()


def _crc(head: _Head, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(msgspec.json.encode(msgspec.structs.replace(head, crc=0))))


def _columns(known: Known) -> Iterator[bytes]:
    for index in known.tables.values():
        yield array("q", index.places).tobytes()
        for column in zip(*index.places.values(), strict=True):
            yield array("q", column).tobytes()


def _digest(file: OpenFile, size: int) -> str:
    hasher, at = Hasher(threads=True), 0
    # Copying takes half of the time of reading. Mapped in parts, since mapped pages count as memory of this process.
    with contextlib.suppress(OSError, ValueError):  # a filesystem without mmap
        while at < size:
            length = min(_MAPPED_BYTES, size - at)
            with mmap.mmap(file.fd, length, access=mmap.ACCESS_READ, offset=at) as mapped:
                hasher.update(memoryview(mapped))
            at += length
    while at < size and (chunk := file.read(min(_CHUNK_BYTES, size - at), at)):
        hasher.update(chunk)
        at += len(chunk)
    return hasher.digest()
