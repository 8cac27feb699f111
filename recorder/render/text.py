"""Numbers, times and values as a person reads them, and plain tables for a terminal.

`printable` is the function through which every string of a record reaches a terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

import click

from .. import codec
from ..records import Metric, Record

STATUS_COLORS = {
    "finished": "green",
    "running": "cyan",
    "failed": "red",
    "interrupted": "yellow",
    "lost": "magenta",
}

_VERDICT_COLORS = {"reproduced": "green", "close": "green", "diverged": "red", "failed": "red"}

_GRADE_COLORS = {
    "replayable": "green",
    "replayable with care": "yellow",
    "not replayable": "red",
}


def age(moment: datetime, *, now: datetime | None = None) -> str:
    """Return the time since the moment in its largest unit: ``3 min``, ``2 h``, ``5 d``."""
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def duration(seconds: float | None) -> str:
    """Format a duration: ``12 ms``, ``0.12 s``, ``4.2 s``, ``3:05 min``, ``2:10:00 h``; empty for None."""
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
    """Format a size in powers of 1000: ``812 B``, ``4.1 kB``, ``2.3 GB``."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def number(value: Any) -> str:
    """Format a number with about six digits, including the codec's forms of NaN and infinity."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6g}"
    if isinstance(value, float) and math.isfinite(value) and abs(value) < 1e16:
        return f"{value:.0f}.0" if abs(value) < 1e6 else f"{value:.6g}"
    return codec.describe(value, width=20)


def short(digest: str) -> str:
    """Return the first 12 digits of a digest."""
    return printable(digest.removeprefix("blake3:")[:12])


def metric(value: Metric) -> str:
    """Format the last value of a metric."""
    return number(value.last)


def status(record: Record) -> str:
    """Return the status in its color, and for a replay the verdict."""
    text = click.style(printable(record.status), fg=STATUS_COLORS.get(record.status))
    if record.verdict is not None:
        text += f" ({printable(record.verdict.verdict)})"
    return text


def status_or_verdict(record: Record) -> str:
    """Return the verdict for a replay that has one, else the status, in its color."""
    if record.verdict is None:
        return status(record)
    verdict = record.verdict.verdict
    return click.style(printable(verdict), fg=_VERDICT_COLORS.get(verdict, "yellow"))


def styled_grade(record: Record) -> str:
    """Return how far the run can be replayed, in its color; "" for a run in progress, whose hazards are unknown."""
    if record.status == "running":
        return ""
    from ..hazards import grade

    grade_name = grade(record)
    return click.style(grade_name, fg=_GRADE_COLORS[grade_name])


def describe_runs(numbers: Sequence[int]) -> str:
    """Return ``run 3`` or ``runs 3, 5-9``, which commands accept as it is printed."""
    return f"run{'s' if len(numbers) != 1 else ''} {', '.join(ranges(sorted(numbers)))}"


def ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Yield sorted numbers, consecutive ones as a range: ``5-9``."""
    start = previous = None
    for number in (*numbers, None):
        if start is not None and (number is None or number != previous + 1):  # type: ignore[operator]
            yield str(start) if start == previous else f"{start}-{previous}"
            start = None
        start, previous = (number if start is None else start), number


class Column(NamedTuple):
    """A column of a table: its title, its cells (which may be styled), and whether it is right-aligned."""

    title: str
    cells: Sequence[str]
    right: bool = False

    @property
    def width(self) -> int:
        """The width of its widest cell or of its title, in terminal columns."""
        return max([width_of(self.title), *(width_of(click.unstyle(cell)) for cell in self.cells)])

    @property
    def filled(self) -> int:
        """The number of cells that are not empty."""
        return sum(1 for cell in self.cells if cell)

    def capped(self, width: int) -> Column:
        """Return the column with cells and title cut to the width; a dotted title keeps its end, which tells most."""
        cut = shorten_left if "." in self.title else shorten
        return Column(cut(self.title, width), [_cut(c, width) for c in self.cells], self.right)


def terminal_width() -> int | None:
    """Return the width of the terminal in columns; None if the output is not a terminal and has no limit."""
    import sys

    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns


def render(columns: Sequence[Column], *, gap: str = "  ") -> str:
    """Return the table as lines: the titles, then the rows."""
    widths = [column.width for column in columns]
    rows = [[click.style(c.title, bold=True) if c.title.strip() else "" for c in columns]]
    rows += [list(row) for row in zip(*(c.cells for c in columns), strict=True)]
    # The last column is not padded: a terminal as wide as the table would wrap its lines.
    widths[-1] = max(widths[-1], 0) if columns[-1].right else 0
    return "\n".join(
        gap.join(
            _pad(cell, width, right=c.right)
            for cell, width, c in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    )


def cut_to_terminal(line: str) -> str:
    """Cut the line to the width of the terminal; a cut line loses its style."""
    width = terminal_width()
    return line if width is None else _cut(line, width)


def wrapped(line: str) -> str:
    """Wrap the line to the width of the terminal; further lines are indented by two columns more than the first."""
    width, plain = terminal_width(), click.unstyle(line)
    if width is None or width_of(plain) <= width:
        return line
    from textwrap import wrap

    blank = " " * (len(plain) - len(plain.lstrip()) + 2)
    parts = wrap(plain, width, subsequent_indent=blank, break_on_hyphens=False)
    is_dim = line.startswith(click.style("x", dim=True)[:4])
    return "\n".join(click.style(part, dim=True) if is_dim else part for part in parts)


def plain(text: str) -> str:
    """Remove the style from text."""
    return click.unstyle(text)


def width_of(text: str) -> int:
    """Return the width of text in terminal columns: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(one) in ("Mn", "Me", "Cf") else 2 if east_asian_width(one) in "WF" else 1
        for one in text
    )


def shorten(text: str, width: int) -> str:
    """Cut text to the width, with an ellipsis, between words where that loses less than a third of it."""
    if width_of(text) <= width:
        return text
    end = min(len(text), max(width - 1, 0))
    while end and width_of(text[:end]) > width - 1:
        end -= 1
    if not text[end : end + 1].isspace():
        space = text.rfind(" ", 0, end + 1)
        end = space if space > end * 2 // 3 else end
    return text[:end].rstrip() + "…"


def shorten_left(text: str, width: int) -> str:
    """Cut the beginning of text so that its end fits the width, with an ellipsis."""
    return text if width_of(text) <= width else shorten(text[::-1], width)[::-1]


def printable(text: str) -> str:
    """Escape what is not printable: control characters, line breaks, bidirectional controls, unassigned ones.

    Every string of a record goes through it on its way to a terminal: a record can come from somebody else, and an
    escape sequence could clear the screen, hide text, or set the clipboard; a bidirectional control reorders a line.
    The escapes are those of a Python string: ``\\x1b``, ``\\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def printable_lines(text: str) -> str:
    """Escape text that has several lines, line by line; tabs stay."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def _cut(text: str, width: int) -> str:
    """Cut styled text to the width; it loses its style if it is cut."""
    plain = click.unstyle(text)
    return text if width_of(plain) <= width else shorten(plain, width)


def _pad(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - width_of(click.unstyle(cell)))
    return blank + cell if right else cell + blank
