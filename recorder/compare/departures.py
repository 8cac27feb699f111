"""Comparison of two series of a metric by step: the first step at which they differ, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

import msgspec

from ..codec import Numbers, same_number
from ..codec.arrays import compare_arrays
from ..formats.points import Columns, read_number
from ..records import ItemVerdict
from .items import Departure, Item, tolerance_of

# Above this number of differing points, importing NumPy takes less time than it saves.
_MANY = 50_000


def compare_series(name: str, a: Columns, b: Columns, numbers: Numbers) -> Item:
    """Compare the values of a metric at equal steps. The times of the points are not compared."""
    if a == b:
        return Item(kind="metric", name=name, verdict="identical")
    pairs = _Pairs(a, b)
    walk = _PointWalk(pairs, numbers)
    return Item(
        kind="metric",
        name=name,
        verdict=walk.verdict(),
        detail=_describe(walk.departure),
        count=walk.departure.count + walk.departure.missing + walk.departure.extra,
        max_abs_error=walk.max_abs_error,
        max_rel_error=walk.max_rel_error,
        departure=walk.departure,
        tolerance=tolerance_of(numbers),
    )


class _Pairs:
    """The values at common steps, in the order of the original, and the steps that only one side has."""

    def __init__(self, a: Columns, b: Columns) -> None:
        self.lengths = len(a.steps), len(b.steps)
        self.missing: Sequence[str] = ()
        self.extra: Sequence[str] = ()
        if a.steps == b.steps:
            self.steps, self.left, self.right = a.steps, a.values, b.values
        else:
            self._align(a, b)

    def _align(self, a: Columns, b: Columns) -> None:
        ours, theirs = _keyed(a), _keyed(b)
        both = [key for key in ours if key in theirs]
        self.missing = [ours[key][0] for key in ours if key not in theirs]
        self.extra = [theirs[key][0] for key in theirs if key not in ours]
        self.steps = [ours[key][0] for key in both]
        self.left = [ours[key][1] for key in both]
        self.right = [theirs[key][1] for key in both]


def _keyed(columns: Columns) -> dict[tuple[float, int], tuple[str, str]]:
    """Return (step, value) by the step as a number and the occurrence at that step."""
    seen: dict[float, int] = {}
    found: dict[tuple[float, int], tuple[str, str]] = {}
    for step, value in zip(columns.steps, columns.values, strict=True):
        number = read_number(step)
        seen[number] = seen.get(number, -1) + 1
        found[number, seen[number]] = step, value
    return found


class _Found(NamedTuple):
    """A summary of the differing points; `first` is the position of the first one."""

    first: int
    points: int
    abs_error: float
    rel_error: float
    close: bool


class _PointWalk:
    """Compares the points whose text differs, and keeps the first, the largest and the last difference."""

    def __init__(self, pairs: _Pairs, numbers: Numbers) -> None:
        self._numbers = numbers
        self._close = not (pairs.missing or pairs.extra)
        self.max_abs_error: float | None = None
        self.max_rel_error: float | None = None
        self.departure = Departure(
            points=pairs.lengths[0],
            replay_points=pairs.lengths[1],
            missing=len(pairs.missing),
            extra=len(pairs.extra),
            missing_step=_first(pairs.missing),
            extra_step=_first(pairs.extra),
        )
        self._go(pairs)

    def verdict(self) -> ItemVerdict:
        """Return the verdict; it is never "identical", because some text differs."""
        d = self.departure
        if not (d.count or d.missing or d.extra):
            return "equal"
        return "close" if self._close else "different"

    def _go(self, pairs: _Pairs) -> None:
        left, right = pairs.left, pairs.right
        unlike = [i for i, (x, y) in enumerate(zip(left, right, strict=True)) if x != y]
        found = self._count_fast(pairs, unlike) or self._count(pairs, unlike)
        if found is None:
            return
        self._close = self._close and found.close
        self.max_abs_error, self.max_rel_error = found.abs_error, found.rel_error
        first, last = found.first, len(left) - 1
        self.departure = msgspec.structs.replace(
            self.departure,
            step=read_number(pairs.steps[first]),
            left=left[first],
            right=right[first],
            rel_error=self._errors(left[first], right[first])[1],
            end_step=read_number(pairs.steps[last]),
            end_rel_error=self._errors(left[last], right[last])[1],
            count=found.points,
        )

    def _count(self, pairs: _Pairs, unlike: list[int]) -> _Found | None:
        """Summarize the points in `unlike`; return None if all are equal numbers."""
        errors = ((i, *self._errors(pairs.left[i], pairs.right[i])) for i in unlike)
        found = [(i, off, relative, close) for i, off, relative, close in errors if off]
        if not found:
            return None
        return _Found(
            first=found[0][0],
            points=len(found),
            abs_error=max(off for _, off, _, _ in found),
            rel_error=max(relative for _, _, relative, _ in found),
            close=all(close for *_, close in found),
        )

    def _count_fast(self, pairs: _Pairs, unlike: list[int]) -> _Found | None:
        """Summarize with NumPy; return None if there are too few points, or integers, which must match exactly."""
        if len(unlike) < _MANY or find_spec("numpy") is None:
            return None
        import numpy

        x, y = (numpy.array([float(side[i]) for i in unlike]) for side in (pairs.left, pairs.right))
        if ((x == numpy.floor(x)) & (y == numpy.floor(y))).any():
            return None  # integers must match exactly, and as float64 they look like floats
        differences = compare_arrays("", x, y, self._numbers)
        if not differences or differences[0].index is None:
            return None
        (d,) = differences
        return _Found(
            first=unlike[differences[0].index[0]],
            points=d.count or 0,
            abs_error=d.abs_error or 0.0,
            rel_error=d.rel_error or 0.0,
            close=d.close,
        )

    def _errors(self, left: str, right: str) -> tuple[float, float, bool]:
        """Return the absolute error (0 only for equal numbers), the relative error, and True if they are close."""
        a, b = read_number(left), read_number(right)
        if same_number(a, b):
            return 0.0, 0.0, True
        abs_error, rel_error, close = self._numbers.errors(a, b)
        return abs_error or math.ulp(0.0), rel_error, close


def _first(steps: Sequence[str]) -> float | None:
    return read_number(steps[0]) if steps else None


def _describe(d: Departure) -> str:
    parts = []
    if d.count:
        there = f"{d.left} -> {d.right} ({d.rel_error:.1e} relative)"
        parts.append(
            f"first differs at step {d.step}: {there}, at the end {d.end_rel_error:.1e} relative;"
            f" {d.count} of {d.points} points"
        )
    if d.points != d.replay_points:
        parts.append(f"{d.points} -> {d.replay_points} points")
    if d.missing:
        parts.append(f"{_count(d.missing)} missing from step {d.missing_step} on")
    if d.extra:
        parts.append(f"{_count(d.extra)} extra from step {d.extra_step} on")
    return "; ".join(parts) or "the same numbers in another notation or order"


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"
