"""Data for ``recorder plot``: series of runs, or values of many runs against each other."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ..formats.points import SAMPLED, Point
from ..records import JSON, Record
from ..render.plots.curves import Curve, labels, places
from ..store.content.series import read_series
from ..store.query.fields import parse_key
from ..store.store import RunStore

if TYPE_CHECKING:
    from ..render.plots.picture import ParallelAxis
    from ..render.plots.terminal import Axes

# Makes a curve of a label and its points.
Make: TypeAlias = Callable[[str, Sequence[tuple[float, float]]], Curve]


class UnableError(click.ClickException):
    """A request that is valid, but that cannot be carried out."""

    exit_code = 3


def series_curves(
    store: RunStore, records: Sequence[Record], metrics: Sequence[str], *, by_time: bool, make: Make
) -> tuple[list[Curve], Axes]:
    """Return a curve for each series of each run, and the axes; without `metrics`, the only series there is.

    Raises click.UsageError for a metric that no run has, or if there are several and none is named.
    """
    from ..render.plots.terminal import Axes

    every = [read_series(store, record) for record in records]
    chosen = _chosen_metrics(every, metrics)
    lines = [
        (label, name, places(series[name], by_time=by_time))
        for label, series in zip(labels(records), every, strict=True)
        for name in chosen
        if name in series
    ]
    names = {name for _, name, _ in lines}
    curves = [
        make(f"{label}  {name}" if len(names) > 1 else label, points)
        for label, name, points in lines
    ]
    return curves, Axes("seconds" if by_time else "step", ", ".join(sorted(names)))


def _chosen_metrics(
    every: Sequence[dict[str, list[Point]]], metrics: Sequence[str]
) -> Sequence[str]:
    known = sorted({name for series in every for name in series if not name.startswith(SAMPLED)})
    if not known and not any(name in series for series in every for name in metrics):
        raise click.UsageError("the runs have no metrics")
    if not metrics:
        long = [name for name in known if any(len(series.get(name, ())) > 1 for series in every)]
        if len(long or known) != 1:
            raise click.UsageError(f"choose with --metric; the metrics are {', '.join(known)}")
        return long or known
    for name in metrics:
        if not any(name in series for series in every):
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise click.UsageError(f"no metric {name!r}: {hint}")
    return metrics


def pair_curves(
    records: Sequence[Record], x: str, y: str, *, make: Make
) -> tuple[list[Curve], Axes]:
    """Return a point for each run that has numbers for both names, one curve per experiment, and the axes."""
    from ..render.plots.terminal import Axes

    pairs: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        document = record.to_document()
        left, right = (_number(parse_key(name)(document)) for name in (x, y))
        if left is not None and right is not None:
            pairs.setdefault(record.experiment, []).append((left, right))
    if not pairs:
        raise UnableError(f"none of {len(records)} runs has numbers for both {x} and {y}")
    curves = [
        make(f"{name}: {len(points)} of {len(records)} runs", points)
        for name, points in pairs.items()
    ]
    return curves, Axes(x, y, joined=False)


def parallel_columns(records: Sequence[Record], names: str) -> list[ParallelAxis]:
    """Return an axis for each name, with the values of the runs that have a finite one for every name."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if len(wanted) < 2:
        raise click.UsageError("--parallel needs two names or more, such as 'lr,epochs,accuracy'")
    finds = [parse_key(name) for name in wanted]
    documents: list[dict[str, JSON]] = [record.to_document() for record in records]
    rows = [[find(document) for find in finds] for document in documents]
    rows = [row for row in rows if not any(map(_is_placeless, row))]
    if not rows:
        raise UnableError(
            f"none of {len(records)} runs has a finite value for each of {', '.join(wanted)}"
        )
    columns = zip(wanted, zip(*rows, strict=True), strict=True)
    return [_column(name, values) for name, values in columns]


def _column(name: str, values: Sequence[Any]) -> ParallelAxis:
    from ..render.plots.picture import ParallelAxis

    numbers = [_number(value) for value in values if not isinstance(value, bool)]
    if len(numbers) == len(values) and None not in numbers:
        return ParallelAxis(name, [float(value) for value in values])
    texts = list(dict.fromkeys(map(str, values)))
    return ParallelAxis(name, [float(texts.index(str(value))) for value in values], texts)


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of a float
        return None


def _is_placeless(value: Any) -> bool:
    """Return True if an axis has no place for the value: it is missing, or not a finite number."""
    return value is None or (isinstance(value, float) and not abs(value) < float("inf"))
