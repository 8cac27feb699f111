"""Groups of runs with equal values, and statistics of their metrics, for ``recorder list --group-by lr``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..formats.points import SAMPLED, as_number
from ..records import JSON, Record

T = TypeVar("T")
# Returns the value of a name in the document of a record; see `recorder.store.query.fields.parse_key`.
Find = Callable[[Mapping[str, JSON]], Any]


class Spread(NamedTuple):
    """Statistics of the last values of a metric over `runs` runs.

    `deviation` is the sample standard deviation (with n - 1), None for a single run.
    """

    runs: int
    mean: float
    deviation: float | None
    min: float
    max: float


class Group(NamedTuple):
    """A group of runs with equal `values`; `metrics` are computed over the finished runs."""

    values: tuple[Any, ...]
    runs: tuple[Record, ...]
    metrics: dict[str, Spread]

    @property
    def finished(self) -> int:
        """Return the number of finished runs."""
        return sum(1 for record in self.runs if record.status == "finished")


def group(records: Sequence[Record], finds: Sequence[Find]) -> list[Group]:
    """Group records by the values that `finds` return, sorted by these values; groups without a value come last."""
    groups: dict[bytes, tuple[tuple[Any, ...], list[Record]]] = {}
    for record in records:
        document = record.to_document()
        values = tuple(find(document) for find in finds)
        # JSON as key, because lists are not hashable and 1 == True.
        groups.setdefault(msgspec.json.encode(values, enc_hook=str), (values, []))[1].append(record)
    ordered = sorted(groups.values(), key=lambda pair: [in_order(value) for value in pair[0]])
    return [Group(values, tuple(runs), _spreads(runs)) for values, runs in ordered]


def in_order(value: Any) -> tuple[int, Any]:
    """Return a sort key for values of any types: NaN, numbers, strings, other types, None."""
    if value is None:
        return (3, "")
    if isinstance(value, bool | int | float):
        return (0, value) if value == value else (-1, 0)
    return (1, value) if isinstance(value, str) else (2, str(value))


def sort_by_value(pairs: Sequence[tuple[Any, T]], *, reverse: bool = False) -> list[T]:
    """Sort items by the values that are paired with them; items whose value is None come last in either order."""
    known = [pair for pair in pairs if pair[0] is not None]
    known.sort(key=lambda pair: in_order(pair[0]), reverse=reverse)
    return [item for _, item in [*known, *(pair for pair in pairs if pair[0] is None)]]


def _spreads(runs: Sequence[Record]) -> dict[str, Spread]:
    values: dict[str, list[float]] = {}
    for record in runs:
        for name, metric in record.metrics.items() if record.status == "finished" else ():
            number = as_number(metric.last)
            if number is not None and _is_float(number) and not name.startswith(SAMPLED):
                values.setdefault(name, []).append(number)
    return {name: _spread(found) for name, found in values.items()}


def _is_float(number: float) -> bool:
    """Return whether a float can hold the number; a metric can be an integer of any size."""
    try:
        float(number)
    except OverflowError:
        return False
    return True


def _spread(values: Sequence[float]) -> Spread:
    count = len(values)
    try:
        mean = math.fsum(values) / count
        squares = math.fsum((value - mean) ** 2 for value in values)
        deviation = math.sqrt(squares / (count - 1)) if count > 1 else None
    except (OverflowError, ValueError):  # values near the range of a float, or both infinities
        mean = sum(float(value) / count for value in values)
        largest = max(abs(value - mean) for value in values)
        shares = sum(((value - mean) / largest) ** 2 for value in values) if largest else 0.0
        deviation = largest * math.sqrt(shares / (count - 1)) if count > 1 else None
    return Spread(count, mean, deviation, min(values), max(values))
