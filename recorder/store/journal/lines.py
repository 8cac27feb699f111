"""The lines of a journal: how they are written, read and verified.

Each line is a JSON document, so that jq, DuckDB and pandas can read the file::

    {"crc":"1a2b3c4d","table":"runs","id":12,"doc":{...}}     a document, which replaces any earlier one
    {"crc":"1a2b3c4d","table":"runs","id":12,"doc":null}      the document is removed
    {"crc":"1a2b3c4d","table":"runs","id":null,"doc":{}}      the table exists and is empty
    {"crc":"1a2b3c4d","table":"runs","id":null,"doc":null}    the table is dropped

`crc` is the CRC-32 (zlib) of all bytes after the comma that follows it, up to the newline. It can be verified without
parsing JSON, and detects every single flipped bit. The keys are in this order, without spaces.
"""

from __future__ import annotations

import functools
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

_Part = TypeVar("_Part")

# Kinds of damage that lose no complete line.
NEWLINE = "its newline was overwritten"
INCOMPLETE = "it is incomplete"

_HEAD_BYTES = len('{"crc":"00000000",')
_KEYS = re.compile(
    rb'\{"crc":"([0-9a-f]{8})","table":("(?:[^"\\]|\\.)*"),"id":(-?\d+|null),"doc":', re.DOTALL
)
# Quotes in strings are escaped, so this is the beginning of a line, or of a nested object made to look like one.
_BEGINNING = b'{"crc":"'
_DOC = b',"doc":'


class Line(NamedTuple):
    """A line that was read: its position, its size (newline included), and the document that it concerns.

    `id` is None if the line concerns the whole table; `gone` is true if the document is ``null``. `damage` describes
    the damage, "" if there is none; of a damaged line, `table` and `id` are unverified.
    """

    offset: int
    size_bytes: int
    table: str = ""
    id: int | None = None
    gone: bool = False
    damage: str = ""

    @property
    def is_lost(self) -> bool:
        """True if the line was complete and its document cannot be read."""
        return self.damage not in ("", NEWLINE, INCOMPLETE)


def make_line(table: str, id: int | None, doc: Mapping[str, Any] | None) -> bytes:
    """Return the line for a document, newline included. Raises ValueError for NaN, TypeError if it is not JSON."""
    number = b"null" if id is None else b"%d" % id
    body = b'"table":%b,"id":%b,"doc":%b}' % (_encode(table), number, _encode(doc))
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body)


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _encode(value: Any) -> bytes:
    try:
        text = _encoder.encode(value)
    except ValueError as error:
        if not str(error).startswith("Out of range"):
            raise
        raise ValueError(f"{_non_finite(value, 'it') or error}: JSON has no such number") from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _non_finite(value: Any, key: str) -> str:
    """Return the dotted key and value of the first NaN or infinity in the document, "" if it has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{key} is {value}"
    if isinstance(value, Mapping):
        items = [(item, str(name)) for name, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(item, str(n)) for n, item in enumerate(value)]
    else:
        return ""
    prefix = "" if key == "it" else f"{key}."
    return next(filter(None, (_non_finite(item, prefix + name) for item, name in items)), "")


def read_document(line: bytes) -> dict[str, Any]:
    """Return the document of a line, newline included. Raises ValueError if the line is damaged."""
    data = _document_bytes(line)
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError:  # an integer beyond 64 bits, a lone surrogate
        document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("the line holds no document")
    return document


def read_part(line: bytes, kind: type[_Part]) -> _Part:
    """Decode only the fields of the struct `kind`, several times as fast as the whole document. Raises ValueError."""
    try:
        return msgspec.json.decode(_document_bytes(line), type=kind)
    except msgspec.MsgspecError:  # a lone surrogate, or another kind of document
        try:
            return msgspec.convert(read_document(line), type=kind)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the document has unexpected fields: {error}") from error


def _document_bytes(line: bytes) -> bytes:
    if not _is_whole(line, 0, len(line) - 1):
        raise ValueError("its checksum does not match")
    # Quotes in the table's name are escaped, so the first match is the key.
    return line[line.index(_DOC) + len(_DOC) : -2]


def read_lines(data: bytes, *, start: int) -> Iterator[Line]:
    """Yield the lines in `data`, which begins at offset `start` of the file; ignore a last one without a newline."""
    at, find = 0, data.find
    while (end := find(b"\n", at)) >= 0:
        line = _read_line(data, at, end, start)
        if line is None:
            yield from _read_damaged(data, at, end, start)
        else:
            yield line
        at = end + 1


def _is_whole(data: bytes, at: int, end: int) -> bool:
    return data[at + 8 : at + 16] == b"%08x" % zlib.crc32(data[at + _HEAD_BYTES : end])


def _read_line(data: bytes, at: int, end: int, start: int) -> Line | None:
    """Return the line from `at` to its newline at `end`, None if it is damaged."""
    keys = _KEYS.match(data, at, end)
    # `_is_whole` inlined: opening a large journal spends most of its time here.
    if keys is None or int(keys[1], 16) != zlib.crc32(data[at + _HEAD_BYTES : end]):
        return None
    first = keys.end()
    gone = end - first == 5 and data.startswith(b"null", first)
    return Line(start + at, end + 1 - at, *_parse_keys(keys[2], keys[3]), gone)


def _read_damaged(data: bytes, at: int, end: int, start: int) -> Iterator[Line]:
    """Yield a damaged line, and the lines joined to it because a newline between them is damaged.

    A damaged newline is a damaged line of one byte; the lines before and after it are intact.
    """
    while at <= end:
        following = data.find(_BEGINNING, at + 1, end)
        stop = end if following < 0 else following - 1
        line = _read_line(data, at, stop, start)
        if line is None:
            yield _describe(data, at, stop, start)
        else:
            yield line
            if stop != end:
                yield Line(start + stop, 1, damage=NEWLINE)
        at = stop + 1


def _describe(data: bytes, at: int, end: int, start: int) -> Line:
    place = start + at, end + 1 - at
    keys = _KEYS.match(data, at, end)
    if keys is not None:
        table, id = _parse_keys(keys[2], keys[3])
        return Line(*place, table, id, damage="its checksum does not match")
    return Line(*place, damage="it does not begin like a line")


def read_keys(line: bytes) -> tuple[str, int | None]:
    """Return the table and the id of a line. Raises ValueError if it does not begin like one."""
    keys = _KEYS.match(line)
    if keys is None:
        raise ValueError("it does not begin like a line")
    return _parse_keys(keys[2], keys[3])


def is_line(data: bytes) -> bool:
    """Return whether `data` is an intact line without its newline."""
    return _KEYS.match(data) is not None and _is_whole(data, 0, len(data))


@functools.lru_cache(maxsize=64)
def _parse_name(raw: bytes) -> str:
    try:
        return str(json.loads(raw))
    except ValueError:  # in a damaged line
        return raw.decode("utf-8", "replace")


def _parse_keys(name: bytes, id: bytes) -> tuple[str, int | None]:
    return _parse_name(name), None if id == b"null" else int(id)
