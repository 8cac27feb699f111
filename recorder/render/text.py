"""Numbers, times and values as a person reads them, and plain tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

import click

from .. import codec
from ..records import Metric, Record

STATUS_COLOURS = {
    "finished": "green",
    "running": "cyan",
    "failed": "red",
    "interrupted": "yellow",
    "lost": "magenta",
}

_VERDICT_COLOURS = {"reproduced": "green", "close": "green", "diverged": "red", "failed": "red"}

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


def status_or_verdict(record: Record) -> str:
    """A cell's worth: of a replay the verdict, which it has only when it has ended; in its colour."""
    if record.verdict is None:
        return status(record)
    verdict = record.verdict.verdict
    return click.style(verdict, fg=_VERDICT_COLOURS.get(verdict, "yellow"))


def styled_grade(record: Record) -> str:
    """How far the run can be replayed, in its colour; "" for one in progress, of which nothing is known yet."""
    if record.status == "running":
        return ""
    from ..hazards import grade

    found = grade(record)
    return click.style(found, fg=_GRADE_COLOURS[found])


def describe_runs(numbers: Sequence[int]) -> str:
    """``run 3``, ``runs 3, 5-9``."""
    return f"run{'s' if len(numbers) != 1 else ''} {', '.join(ranges(sorted(numbers)))}"


def ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Numbers in order, those that follow each other as ``5-9``."""
    start = previous = None
    for number in (*numbers, None):
        if start is not None and (number is None or number != previous + 1):  # type: ignore[operator]
            yield str(start) if start == previous else f"{start}-{previous}"
            start = None
        start, previous = (number if start is None else start), number


class Column(NamedTuple):
    """A column of a table: its title, its cells (styled text is fine), and its side."""

    title: str
    cells: Sequence[str]
    right: bool = False

    @property
    def width(self) -> int:
        """The places that its widest cell, or its title, takes in a terminal."""
        return max([width_of(self.title), *(width_of(click.unstyle(cell)) for cell in self.cells)])

    @property
    def filled(self) -> int:
        """How many of its cells hold something."""
        return sum(1 for cell in self.cells if cell)

    def capped(self, width: int) -> Column:
        """The same, cells and title cut to that width; of a dotted title the end stays, which says the most."""
        cut = shorten_left if "." in self.title else shorten
        return Column(cut(self.title, width), [_cut(c, width) for c in self.cells], self.right)


def terminal_width() -> int | None:
    """The terminal's width in places; None where the output is no terminal and may be as wide as it is."""
    import sys

    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns


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


def cut_to_terminal(line: str) -> str:
    """The line no wider than the terminal; where it is cut, without its style."""
    width = terminal_width()
    return line if width is None else _cut(line, width)


def wrapped(line: str) -> str:
    """The line in as many as the terminal is wide for, the further ones indented like what follows its first blanks."""
    width, plain = terminal_width(), click.unstyle(line)
    if width is None or width_of(plain) <= width:
        return line
    from textwrap import wrap

    blank = " " * (len(plain) - len(plain.lstrip()) + 2)
    parts = wrap(plain, width, subsequent_indent=blank, break_on_hyphens=False)
    is_dim = line.startswith(click.style("x", dim=True)[:4])
    return "\n".join(click.style(part, dim=True) if is_dim else part for part in parts)


def plain(text: str) -> str:
    """Styled text without its style."""
    return click.unstyle(text)


def width_of(text: str) -> int:
    """The places that the text takes in a terminal: two for a wide letter, none for what combines with another."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(one) in ("Mn", "Me", "Cf") else 2 if east_asian_width(one) in "WF" else 1
        for one in text
    )


def shorten(text: str, width: int) -> str:
    """The text cut to so many places, with an ellipsis."""
    if width_of(text) <= width:
        return text
    end = min(len(text), max(width - 1, 0))
    while end and width_of(text[:end]) > width - 1:
        end -= 1
    return text[:end] + "…"


def shorten_left(text: str, width: int) -> str:
    """The end of the text in so many places, with an ellipsis before it."""
    return text if width_of(text) <= width else shorten(text[::-1], width)[::-1]


def printable(text: str) -> str:
    """The text with what would move the cursor, or colour what follows, written as in a string."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _cut(text: str, width: int) -> str:
    """Styled text that is too wide without its style."""
    plain = click.unstyle(text)
    return text if width_of(plain) <= width else shorten(plain, width)


def _pad(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - width_of(click.unstyle(cell)))
    return blank + cell if right else cell + blank
