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

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

_HEAD = re.compile(rb'\{"crc":"([0-9a-f]{8})",')
_KEYS = re.compile(rb'"table":("(?:[^"\\]|\\.)*"),"id":(-?\d+|null),"doc":')
_HEAD_BYTES = len('{"crc":"00000000",')


class Line(NamedTuple):
    """A line that was read: where it stands in the file (bytes, newline included) and what it is about.

    `doc_at` is where the document's JSON begins in the file, `doc_bytes` its length; `gone` says that there
    is ``null`` for it; `damage` what is wrong with the line, "" for nothing.
    """

    offset: int
    size_bytes: int
    table: str = ""
    id: int | None = None
    doc_at: int = 0
    doc_bytes: int = 0
    gone: bool = False
    damage: str = ""


def make_line(table: str, id: int | None, doc: Mapping[str, Any] | None) -> bytes:
    """The line for a document, newline included. ValueError for a NaN, TypeError for what is no JSON."""
    body = (
        b'"table":'
        + encode_document(table)
        + b',"id":'
        + (b"null" if id is None else str(id).encode())
    )
    return seal(body + b',"doc":' + encode_document(doc) + b"}")


def seal(body: bytes) -> bytes:
    """A line from all that stands behind the crc."""
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body)


def encode_document(value: Any) -> bytes:
    """The JSON of a document as its line has it. ValueError for a NaN, TypeError for what is no JSON."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def decode_document(data: bytes) -> Any:
    """The document in its JSON."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:  # an integer beyond 64 bits, a lone surrogate
        return json.loads(data)


def read_lines(data: bytes, *, start: int) -> Iterator[Line]:
    """The whole lines in `data`, which stands at `start` in the file; a last one without newline is left."""
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        yield _read_line(data, at, end, start)
        at = end + 1


def _read_line(data: bytes, at: int, end: int, start: int) -> Line:
    place = start + at, end + 1 - at
    head = _HEAD.match(data, at, end)
    if head is None:
        return Line(*place, damage="it does not begin as a line does")
    keys = _KEYS.match(data, at + _HEAD_BYTES, end)
    table, id = ("", None) if keys is None else _parse_keys(keys)
    if zlib.crc32(memoryview(data)[at + _HEAD_BYTES : end]) != int(head[1], 16):
        return Line(*place, table, id, damage="its checksum does not match")
    if keys is None:
        return Line(*place, damage="it is no line of this format")
    first, size = keys.end(), end - 1 - keys.end()
    gone = data[first : end - 1] == b"null"
    return Line(*place, table, id, start + first, size, gone)


def _parse_keys(keys: re.Match[bytes]) -> tuple[str, int | None]:
    raw = keys[1]
    table = raw[1:-1].decode("utf-8", "replace") if b"\\" not in raw else str(json.loads(raw))
    return table, None if keys[2] == b"null" else int(keys[2])
