"""CSV and TSV files, compared cell by cell, and the comparison of tables of rows."""

from __future__ import annotations

import csv
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain, zip_longest
from typing import Any, BinaryIO

from ...codec import Difference, Numbers, same_number
from ...codec.differences import ONLY_NOISE, PLACE, WHITE_SPACE, excerpts, white_space_note
from .pair import Pair, UnreadableError

_SHOWN = 60
_NAME = re.compile(r"[+-]?0[0-9]")
Row = Sequence[Any]
# Converts a cell to the value to compare.
Typed = Callable[[Any], Any]


def compare_csv(pair: Pair) -> Iterable[Difference]:
    """Compare two files of comma-separated values."""
    return _compare_delimited(pair, ",")


def compare_tsv(pair: Pair) -> Iterable[Difference]:
    """Compare two files of tab-separated values."""
    return _compare_delimited(pair, "\t")


def _compare_delimited(pair: Pair, delimiter: str) -> list[Difference]:
    if any(b"\0" in bytes(side.data[: 1 << 16]) for side in pair.sides):
        raise UnreadableError("the file is not text")
    with pair.a.open() as left, pair.b.open() as right:
        return _compare_streams(pair, *(_rows(stream, delimiter) for stream in (left, right)))


def _rows(stream: BinaryIO, delimiter: str) -> Iterator[list[str]]:
    text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    return csv.reader(text, delimiter=delimiter, strict=True)


def _compare_streams(
    pair: Pair, left: Iterator[list[str]], right: Iterator[list[str]]
) -> list[Difference]:
    first, other = next(left, None), next(right, None)
    if first is None or other is None:
        raise UnreadableError("one of the files is empty")
    if first == other and not any(_is_number(cell) for cell in first):
        return compare_rows(pair, first, left, right, first_row=1, typed=typed_cell)
    names = [str(i) for i in range(max(len(first), len(other)))]
    return compare_rows(pair, names, chain([first], left), chain([other], right), typed=typed_cell)


def _is_number(cell: str) -> bool:
    return not isinstance(typed_cell(cell), str)


@functools.lru_cache(maxsize=1 << 16)
def typed_cell(cell: str | None) -> int | float | str | None:
    """Return the number in a cell, or the string.

    Strings that only Python reads as numbers (1_000), identifiers with leading zeros (007), and numbers beyond the
    largest float remain strings.
    """
    if cell is None or "_" in cell or _NAME.match(cell):
        return cell
    for kind in (int, float):
        try:
            number = kind(cell)
        except ValueError:
            continue
        return cell if abs(number) == math.inf and "n" not in cell.lower() else number
    return cell


class _Column:
    """Accumulates over one column: first differing row, number of differences, largest errors, closeness."""

    def __init__(self, row: int, a: Any, b: Any) -> None:
        self.row, self.left, self.right = row, a, b
        self.count = 0
        self.abs_error: float | None = None
        self.rel_error: float | None = None
        self.close = True
        self.note: str | None = None

    @property
    def is_measured(self) -> bool:
        """Return True if all differences are between durations or rates."""
        return bool(self.note) and self.note != PLACE

    def add(self, a: Any, b: Any, numbers: Numbers, note: str) -> None:
        """Add a row in which the column differs; `note` is the reason if the difference is not content, or else ""."""
        self.count += 1
        self.note = note if self.note in (None, note) else ""
        if not (_is_numeric(a) and _is_numeric(b)):
            self.close = False
            return
        abs_error, rel_error, close = numbers.errors(a, b)
        self.abs_error = max(abs_error, self.abs_error or 0.0)
        self.rel_error = max(rel_error, self.rel_error or 0.0)
        self.close = self.close and close


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare_rows(
    pair: Pair,
    header: Sequence[str],
    left: Iterable[Row],
    right: Iterable[Row],
    *,
    first_row: int = 0,
    typed: Typed = lambda cell: cell,
    inside: str = "",
) -> list[Difference]:
    """Compare two tables: return one difference per column, at its first row, and one for missing rows.

    `header` names the columns, `first_row` is the number of the first row, `typed` converts cells to values, and
    `inside` is the name of the table in its file.
    """
    found: dict[int, _Column] = {}
    numbers = [pair.numbers.at(name) for name in header]
    lengths = [first_row, first_row]
    for i, (row, other) in enumerate(zip_longest(left, right), start=first_row):
        if row is not None:
            lengths[0] += 1
        if other is not None:
            lengths[1] += 1
        if row != other and row is not None and other is not None:
            _compare_row(found, i, row, other, typed, numbers, header, pair.numbers)
    differences = [
        _column_difference(pair, inside, header, j, column, max(lengths) - first_row)
        for j, column in sorted(found.items(), key=lambda item: (item[1].row, item[0]))
    ]
    if found and all(found[j].is_measured for j in found) and len(found) == len(header):
        differences.append(Difference(path=pair.place(inside), what="opaque", note=ONLY_NOISE))
    if lengths[0] != lengths[1]:
        sizes = [f"{n} rows" for n in lengths]
        place = pair.place(inside)
        differences.append(Difference(path=place, what="shape", left=sizes[0], right=sizes[1]))
    return differences


def _compare_row(
    found: dict[int, _Column],
    i: int,
    row: Row,
    other: Row,
    typed: Typed,
    numbers: list[Numbers],
    header: Sequence[str],
    whole: Numbers,
) -> None:
    for j, (cell, that) in enumerate(zip_longest(row, other)):
        if cell == that and type(cell) is type(that):
            continue
        a, b = typed(cell), typed(that)
        if _same(a, b):
            continue
        column = found.get(j)
        if column is None:
            column = found[j] = _Column(i, cell, that)
        note = _note(whole, header[j] if j < len(header) else "", a, b)
        column.add(a, b, numbers[j] if j < len(numbers) else Numbers(), note)


def _note(numbers: Numbers, name: str, a: Any, b: Any) -> str:
    """Return the reason why a difference between two cells is not content, or ""."""
    if isinstance(a, str) and isinstance(b, str) and numbers.same_text(a, b):
        return PLACE
    if not all(isinstance(cell, int | float | str) for cell in (a, b)):
        return ""
    return numbers.measure(name, a, b) if name else ""


def _same(a: Any, b: Any) -> bool:
    if _is_numeric(a) and _is_numeric(b):
        return same_number(a, b)
    return type(a) is type(b) and bool(a == b)


def _column_difference(
    pair: Pair, inside: str, header: Sequence[str], j: int, column: _Column, rows: int
) -> Difference:
    name = header[j] if j < len(header) else j
    place = f"row {column.row}, column {name}"
    several = column.count > 1
    left, right = excerpts(_text(column.left), _text(column.right), width=_SHOWN)
    note = column.note or ""
    if not note and isinstance(column.left, str) and isinstance(column.right, str):
        note = white_space_note(column.left, column.right)
    if note == WHITE_SPACE:
        left, right = repr(left), repr(right)
    return Difference(
        path=pair.place(f"{inside}, {place}" if inside else place),
        left=left,
        right=right,
        abs_error=column.abs_error,
        rel_error=column.rel_error,
        close=column.close,
        count=column.count if several else None,
        size=rows if several else None,
        equal=bool(column.note),
        note=note,
    )


def _text(cell: Any) -> str:
    return "(nothing)" if cell is None else cell if isinstance(cell, str) else repr(cell)
