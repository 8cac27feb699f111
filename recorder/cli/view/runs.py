"""The table of runs that ``recorder list`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ... import codec
from ...compare.diff import varying_keys
from ...points import SAMPLED
from ...records import JSON, Record
from ...store.query import parse_key
from .text import (
    Column,
    age,
    duration,
    fit,
    metric,
    render,
    shorten,
    status,
    styled_grade,
    terminal_width,
)

_CELL = 24


def runs_table(
    records: Sequence[Record], *, names: Sequence[str] | None = None, graded: bool = False
) -> str:
    """A line for each run; config keys that do not vary are said once above.

    With `names` the columns are the run's number and those (see `recorder.store.query`); `graded`: with the runs'
    grades.
    """
    if not records:
        return "no such runs"
    if names is not None:
        return _named_table(records, names)
    flat = [codec.flatten(record.config) for record in records]
    varying, common = _split(records, flat)
    fixed = _fixed_columns(records)
    if graded:
        fixed.append(Column("grade", [styled_grade(record) for record in records]))
    columns = [*fixed, *_config_columns(flat, varying), *_metric_columns(records)]
    columns, left_out = fit(columns, width=terminal_width(), keep=len(fixed))
    lines = []
    if common and len(records) > 1:
        said = "  ".join(
            f"{key}={codec.describe(form, width=_CELL)}" for key, form in common.items()
        )
        lines.append(click.style(f"all: {shorten(said, (terminal_width() or 200) - 5)}", dim=True))
    lines.append(render(columns))
    if left_out:
        lines.append(click.style(f"not shown for want of width: {', '.join(left_out)}", dim=True))
    return "\n".join(lines)


def _named_table(records: Sequence[Record], names: Sequence[str]) -> str:
    documents = [record.to_document() for record in records]
    columns = [Column("run", [str(record.number) for record in records], right=True)]
    for name in names:
        value = parse_key(name)
        columns.append(Column(name, [cell(value(document)) for document in documents], right=True))
    return render(columns)


def cell(value: Any) -> str:
    """A value that a query's name gives, as a cell."""
    if value is None:
        return ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else codec.describe(value, width=_CELL)


def _split(
    records: Sequence[Record], flat: Sequence[dict[str, JSON]]
) -> tuple[list[str], dict[str, JSON]]:
    """The keys that vary, in the order of their first use, and the others with their form.

    With a single run every key is shown.
    """
    if len(records) == 1:
        return list(flat[0]), {}
    varying = varying_keys(records)
    return varying, {
        key: form for config in flat for key, form in config.items() if key not in varying
    }


def _fixed_columns(records: Sequence[Record]) -> list[Column]:
    """What is shown however narrow the terminal is."""
    return [
        Column("run", [str(record.number) for record in records], right=True),
        Column("experiment", [shorten(record.experiment, _CELL) for record in records]),
        Column("status", [status(record) for record in records]),
        Column("age", [age(record.started) for record in records], right=True),
        Column("duration", [duration(record.duration_s) for record in records], right=True),
    ]


def _config_columns(flat: Sequence[dict[str, JSON]], keys: Sequence[str]) -> list[Column]:
    return [
        Column(
            key, [codec.describe(c[key], width=_CELL) if key in c else "" for c in flat], right=True
        )
        for key in keys
    ]


def _metric_columns(records: Sequence[Record]) -> list[Column]:
    names = dict.fromkeys(
        name for record in records for name in record.metrics if not name.startswith(SAMPLED)
    )
    return [
        Column(
            name,
            [metric(r.metrics[name]) if name in r.metrics else "" for r in records],
            right=True,
        )
        for name in names
    ]
