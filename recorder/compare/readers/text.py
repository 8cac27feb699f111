"""Text by lines, anything else by bytes; drawings and documents without the times that their writers put in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

from ...codec import Difference
from .pair import ByteSource, Pair, UnreadableError, first_unlike

_SHOWN = 80
_SAMPLE_BYTES = 1 << 16
_LONGEST_LINE = 1 << 16


def compare_plain(pair: Pair, note: str = "") -> list[Difference]:
    """The first line that differs, or for what is no text the first byte; `note` says why not by format."""
    at = first_unlike(pair.a.data, pair.b.data)
    if at is None:
        return []
    if all(_is_text(side) for side in pair.sides):
        return [_compare_lines(pair, at, note)]
    return [_compare_bytes(pair, at, note)]


def _is_text(side: ByteSource) -> bool:
    sample = bytes(side.data[:_SAMPLE_BYTES])
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(sample) == len(side))
    except UnicodeDecodeError:
        return False
    return b"\0" not in sample


def _compare_lines(pair: Pair, at: int, note: str) -> Difference:
    number = _count_lines(pair.a.data[:at]) + 1
    starts = [_line_start(side.data, at) for side in pair.sides]
    lines = [_line(side.data, start) for side, start in zip(pair.sides, starts, strict=True)]
    column = at - starts[0]
    left, right = (_excerpt(line, column) for line in lines)
    if left == right:
        note = note or "the lines end otherwise, or differ in what cannot be seen"
    return Difference(path=pair.place(f"line {number}"), left=left, right=right, note=note)


def _count_lines(data: memoryview) -> int:
    step = 1 << 20
    return sum(bytes(data[i : i + step]).count(b"\n") for i in range(0, len(data), step))


def _line_start(data: memoryview, at: int) -> int:
    first = max(at - _LONGEST_LINE, 0)
    found = bytes(data[first:at]).rfind(b"\n")
    return first + found + 1


def _line(data: memoryview, start: int) -> str | None:
    """The line that begins there, None at the end of the text."""
    if start >= len(data):
        return None
    piece = bytes(data[start : start + 2 * _LONGEST_LINE])
    return piece.partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")


def _excerpt(line: str | None, column: int) -> str:
    """The line, shortened around the place in which it differs."""
    if line is None:
        return "(its end)"
    if len(line) <= _SHOWN:
        return line
    first = max(min(column - _SHOWN // 2, len(line) - _SHOWN), 0)
    shown = line[first : first + _SHOWN]
    return ("…" if first else "") + shown + ("…" if first + _SHOWN < len(line) else "")


def _compare_bytes(pair: Pair, at: int, note: str) -> Difference:
    shown = [
        f"{bytes(side.data[at : at + 8]).hex(' ') or '(its end)'} of {len(side)} bytes"
        for side in pair.sides
    ]
    place = pair.place(f"byte {at}")
    return Difference(path=place, left=shown[0], right=shown[1], index=(at,), note=note)


# What programs write into a file about the moment in which they wrote it.
_OFFICE_TIMES = re.compile(
    rb"(?s)<(dcterms:created|dcterms:modified|cp:lastModifiedBy|cp:revision|meta:creation-date|dc:date)\b[^>]*>"
    rb"[^<]*</\1>"
)
_PDF_TIMES = re.compile(rb"/(?:CreationDate|ModDate) ?\([^)]*\)|/ID ?\[[^\]]*\]")
_SVG_IDS = re.compile(rb'\bid="([^"]+)"')
_SVG_REFERENCES = re.compile(rb'(id="|url\(#|href="#)([^")]+)')


def compare_office_xml(pair: Pair) -> Iterable[Difference]:
    """The description inside .xlsx, .docx or .odt: XML whose times do not count."""
    return _compare_steadied(pair, lambda data: _OFFICE_TIMES.sub(b"", data))


def compare_pdf(pair: Pair) -> Iterable[Difference]:
    """A PDF, whose times and the identity made of them do not count; what is packed inside is compared as bytes."""
    return _compare_steadied(pair, lambda data: _PDF_TIMES.sub(b"", data))


def compare_svg(pair: Pair) -> Iterable[Difference]:
    """A drawing: its date does not count, and ids (drawn at random by Matplotlib) only as what they refer to."""
    return _compare_steadied(pair, _steady_svg)


def _steady_svg(data: bytes) -> bytes:
    numbers = {name: b"%d" % i for i, name in enumerate(dict.fromkeys(_SVG_IDS.findall(data)))}
    data = _OFFICE_TIMES.sub(b"", data)
    return _SVG_REFERENCES.sub(lambda m: m[1] + numbers.get(m[2], m[2]), data)


def _compare_steadied(pair: Pair, steady: object) -> list[Difference]:
    assert callable(steady)
    pair.budget.take_bytes(len(pair.a) + len(pair.b))
    left, right = (ByteSource(steady(side.bytes())) for side in pair.sides)
    if left.data == right.data:
        return []
    return compare_plain(
        Pair(pair.name, left, right, numbers=pair.numbers, compare=_refuse, path=pair.path)
    )


def _refuse(pair: Pair) -> list[Difference]:
    raise UnreadableError("text contains no files")
