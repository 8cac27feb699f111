"""An index of a large journal beside it, ``runs.jsonl.index``: where its lines stand, so that opening reads them not.

Only a cache: it may be deleted, and is passed over unless the bytes that it is about have the digest that it says. A
journal that has changed other than by appending is read anew, line by line. (To digest 100,000 runs, on every core,
takes a twentieth of a second, to look at each of their lines a whole one.) Whoever has digested it gives the index the
journal's own time of modification: while that stays, nobody digests it again.

The file is a line of JSON, then for each table its ids, offsets and sizes, 64-bit integers of the machine's order.
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
from .view import OpenFile, TableIndex

_VERSION = 2
# Reading as much takes a hundredth of a second, and ten times as much a tenth.
WORTH_BYTES = 1 << 21
_WORTH_AT_MOST_BYTES = 1 << 24
_WORTH_SHARE = 16
# So long after it was written to, another change of a file shows in its time.
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
    """What the index is about: the first `end` bytes, of that digest; the last line begins at `last_at`.

    `crc` is the CRC-32 of the head without it, and of what follows it; `live_bytes` is the size of the lines that
    count.
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
    """What is known of the first `end` bytes of a journal; `live_bytes` of them are lines that count."""

    end: int
    last_at: int
    live_bytes: int
    tables: dict[str, TableIndex]


def index_path(journal: Path) -> Path:
    """Where the index of the journal stands."""
    return journal.with_name(f"{journal.name}.index")


def read_index(file: OpenFile) -> Known | None:
    """What the index says, None where there is none, or it is about other bytes."""
    try:
        data = index_path(file.path).read_bytes()
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
    """Whether the journal begins with the bytes that the head is about."""
    path, state = index_path(file.path), file.state()
    if head.end > state.st_size:
        return False
    with contextlib.suppress(OSError):
        if path.stat().st_mtime_ns == state.st_mtime_ns:
            return True
    if _digest(file, head.end) != head.digest:
        return False
    if file.state().st_mtime_ns == state.st_mtime_ns < time.time_ns() - _TICK_NS:
        with contextlib.suppress(OSError):  # not ours to change
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return True


def is_worth_it(known_bytes: int, indexed_bytes: int) -> bool:
    """Whether an index of so much of a journal would spare its readers enough that one of less does not."""
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
    """Write the index for the next to open the journal; where that cannot be, they read its lines."""
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
        os.utime(staged, ns=(0, 0))  # no journal's time, before one has been looked at in peace
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
    # Half of what reading takes is the copying. (What is mapped counts as this process's memory: a part at a time.)
    with contextlib.suppress(OSError, ValueError):  # a filesystem that maps none
        while at < size:
            length = min(_MAPPED_BYTES, size - at)
            with mmap.mmap(file.fd, length, access=mmap.ACCESS_READ, offset=at) as mapped:
                hasher.update(memoryview(mapped))
            at += length
    while at < size and (chunk := file.read(min(_CHUNK_BYTES, size - at), at)):
        hasher.update(chunk)
        at += len(chunk)
    return hasher.digest()
