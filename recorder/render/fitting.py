"""Fitting a table to a terminal: shorten cells and leave out columns, so that no row wraps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .text import Column

# Cells are cut to this width before a column is left out, and to the least width if the remaining ones are too wide.
_CAP, _LEAST = 16, 6
_GAP = 2


class Fitted(NamedTuple):
    """The columns that fit, and the titles of those that do not."""

    columns: list[Column]
    left_out: list[str]


def fit(
    columns: Sequence[Column],
    *,
    width: int | None,
    keep: int,
    ranks: Sequence[float] | None = None,
    last: Sequence[int] = (),
) -> Fitted:
    """Fit a table to a width.

    Wide cells are cut first. Then columns are left out: those with the fewest filled cells, and among them those of
    the highest rank. If the remaining columns are still too wide, the widest are cut further.

    Args:
        columns: The table.
        width: The width in terminal columns, None for no limit.
        keep: The number of leading columns that always stay.
        ranks: A rank for each column; by default its position.
        last: The positions of the columns that are left out only when all others are.
    """
    if width is None or _total(columns) <= width:
        return Fitted(list(columns), [])
    ranks = range(len(columns)) if ranks is None else ranks
    capped = [column.capped(_CAP) for column in columns]
    present = list(range(len(columns)))
    left_out: list[int] = []
    while len(present) > keep and _total([capped[i] for i in present]) > width:
        gone = min(present[keep:], key=lambda i: (i in last, columns[i].filled, -ranks[i]))
        present.remove(gone)
        left_out.append(gone)
    staying = _narrowed([capped[i] for i in present], width)
    return Fitted(staying, [columns[i].title for i in sorted(left_out)])


def _narrowed(columns: list[Column], width: int) -> list[Column]:
    cap = _CAP
    while _total(columns) > width and cap > _LEAST:
        cap -= 1
        columns = [column.capped(cap) for column in columns]
    return columns


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width + _GAP for column in columns) - _GAP
