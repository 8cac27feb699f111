"""Groups of runs as ``recorder list --group-by`` prints them: a table, rows for CSV, and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ...compare.groups import Group, Spread
from ..text import Column, number, ranges, shorten
from .runs import cell, is_right, table_lines

_NUMBERS = 24


def groups_table(groups: Sequence[Group], names: Sequence[str]) -> str:
    """A line for each group: its values, how many runs, and the mean of each metric with its deviation."""
    columns = []
    for i, name in enumerate(names):
        values = [one.values[i] for one in groups]
        columns.append(Column(name, [cell(value) for value in values], is_right(values)))
    columns.append(Column("runs", [str(len(one.runs)) for one in groups], right=True))
    if any(one.finished < len(one.runs) for one in groups):
        columns.append(Column("finished", [str(one.finished) for one in groups], right=True))
    keep = len(columns)
    for name in metric_names(groups):
        cells = [_spread(one.metrics.get(name)) for one in groups]
        columns.append(Column(name, cells, right=True))
    columns.append(Column("numbers", [_numbers(one) for one in groups]))
    return table_lines(columns, keep=keep)


def metric_names(groups: Sequence[Group]) -> list[str]:
    """The metrics that any of the groups has, in the order of their first use."""
    return list(dict.fromkeys(name for one in groups for name in one.metrics))


def _spread(spread: Spread | None) -> str:
    """``0.912 ± 0.013``: as many digits as the deviation has two of."""
    if spread is None:
        return ""
    if not spread.deviation:
        return number(spread.mean)
    digits = 1 - math.floor(math.log10(spread.deviation))
    if 0 <= digits <= 6:
        return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"
    return f"{spread.mean:.6g} ± {spread.deviation:.2g}"


def _numbers(one: Group) -> str:
    return shorten(", ".join(ranges([record.number for record in one.runs])), _NUMBERS)


def groups_rows(groups: Sequence[Group], names: Sequence[str]) -> Iterator[list[Any]]:
    """The same in columns that a program reads, titles first."""
    metrics = metric_names(groups)
    parts = Spread._fields
    yield [*names, "runs", "finished", *(f"metrics.{m}.{part}" for m in metrics for part in parts)]
    for one in groups:
        row: list[Any] = [cell(value) for value in one.values] + [len(one.runs), one.finished]
        for name in metrics:
            spread = one.metrics.get(name)
            row += ["" if value is None else value for value in spread or [""] * len(parts)]
        yield row


def groups_document(groups: Sequence[Group], names: Sequence[str]) -> list[dict[str, Any]]:
    """The same as JSON: ``[{"group": {name: value}, "runs": [number], "finished", "metrics": {name: {...}}}]``."""
    return [
        {
            "group": dict(zip(names, one.values, strict=True)),
            "runs": [record.number for record in one.runs],
            "finished": one.finished,
            "metrics": {name: spread._asdict() for name, spread in one.metrics.items()},
        }
        for one in groups
    ]
