"""Runs in groups by the values of some names, and what the metrics of each come to: ``recorder list --group-by lr``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..formats.points import SAMPLED, as_number
from ..records import JSON, Record

T = TypeVar("T")
# The value of a name in a record's document: see `recorder.store.query.query.parse_key`.
Find = Callable[[Mapping[str, JSON]], Any]


class Spread(NamedTuple):
    """The last values of a metric over so many `runs`; `deviation` is the sample's, None for a single one."""

    runs: int
    mean: float
    deviation: float | None
    min: float
    max: float


class Group(NamedTuple):
    """The runs for which the names have these `values`, in order; `metrics` are those of the finished ones."""

    values: tuple[Any, ...]
    runs: tuple[Record, ...]
    metrics: dict[str, Spread]

    @property
    def finished(self) -> int:
        """How many of them are finished."""
        return sum(1 for record in self.runs if record.status == "finished")


def group(records: Sequence[Record], finds: Sequence[Find]) -> list[Group]:
    """The groups in the order of their values; what has no value comes last."""
    groups: dict[bytes, tuple[tuple[Any, ...], list[Record]]] = {}
    for record in records:
        document = record.to_document()
        values = tuple(find(document) for find in finds)
        # Canonical text: a list is no key, and 1 and True are not the same.
        groups.setdefault(msgspec.json.encode(values), (values, []))[1].append(record)
    ordered = sorted(groups.values(), key=lambda pair: [in_order(value) for value in pair[0]])
    return [Group(values, tuple(runs), _spreads(runs)) for values, runs in ordered]


def in_order(value: Any) -> tuple[int, Any]:
    """A key to sort any values by: NaN, numbers, texts, everything else, and what is not there at the end."""
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
            if number is not None and not name.startswith(SAMPLED):
                values.setdefault(name, []).append(number)
    return {name: _spread(found) for name, found in values.items()}


def _spread(values: Sequence[float]) -> Spread:
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    deviation = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    return Spread(len(values), mean, deviation, min(values), max(values))
