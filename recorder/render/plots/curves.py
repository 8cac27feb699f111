"""Series as curves to draw: the points that are drawn, and those that are left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ... import codec
from ...compare.entries import text_of
from ...formats.points import Point
from ...records import Record

# Larger values are not drawn: the width of an axis would overflow.
_GREATEST = 1e300
_KEYS = 4

# The y of a missing point, at which a curve is broken.
GAP = math.nan


class Curve(NamedTuple):
    """The points to draw under a label; `y` is ``GAP`` where the curve is broken.

    `points` counts all points, `undrawn` those that cannot be drawn, by kind (``nan``, ``inf``, ``-inf``, ``not above
    0``), and `thinned` is true if only the extremes of neighboring points are drawn.
    """

    label: str
    x: list[float]
    y: list[float]
    points: int
    undrawn: dict[str, int]
    thinned: bool

    def drawn(self) -> Iterator[tuple[list[float], list[float]]]:
        """Yield the pieces between the gaps."""
        piece: tuple[list[float], list[float]] = ([], [])
        for x, y in zip(self.x, self.y, strict=True):
            if y == y:
                piece[0].append(x)
                piece[1].append(y)
            elif piece[0]:
                yield piece
                piece = ([], [])
        if piece[0]:
            yield piece


def curve(
    label: str,
    points: Sequence[tuple[float, float]],
    *,
    buckets: int,
    log_x: bool = False,
    log_y: bool = False,
) -> Curve:
    """Return the points (x, y) in the order of x, thinned if there are more than two for each of the `buckets`.

    The smallest and the largest point of each bucket stay, so that no peak is lost.
    """
    undrawn: dict[str, int] = {}
    kept: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: point[0]):
        why = _why_not(y, is_log=log_y) or _why_not(x, is_log=log_x)
        if why:
            undrawn[why] = undrawn.get(why, 0) + 1
        if _why_not(x, is_log=log_x) == "":
            kept.append((x, GAP if why else float(y)))
    is_thinned = len(kept) > 2 * buckets
    if is_thinned:
        kept = list(_thin(kept, buckets, log_x=log_x))
    return Curve(
        label, [x for x, _ in kept], [y for _, y in kept], len(points), undrawn, is_thinned
    )


def _why_not(value: float, *, is_log: bool) -> str:
    """Return the reason for not drawing the value; "" if it can be drawn."""
    if value != value:
        return "nan"
    if abs(value) > _GREATEST:
        return "-inf" if value == -math.inf else "inf" if value == math.inf else "beyond 1e300"
    return "not above 0" if is_log and value <= 0 else ""


def _thin(
    points: Sequence[tuple[float, float]], buckets: int, *, log_x: bool
) -> Iterator[tuple[float, float]]:
    """Yield the extremes of each bucket of the x axis in their order, or a gap if it has nothing to draw."""
    place = math.log if log_x else float
    first, last = place(points[0][0]), place(points[-1][0])
    scale = buckets / (last - first) if last > first else 0.0
    together: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        at = min(int((place(point[0]) - first) * scale), buckets - 1)
        together.setdefault(at, []).append(point)
    for some in together.values():
        there = [point for point in some if point[1] == point[1]]
        if not there:
            yield some[0]
            continue
        ends = [min(there, key=lambda point: point[1]), max(there, key=lambda point: point[1])]
        yield from sorted(set(ends))


def places(points: Sequence[Point], *, by_time: bool) -> list[tuple[float, float]]:
    """Return the points as (x, y); x is the step, or the seconds since the start of the run."""
    return [(p.time_s if by_time else p.step, p.value) for p in points]


def labels(records: Sequence[Record]) -> list[str]:
    """Return a label for each run: its number and the first config values that vary."""
    flat = [codec.flatten(record.config) for record in records]
    keys = [
        key
        for key in dict.fromkeys(key for config in flat for key in config)
        if len({codec.identity(c[key]) if key in c else None for c in flat}) > 1
    ][:_KEYS]
    return [
        "  ".join(
            [f"run {record.number}", *(f"{key}={text_of(c[key])}" for key in keys if key in c)]
        )
        for record, c in zip(records, flat, strict=True)
    ]
