"""The values that vary over several runs, for ``recorder diff A B C``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from ...compare.variation import Row, Variation
from ..text import Column, printable, render, shorten, terminal_width
from .diff import run_name

_CELL = 40
_KEY = 32
_LISTED = 30


def describe_variation(found: Variation) -> str:
    """Return a table for each section that varies, one column per run, and one line for the other sections."""
    blocks = [
        f"{click.style(name, bold=True)}\n" + "\n\n".join(_tables(found.runs, rows))
        for name, rows in found.sections.items()
        if rows
    ]
    same = [name for name, rows in found.sections.items() if not rows and name != "redacted"]
    if not blocks:
        return f"{', '.join(map(run_name, found.runs))}: nothing varies"
    if same:
        blocks.append(click.style(f"the same: {', '.join(same)}", dim=True))
    return "\n\n".join(blocks)


def _tables(runs: Sequence[int], rows: Sequence[Row]) -> Iterator[str]:
    """Yield tables with as many runs side by side as fit the terminal; each repeats the keys."""
    shown, more = rows[:_LISTED], len(rows) - _LISTED
    keys = Column("  ", [f"  {shorten(printable(row.key), _KEY)}" for row in shown])
    columns = [
        Column(run_name(run), ["-" if (t := row.texts[i]) is None else shorten(printable(t), _CELL) for row in shown])
        for i, run in enumerate(runs)
    ]  # fmt: skip
    width = terminal_width()
    group: list[Column] = []
    for column in columns:
        taken = keys.width + sum(c.width + 2 for c in [*group, column])
        if group and width is not None and taken > width:
            yield render([keys, *group])
            group = []
        group.append(column)
    end = f"\n  and {more} more (--json has all)" if more > 0 else ""
    yield render([keys, *group]) + end
