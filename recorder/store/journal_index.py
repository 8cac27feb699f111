"""An index of a large journal beside it, ``runs.jsonl.index``: where its lines stand, so that opening reads them not.

Only a cache: it may be deleted, and is passed over unless the bytes that it is about have the digest that it says. A
journal that has changed other than by appending is read anew, line by line. (To digest 100,000 runs, on every core,
takes a twentieth of a second, to look at each of their lines a whole one.)

The file is a line of JSON, then for each table its ids, offsets and sizes, 64-bit integers of the machine's order.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..digest import Hasher
from .journal_view import OpenFile, TableIndex

_VERSION = 1
# Reading as much takes a twentieth of a second.
WORTH_BYTES = 1 << 24
_CHUNK_BYTES = 1 << 23
_COLUMNS = 3
_WORD_BYTES = array("q").itemsize


class _Table(msgspec.Struct, frozen=True):
    name: str
    last_id: int
    count: int


class _Head(msgspec.Struct, frozen=True):
    """What the index is about: the first `end` bytes, of that digest; the last line begins at `last_at`.

    `crc` is the CRC-32 of what follows the head.
    """

    version: int
    order: str
    digest: str
    end: int
    last_at: int
    crc: int
    tables: tuple[_Table, ...]


class Known(NamedTuple):
    """What is known of the first `end` bytes of a journal."""

    end: int
    last_at: int
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
    is_whole = len(body) == words * _WORD_BYTES and zlib.crc32(body) == head.crc
    if (
        not (is_ours and is_whole)
        or head.end > file.state().st_size
        or _digest(file, head.end) != head.digest
    ):
        return None
    return Known(head.end, head.last_at, dict(_tables(head, memoryview(body))))


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
    digest, crc = _digest(file, known.end), zlib.crc32(body)
    head = _Head(_VERSION, sys.byteorder, digest, known.end, known.last_at, crc, tables)
    path = index_path(file.path)
    staged = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        staged.write_bytes(msgspec.json.encode(head) + b"\n" + body)
        staged.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            staged.unlink()


def _columns(known: Known) -> Iterator[bytes]:
    for index in known.tables.values():
        yield array("q", index.places).tobytes()
        for column in zip(*index.places.values(), strict=True):
            yield array("q", column).tobytes()


def _digest(file: OpenFile, size: int) -> str:
    hasher, at = Hasher(threads=True), 0
    while at < size and (chunk := file.read(min(_CHUNK_BYTES, size - at), at)):
        hasher.update(chunk)
        at += len(chunk)
    return hasher.digest()
