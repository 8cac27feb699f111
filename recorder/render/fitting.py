"""Making a table fit a terminal: what is cut, and what is left out, so that no row breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .text import Column

# To what width cells are cut before a column is left out, and to what width where even those that stay run over.
_CAP, _LEAST = 16, 6
_GAP = 2


class Fitted(NamedTuple):
    """The columns that fit, and the titles of those left out."""

    columns: list[Column]
    left_out: list[str]


def fit(
    columns: Sequence[Column],
    *,
    width: int | None,
    keep: int,
    ranks: Sequence[float] | None = None,
) -> Fitted:
    """As many of the columns as fit into `width` places (None: all of them); the first `keep` always stay.

    Wide cells are cut first. Then the columns go in which the fewest rows have anything, of those the ones of the
    highest rank, by default the last. Where those that stay are still too wide, the widest are cut further.
    """
    if width is None or _total(columns) <= width:
        return Fitted(list(columns), [])
    ranks = range(len(columns)) if ranks is None else ranks
    capped = [column.capped(_CAP) for column in columns]
    there = list(range(len(columns)))
    left_out: list[int] = []
    while len(there) > keep and _total([capped[i] for i in there]) > width:
        gone = min(there[keep:], key=lambda i: (columns[i].filled, -ranks[i]))
        there.remove(gone)
        left_out.append(gone)
    stay = _narrowed([capped[i] for i in there], width)
    return Fitted(stay, [columns[i].title for i in sorted(left_out)])


def _narrowed(columns: list[Column], width: int) -> list[Column]:
    cap = _CAP
    while _total(columns) > width and cap > _LEAST:
        cap -= 1
        columns = [column.capped(cap) for column in columns]
    return columns


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width + _GAP for column in columns) - _GAP
