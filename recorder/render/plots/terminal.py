"""Curves and points in the terminal, drawn by plotille."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import click
import plotille

from ..text import cut_to_terminal, printable, terminal_width
from .curves import Curve

# A terminal cell has two dots side by side; more points cannot be distinguished.
DOTS = 2
_HEIGHT = 18
_WIDTH = 80
# The left margin with the axis, and the tick labels in it.
_MARGIN, _TICK = 14, 10
_COLORS = ("blue", "red", "green", "yellow", "magenta", "cyan", "bright_blue", "bright_red", "bright_green",
            "bright_yellow", "bright_magenta", "bright_cyan")  # fmt: skip
_MARKS = "abcdefghijklmnopqrstuvwxyz"
_LISTED = 12
_EDGE = 0.02
_MOST = 308  # the largest power of ten of a float
# One row in three has a tick.
_EVERY = 3


class Axes(NamedTuple):
    """The labels of the axes, whether they are logarithmic, and whether points are joined."""

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False
    joined: bool = True


def canvas_columns() -> int:
    """Return the number of terminal columns for the curves."""
    return max((terminal_width() or _WIDTH) - _MARGIN, 20)


def draw(curves: Sequence[Curve], axes: Axes, *, colored: bool) -> str:
    """Return the curves, their legend, and a count of the points that are not drawn.

    Without colors, each of several curves has a letter. At least one point must be drawable.
    """
    figure = _empty_figure(axes, colored=colored)
    _add(figure, curves, axes, by_letter=len(curves) > 1 and not colored)
    head = click.style(printable(axes.y), bold=True) + (" (log)" if axes.log_y else "")
    foot = f"{printable(axes.x)}{' (log)' if axes.log_x else ''}"
    foot = foot.rjust(_MARGIN + canvas_columns() - 2)
    return "\n".join(
        [head, *_rows(figure.show()), foot, *_legend(curves, colored), *remarks(curves)]
    )


def _empty_figure(axes: Axes, *, colored: bool) -> plotille.Figure:
    figure = plotille.Figure()
    figure.width, figure.height = canvas_columns(), _HEIGHT
    figure.with_colors, figure.color_mode, figure.origin = colored, "names", False
    figure.x_label, figure.y_label = "", ""
    figure.x_ticks_fkt, figure.y_ticks_fkt = _ticks(axes.log_x, 9), _ticks(axes.log_y, _TICK)
    return figure


def _add(figure: plotille.Figure, curves: Sequence[Curve], axes: Axes, *, by_letter: bool) -> None:
    """Add the curves to the figure, and set its limits to theirs."""
    every: tuple[list[float], list[float]] = ([], [])
    for number, one in enumerate(curves):
        color = _COLORS[number % len(_COLORS)]
        mark = _MARKS[number % len(_MARKS)] if by_letter else None if axes.joined else "o"
        for x, y in one.drawn():
            x, y = _scaled(x, log=axes.log_x), _scaled(y, log=axes.log_y)
            every[0].extend(x)
            every[1].extend(y)
            if axes.joined and len(x) > 1 and not by_letter:
                figure.plot(x, y, lc=color)
            else:
                figure.scatter(x, y, lc=color, marker=mark)
    figure.set_x_limits(*_limits(every[0]))
    figure.set_y_limits(*_limits(every[1]))


def _rows(shown: str) -> list[str]:
    """Return the lines of a plotille figure, no wider than the canvas with its margin."""
    *rows, axis, ticks = shown.splitlines()[2:]
    width = _MARGIN + canvas_columns() - 1
    ticks = ticks.rstrip()
    # A number that does not fit is left out: half a number would be wrong.
    ticks = ticks if len(ticks) <= width else ticks[:width].rpartition(" ")[0]
    lines = [_row(row, is_ticked=number % _EVERY == 0) for number, row in enumerate(rows)]
    return [*lines, axis[:width], ticks]


def _row(row: str, *, is_ticked: bool) -> str:
    row = row if is_ticked else " " * _TICK + row[_TICK:]
    return row.rstrip(" \u2800")  # braille without a dot


def remarks(curves: Sequence[Curve]) -> list[str]:
    """Describe the points that are not drawn."""
    notes = []
    for one in curves:
        if one.undrawn:
            kinds = ", ".join(f"{count} {kind}" for kind, count in one.undrawn.items())
            notes.append(
                f"{one.label}: {sum(one.undrawn.values())} of {one.points} points not drawn ({kinds})"
            )
    thinned = [one.points for one in curves if one.thinned]
    if thinned:
        notes.append(
            f"up to {max(thinned):,} points per curve: only the extremes of neighboring points are drawn"
        )
    return [click.style(cut_to_terminal(printable(line)), dim=True) for line in notes]


def _legend(curves: Sequence[Curve], colored: bool) -> list[str]:
    lines = []
    for number, one in enumerate(curves[:_LISTED]):
        mark = "──" if colored else _MARKS[number % len(_MARKS)] if len(curves) > 1 else "──"
        sign = click.style(mark, fg=_COLORS[number % len(_COLORS)]) if colored else mark
        lines.append(cut_to_terminal(f"  {sign} {printable(one.label)}"))
    more = len(curves) - _LISTED
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _scaled(values: Sequence[float], *, log: bool) -> list[float]:
    return [math.log10(value) for value in values] if log else list(values)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis a little beyond the largest value: plotille does not draw a point on the upper edge."""
    least, greatest = min(values), max(values)
    if greatest - least > 1e-12 * max(abs(least), abs(greatest)):
        return least, greatest + (greatest - least) * _EDGE
    return least - (abs(least) / 2 or 1), greatest + (abs(greatest) / 2 or 1)


def _ticks(is_log: bool, width: int) -> Callable[[float, float], str]:
    """Return a function that formats a tick in `width` columns."""

    def text(low: float, high: float) -> str:
        value = 10.0 ** min(low, _MOST) if is_log else low
        # A rounding error of the tick at zero would print as 1e-17.
        value = 0.0 if not is_log and abs(value) < abs(high - low) * 1e-9 else value
        return f"{value:.4g}".ljust(width) if width < _TICK else f"{value:.4g}".rjust(width)

    return text
