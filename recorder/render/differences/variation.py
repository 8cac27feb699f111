"""What varies over several runs: what ``recorder diff A B C`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from ...compare.variation import Row, Variation
from ..text import Column, render, shorten, terminal_width
from .diff import run_name

_CELL = 24
_KEY = 32
_LISTED = 30


def describe_variation(found: Variation) -> str:
    """A table for each section in which anything varies, a column for each run; the rest in one line."""
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
    """As many runs beside each other as the terminal is wide for, the others below, each with the keys."""
    shown, more = rows[:_LISTED], len(rows) - _LISTED
    keys = Column("  ", [f"  {shorten(row.key, _KEY)}" for row in shown])
    columns = [
        Column(run_name(run), ["-" if (t := row.texts[i]) is None else shorten(t, _CELL) for row in shown])
        for i, run in enumerate(runs)
    ]  # fmt: skip
    width = terminal_width()
    beside: list[Column] = []
    for column in columns:
        taken = keys.width + sum(c.width + 2 for c in [*beside, column])
        if beside and width is not None and taken > width:
            yield render([keys, *beside])
            beside = []
        beside.append(column)
    end = f"\n  and {more} more (--json has all)" if more > 0 else ""
    yield render([keys, *beside]) + end
