"""Numbers, times and values as a person reads them, and plain tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

import click

from ... import codec
from ...records import Metric, Record

STATUS_COLOURS = {
    "finished": "green",
    "running": "cyan",
    "failed": "red",
    "interrupted": "yellow",
    "lost": "magenta",
}

_GRADE_COLOURS = {
    "replayable": "green",
    "replayable with care": "yellow",
    "not replayable": "red",
}


def age(moment: datetime, *, now: datetime | None = None) -> str:
    """How long ago, in its largest unit: ``3 min``, ``2 h``, ``5 d``."""
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def duration(seconds: float | None) -> str:
    """``12 ms``, ``0.12 s``, ``4.2 s``, ``3:05 min``, ``2:10:00 h``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def size(count_bytes: int) -> str:
    """``812 B``, ``4.1 kB``, ``2.3 GB`` (powers of 1000)."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def number(value: Any) -> str:
    """A number in about six digits; the codec's forms of NaN and the infinities too."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6g}"
    if isinstance(value, float) and math.isfinite(value) and abs(value) < 1e16:
        return f"{value:.0f}.0" if abs(value) < 1e6 else f"{value:.6g}"
    return codec.describe(value, width=20)


def short(digest: str) -> str:
    """The first digits of a digest."""
    return digest.removeprefix("blake3:")[:12]


def metric(value: Metric) -> str:
    """A metric's last value."""
    return number(value.last)


def status(record: Record) -> str:
    """The status in its colour, a replay's with its verdict."""
    text = click.style(record.status, fg=STATUS_COLOURS.get(record.status))
    if record.verdict is not None:
        text += f" ({record.verdict.verdict})"
    return text


def styled_grade(record: Record) -> str:
    """How far the run can be replayed, in its colour; "" for one in progress, of which nothing is known yet."""
    if record.status == "running":
        return ""
    from ...grade import grade

    found = grade(record)
    return click.style(found, fg=_GRADE_COLOURS[found])


class Column(NamedTuple):
    """A column of a table: its title, its cells (styled text is fine), and its side."""

    title: str
    cells: Sequence[str]
    right: bool = False

    @property
    def width(self) -> int:
        """Characters of its widest cell, or its title."""
        return max([len(self.title), *(len(click.unstyle(cell)) for cell in self.cells)])


def terminal_width() -> int | None:
    """The terminal's width in characters; None where the output is no terminal and may be as wide as it is."""
    import sys
    from shutil import get_terminal_size

    return get_terminal_size().columns if sys.stdout.isatty() else None


def render(columns: Sequence[Column], *, gap: str = "  ") -> str:
    """The table as lines: titles, then a row for each cell."""
    widths = [column.width for column in columns]
    rows = [[click.style(c.title, bold=True) if c.title.strip() else "" for c in columns]]
    rows += [list(row) for row in zip(*(c.cells for c in columns), strict=True)]
    # The last column is not padded: a terminal as wide as the table would break its lines.
    widths[-1] = max(widths[-1], 0) if columns[-1].right else 0
    return "\n".join(
        gap.join(
            _pad(cell, width, right=c.right)
            for cell, width, c in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    )


def fit(
    columns: Sequence[Column], *, width: int | None, keep: int
) -> tuple[list[Column], list[str]]:
    """The columns that fit the width, and the titles of those left out; the first `keep` always stay."""
    fitting = list(columns)
    out: list[str] = []
    while (
        width is not None and len(fitting) > keep and sum(c.width + 2 for c in fitting) - 2 > width
    ):
        out.insert(0, fitting.pop().title)
    return fitting, out


def shorten(text: str, width: int) -> str:
    """The text cut to `width` characters, with an ellipsis."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _pad(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - len(click.unstyle(cell)))
    return blank + cell if right else cell + blank
