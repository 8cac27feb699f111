"""Text compared by lines, other files by bytes, and SVG, PDF and Office documents without their timestamps."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable

import msgspec

from ...codec import Difference
from ...codec.differences import PLACE, WHITE_SPACE, white_space_note
from .pair import ByteSource, Pair, UnreadableError, first_unlike

_SHOWN = 80
_SAMPLE_BYTES = 1 << 16
_LONGEST_LINE = 1 << 16
# Longer files are compared with the strings that are specific to a run.
_STEADIED_BYTES = 64 << 20


def compare_plain(pair: Pair, note: str = "") -> list[Difference]:
    """Return the first differing line of two texts, or the first differing byte of other files.

    `note` is the reason why the files were not compared by their format.
    """
    at = first_unlike(pair.a.data, pair.b.data)
    if at is None:
        return []
    compare = _compare_lines if all(_is_text(side) for side in pair.sides) else _compare_bytes
    steady = _steady_sides(pair)
    if steady is None:
        return [compare(pair, at, note)]
    at_content = first_unlike(*(side.data for side in steady))
    if at_content is None:
        return [msgspec.structs.replace(compare(pair, at, note), equal=True, note=PLACE)]
    pair = Pair(pair.name, *steady, numbers=pair.numbers, compare=_refuse, path=pair.path)
    return [compare(pair, at_content, note)]


def _steady_sides(pair: Pair) -> list[ByteSource] | None:
    """Return both sides in the form in which they are compared, or None if that is the unchanged form."""
    if not pair.numbers.has_places or max(map(len, pair.sides)) > _STEADIED_BYTES:
        return None
    texts = [side.bytes().decode("utf-8", "surrogateescape") for side in pair.sides]
    steady = [pair.numbers.steady(text, i) for i, text in enumerate(texts)]
    if steady == texts:
        return None
    return [ByteSource(text.encode("utf-8", "surrogateescape")) for text in steady]


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
    ours, theirs = lines
    if (
        ours is not None
        and theirs is not None
        and ours != theirs
        and white_space_note(ours, theirs)
    ):
        left, right = (ascii(text) for text in (left, right))
        note = note or WHITE_SPACE
    elif left == right:
        note = note or "the lines differ in their ends or in invisible characters"
    return Difference(path=pair.place(f"line {number}"), left=left, right=right, note=note)


def _count_lines(data: memoryview) -> int:
    step = 1 << 20
    return sum(bytes(data[i : i + step]).count(b"\n") for i in range(0, len(data), step))


def _line_start(data: memoryview, at: int) -> int:
    first = max(at - _LONGEST_LINE, 0)
    found = bytes(data[first:at]).rfind(b"\n")
    return first + found + 1


def _line(data: memoryview, start: int) -> str | None:
    """Return the line that begins at `start`, or None at the end of the file."""
    if start >= len(data):
        return None
    piece = bytes(data[start : start + 2 * _LONGEST_LINE])
    return piece.partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")


def _excerpt(line: str | None, column: int) -> str:
    """Return the line, shortened around the column of the difference."""
    if line is None:
        return "(end of file)"
    if len(line) <= _SHOWN:
        return line
    first = max(min(column - _SHOWN // 2, len(line) - _SHOWN), 0)
    shown = line[first : first + _SHOWN]
    return ("…" if first else "") + shown + ("…" if first + _SHOWN < len(line) else "")


def _compare_bytes(pair: Pair, at: int, note: str) -> Difference:
    shown = [
        f"{bytes(side.data[at : at + 8]).hex(' ') or '(end of file)'} of {len(side)} bytes"
        for side in pair.sides
    ]
    place = pair.place(f"byte {at}")
    return Difference(path=place, left=shown[0], right=shown[1], index=(at,), note=note)


# Metadata in which programs record the time of writing.
_OFFICE_TIMES = re.compile(
    rb"(?s)<(dcterms:created|dcterms:modified|cp:lastModifiedBy|cp:revision|meta:creation-date|dc:date)\b[^>]*>"
    rb"[^<]*</\1>"
)
_PDF_TIMES = re.compile(rb"/(?:CreationDate|ModDate) ?\([^)]*\)|/ID ?\[[^\]]*\]")
_SVG_IDS = re.compile(rb'\bid="([^"]+)"')
_SVG_REFERENCES = re.compile(rb'(id="|url\(#|href="#)([^")]+)')


def compare_office_xml(pair: Pair) -> Iterable[Difference]:
    """Compare the metadata of .xlsx, .docx or .odt files, ignoring timestamps."""
    return _compare_steadied(pair, lambda data: _OFFICE_TIMES.sub(b"", data))


def compare_pdf(pair: Pair) -> Iterable[Difference]:
    """Compare PDF files byte by byte, ignoring timestamps and the ids derived from them."""
    return _compare_steadied(pair, lambda data: _PDF_TIMES.sub(b"", data))


def compare_svg(pair: Pair) -> Iterable[Difference]:
    """Compare SVG files, ignoring dates; ids, which Matplotlib draws at random, are compared by position."""
    return _compare_steadied(pair, _steady_svg)


def _steady_svg(data: bytes) -> bytes:
    numbers = {name: b"%d" % i for i, name in enumerate(dict.fromkeys(_SVG_IDS.findall(data)))}
    data = _OFFICE_TIMES.sub(b"", data)
    return _SVG_REFERENCES.sub(lambda m: m[1] + numbers.get(m[2], m[2]), data)


def _compare_steadied(pair: Pair, steady: Callable[[bytes], bytes]) -> list[Difference]:
    pair.budget.take_bytes(len(pair.a) + len(pair.b))
    left, right = (ByteSource(steady(side.bytes())) for side in pair.sides)
    if left.data == right.data:
        return []
    return compare_plain(
        Pair(pair.name, left, right, numbers=pair.numbers, compare=_refuse, path=pair.path)
    )


def _refuse(pair: Pair) -> list[Difference]:
    raise UnreadableError("text cannot contain files")
