"""The table of runs, for ``recorder list``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from ... import codec
from ...formats.points import SAMPLED
from ...records import JSON, Record
from ...store.query.fields import parse_key
from ..fitting import fit
from ..text import (
    Column,
    age,
    duration,
    metric,
    number,
    printable,
    render,
    shorten,
    status_or_verdict,
    styled_grade,
    terminal_width,
    wrapped,
)

_CELL = 24
# These are the last columns to be left out; further metrics compete with the config, or they would displace all of it.
_FIRST_METRICS = 3
_ABSENT = object()
# Strings that would look like something else, or like nothing, keep their quotes.
_QUOTED = ("None", "True", "False", "nan", "inf", "")


def runs_table(
    records: Sequence[Record], *, names: Sequence[str] | None = None, graded: bool = False
) -> str:
    """Return one line for each run, no wider than the terminal, below the values that all runs share.

    Args:
        records: The runs.
        names: The columns to show after the number, see `recorder.store.query.fields`; by default those that vary.
        graded: Whether to add the grade of each run.
    """
    if names is not None:
        return table_lines(_named_columns(records, names), keep=len(names) + 1)
    layout = lay_out_runs(records, graded=graded)
    return table_lines(
        layout.columns, keep=layout.keep, ranks=layout.ranks, last=layout.last, above=layout.above
    )


class RunsLayout(NamedTuple):
    """The columns of a table of runs, and the shared values above it.

    The first `keep` columns always stay, those in `last` go last, and the others by `ranks`, see `fit`. `above` maps
    "all", or the experiments concerned, to the values that their runs share.
    """

    columns: Sequence[Column]
    keep: int
    ranks: Sequence[float]
    last: Sequence[int]
    above: Mapping[str, Mapping[str, str]]


def lay_out_runs(records: Sequence[Record], *, graded: bool = False) -> RunsLayout:
    """Return the table of `runs_table` at its full width."""
    fixed, common = _fixed_columns(records)
    if graded:
        fixed.append(Column("grade", [styled_grade(record) for record in records]))
    times = _time_columns(records)
    flat = [codec.flatten(record.config) for record in records]
    shared = _shared(records, flat)
    shown_above = {key for forms in shared.values() for key in forms}
    keys = dict.fromkeys(key for config in flat for key in config if key not in shown_above)
    config, metrics = _config_columns(flat, list(keys)), _metric_columns(records)
    # Config and metrics keep their first columns longest, and longer than the times.
    ranks = [*[0.0] * len(fixed), 0.2, 0.4]
    ranks += [*(float(i) for i in range(len(config))), *(i - 0.5 for i in range(len(metrics)))]
    first = len(fixed) + len(times) + len(config)
    last = range(first, first + min(len(metrics), _FIRST_METRICS))
    above = {"all": common, **{name: _texts(forms) for name, forms in shared.items()}}
    if "all" in shared:
        above["all"] = {**common, **_texts(shared["all"])}
    return RunsLayout([*fixed, *times, *config, *metrics], len(fixed), ranks, last, above)


def table_lines(
    columns: Sequence[Column],
    *,
    keep: int,
    ranks: Sequence[float] | None = None,
    last: Sequence[int] = (),
    above: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Return the table, no wider than the terminal, below shared values and above the names of hidden columns."""
    fitted = fit(columns, width=terminal_width(), keep=keep, ranks=ranks, last=last)
    lines = [
        remark(f"{who}: " + "  ".join(f"{key}={text}" for key, text in values.items()))
        for who, values in (above or {}).items()
        if values
    ]
    lines.append(render(fitted.columns))
    if fitted.left_out:
        lines.append(remark(f"hidden, the terminal is too narrow: {', '.join(fitted.left_out)}"))
    return "\n".join(lines)


def remark(text: str) -> str:
    """Return a line above or below a table: dim, and wrapped to the terminal."""
    return wrapped(click.style(text, dim=True))


