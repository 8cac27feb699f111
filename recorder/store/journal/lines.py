"""The lines of a journal: what is written for a document, and how it is read and checked.

A line is one JSON document, so that jq, DuckDB and pandas read the file::

    {"crc":"1a2b3c4d","table":"runs","id":12,"doc":{...}}     a document, in place of any earlier one
    {"crc":"1a2b3c4d","table":"runs","id":12,"doc":null}      it is removed
    {"crc":"1a2b3c4d","table":"runs","id":null,"doc":{}}      the table is there, and empty
    {"crc":"1a2b3c4d","table":"runs","id":null,"doc":null}    the table is dropped

`crc` is the CRC-32 (zlib's) of every byte behind its comma, up to the newline: it is checked without parsing
JSON, and finds every flip of a single bit. The keys stand in this order and without blanks.
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

_HEAD_BYTES = len('{"crc":"00000000",')
_KEYS = re.compile(
    rb'\{"crc":"([0-9a-f]{8})","table":("(?:[^"\\]|\\.)*"),"id":(-?\d+|null),"doc":', re.DOTALL
)
# Within a document's text a quote is escaped: this is the beginning of a line, or of a value made to look like one.
_BEGINNING = b'{"crc":"'
_DOC = b',"doc":'


class Line(NamedTuple):
    """A line that was read: where it stands in the file (bytes, newline included) and what it is about.

    `id` is None where the line is about the whole table; `gone` says that there is ``null`` for the document;
    `damage` is what is wrong with the line, "" for nothing, and then `table` and `id` are what can still be read.
    """

    offset: int
    size_bytes: int
    table: str = ""
    id: int | None = None
    gone: bool = False
    damage: str = ""


def make_line(table: str, id: int | None, doc: Mapping[str, Any] | None) -> bytes:
    """The line for a document, newline included. ValueError for a NaN, TypeError for what is no JSON."""
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
        raise ValueError(f"{_unsayable(value, 'it') or error}: JSON has no such number") from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _unsayable(value: Any, key: str) -> str:
    """The first number in the document that is none, with its dotted key; "" for none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{key} is {value}"
    if isinstance(value, Mapping):
        items = [(item, str(name)) for name, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(item, str(n)) for n, item in enumerate(value)]
    else:
        return ""
    prefix = "" if key == "it" else f"{key}."
    return next(filter(None, (_unsayable(item, prefix + name) for item, name in items)), "")


def read_document(line: bytes) -> dict[str, Any]:
    """The document of a whole line, newline included. ValueError where it is not as it was written."""
    data = _document_bytes(line)
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError:  # an integer beyond 64 bits, a lone surrogate
        document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("it holds no document")
    return document


def read_part(line: bytes, kind: type[_Part]) -> _Part:
    """The fields of the document that the struct `kind` has, several times as fast as all of them. ValueError."""
    try:
        return msgspec.json.decode(_document_bytes(line), type=kind)
    except msgspec.MsgspecError:  # a lone surrogate, or another kind of document
        try:
            return msgspec.convert(read_document(line), type=kind)
        except msgspec.MsgspecError as error:
            raise ValueError(f"it is of another kind: {error}") from error


def _document_bytes(line: bytes) -> bytes:
    if not _is_whole(line, 0, len(line) - 1):
        raise ValueError("its checksum does not match")
    # A quote inside the table's name is escaped, so that the first is the key's.
    return line[line.index(_DOC) + len(_DOC) : -2]


def read_lines(data: bytes, *, start: int) -> Iterator[Line]:
    """The whole lines in `data`, which stands at `start` in the file; a last one without newline is left."""
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
    """The line from `at` to its newline, None for one that is not whole."""
    keys = _KEYS.match(data, at, end)
    # (Written out, since opening a large journal is mostly this.)
    if keys is None or int(keys[1], 16) != zlib.crc32(data[at + _HEAD_BYTES : end]):
        return None
    first = keys.end()
    gone = end - first == 5 and data.startswith(b"null", first)
    return Line(start + at, end + 1 - at, *_parse_keys(keys[2], keys[3]), gone)


def _read_damaged(data: bytes, at: int, end: int, start: int) -> Iterator[Line]:
    """A damaged line, and those that were joined to it because a newline between them is damaged.

    A byte in place of a newline is reported for itself; the lines on both sides of it are whole.
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
                yield Line(start + stop, 1, damage="a byte in place of a newline")
        at = stop + 1


def _describe(data: bytes, at: int, end: int, start: int) -> Line:
    place = start + at, end + 1 - at
    keys = _KEYS.match(data, at, end)
    if keys is not None:
        table, id = _parse_keys(keys[2], keys[3])
        return Line(*place, table, id, damage="its checksum does not match")
    return Line(*place, damage="it does not begin as a line does")


def read_keys(line: bytes) -> tuple[str, int | None]:
    """The table and the id that a whole line is about. ValueError for what is none."""
    keys = _KEYS.match(line)
    if keys is None:
        raise ValueError("it does not begin as a line does")
    return _parse_keys(keys[2], keys[3])


def is_line(data: bytes) -> bool:
    """Whether `data` is a whole line but for its newline."""
    return _KEYS.match(data) is not None and _is_whole(data, 0, len(data))


@functools.lru_cache(maxsize=64)
def _parse_name(raw: bytes) -> str:
    try:
        return str(json.loads(raw))
    except ValueError:  # of a damaged line
        return raw.decode("utf-8", "replace")


def _parse_keys(name: bytes, id: bytes) -> tuple[str, int | None]:
    return _parse_name(name), None if id == b"null" else int(id)
