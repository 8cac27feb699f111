"""Groups of runs for ``recorder list --group-by``: a table, rows for CSV, and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ...compare.groups import Group, Spread
from ..csv import csv_cell
from ..text import Column, number, printable, ranges, shorten
from .runs import cell, is_right, table_lines

_NUMBERS = 24


def groups_table(groups: Sequence[Group], names: Sequence[str]) -> str:
    """Return one line for each group: its values, the number of runs, and mean ± deviation of each metric."""
    columns = []
    for i, name in enumerate(names):
        values = [one.values[i] for one in groups]
        cells = [cell(value) for value in values]
        columns.append(Column(printable(name), cells, is_right(values)))
    columns.append(Column("runs", [str(len(one.runs)) for one in groups], right=True))
    if any(one.finished < len(one.runs) for one in groups):
        columns.append(Column("finished", [str(one.finished) for one in groups], right=True))
    keep = len(columns)
    for name in metric_names(groups):
        cells = [_spread(one.metrics.get(name)) for one in groups]
        columns.append(Column(printable(name), cells, right=True))
    columns.append(Column("numbers", [_numbers(one) for one in groups]))
    ranks = [*[float(i) for i in range(len(columns) - 1)], float("inf")]
    return table_lines(columns, keep=keep, ranks=ranks, last=range(keep, len(columns) - 1))


def metric_names(groups: Sequence[Group]) -> list[str]:
    """Return the metrics of all groups in the order of their first use."""
    return list(dict.fromkeys(name for one in groups for name in one.metrics))


def _spread(spread: Spread | None) -> str:
    """Format mean ± deviation, ``0.912 ± 0.013``: two digits of the deviation decide the digits of both."""
    if spread is None:
        return ""
    if not spread.deviation or not math.isfinite(spread.deviation):
        return number(float(spread.mean))
    digits = 1 - math.floor(math.log10(spread.deviation))
    if 0 <= digits <= 6:
        return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"
    return f"{spread.mean:.6g} ± {spread.deviation:.2g}"


def _numbers(one: Group) -> str:
    return shorten(", ".join(ranges([record.number for record in one.runs])), _NUMBERS)


def groups_rows(groups: Sequence[Group], names: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the groups as rows for CSV, the titles first."""
    metrics = metric_names(groups)
    parts = Spread._fields
    titles = [
        *names,
        "runs",
        "finished",
        *(f"metrics.{m}.{part}" for m in metrics for part in parts),
    ]
    yield [csv_cell(title) for title in titles]
    for one in groups:
        row: list[Any] = [csv_cell(value) for value in one.values] + [len(one.runs), one.finished]
        for name in metrics:
            spread = one.metrics.get(name)
            row += ["" if value is None else value for value in spread or [""] * len(parts)]
        yield row


def groups_document(groups: Sequence[Group], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the groups as JSON: ``[{"group": {name: value}, "runs": [number], "finished", "metrics": {...}}]``."""
    return [
        {
            "group": dict(zip(names, one.values, strict=True)),
            "runs": [record.number for record in one.runs],
            "finished": one.finished,
            "metrics": {name: spread._asdict() for name, spread in one.metrics.items()},
        }
        for one in groups
    ]