def _shared(
    records: Sequence[Record], flat: Sequence[dict[str, JSON]]
) -> dict[str, dict[str, JSON]]:
    """Return the config that does not vary: under "all" that of all runs, else under the experiments that have it.

    A single run shares nothing: every key is a column.
    """
    shared: dict[str, dict[str, JSON]] = {}
    if len(records) == 1:
        return shared
    names = [record.experiment for record in records]
    for key in dict.fromkeys(key for config in flat for key in config):
        having = {name for name, config in zip(names, flat, strict=True) if key in config}
        forms = [
            config.get(key, _ABSENT)
            for name, config in zip(names, flat, strict=True)
            if name in having
        ]
        if _ABSENT in forms or len({codec.identity(form) for form in forms}) > 1:
            continue
        who = "all" if len(having) == len(set(names)) else ", ".join(sorted(map(printable, having)))
        shared.setdefault(who, {})[key] = forms[0]
    return shared


def _texts(forms: Mapping[str, JSON]) -> dict[str, str]:
    return {printable(key): bare(form, width=_CELL) for key, form in forms.items()}


def _named_columns(records: Sequence[Record], names: Sequence[str]) -> list[Column]:
    documents = [record.to_document() for record in records]
    columns = [Column("run", [str(record.number) for record in records], right=True)]
    for name in names:
        find = parse_key(name)
        values = [find(document) for document in documents]
        cells = [number(value) if isinstance(value, float) else cell(value) for value in values]
        columns.append(Column(printable(name), cells, right=is_right(values)))
    return columns


def cell(value: Any) -> str:
    """Format the value of a query's name as a cell."""
    if value is None:
        return ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return printable(", ".join(value))
    return printable(value if isinstance(value, str) else codec.describe(value, width=_CELL))


def bare(form: JSON, *, width: int) -> str:
    """Format a form as a cell: a string has no quotes unless it could be mistaken for something else."""
    text = shorten(form, width) if _is_clear(form) else codec.describe(form, width=width)
    return printable(text)


def _is_clear(form: JSON) -> bool:
    if not isinstance(form, str) or not form.isprintable() or form.strip() != form:
        return False
    return form not in _QUOTED and not form[:1].isdigit() and form[:1] not in "-+.'\"[{(<"


def is_right(values: Sequence[Any]) -> bool:
    """Return True if the column is right-aligned: all columns except those with strings or lists."""
    return not any(isinstance(value, str | list) for value in values)


def _fixed_columns(records: Sequence[Record]) -> tuple[list[Column], dict[str, str]]:
    """Return the columns that stay in any terminal, and those of their values that all runs share."""
    columns = [Column("run", [str(record.number) for record in records], right=True)]
    common: dict[str, str] = {}
    texts: dict[str, Callable[[Record], str]] = {
        "experiment": lambda record: shorten(printable(record.experiment), _CELL),
        "status": status_or_verdict,
        "tags": lambda record: shorten(printable(", ".join(record.tags)), _CELL),
    }
    for title, text in texts.items():
        cells = [text(record) for record in records]
        if len(records) > 1 and len(set(cells)) == 1:
            common |= {title: click.unstyle(cells[0])} if cells[0] else {}
        elif any(cells):
            columns.append(Column(title, cells))
    return columns, common


def _time_columns(records: Sequence[Record]) -> list[Column]:
    ages = [age(record.started) for record in records]
    took = [duration(record.duration_s) for record in records]
    return [Column("age", ages, right=True), Column("duration", took, right=True)]


def _config_columns(flat: Sequence[dict[str, JSON]], keys: Sequence[str]) -> list[Column]:
    columns = []
    for key in keys:
        cells = [bare(config[key], width=_CELL) if key in config else "" for config in flat]
        columns.append(Column(printable(key), cells, is_right([c.get(key) for c in flat])))
    return columns


def _metric_columns(records: Sequence[Record]) -> list[Column]:
    names = dict.fromkeys(
        name for record in records for name in record.metrics if not name.startswith(SAMPLED)
    )
    return [
        Column(
            printable(name),
            [metric(r.metrics[name]) if name in r.metrics else "" for r in records],
            right=True,
        )
        for name in names
    ]
