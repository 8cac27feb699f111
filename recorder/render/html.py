"""Tables and charts for notebooks: all text is escaped, and nothing is loaded from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

__all__ = ["block", "escape", "line_chart", "table"]

_WIDTH, _HEIGHT = 320, 80
# Two points for each pixel: more would not be visible.
_MOST_POINTS = 640


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool] = ()
) -> str:
    """Return a table; columns for which `right` is true are right-aligned."""
    sides = [*right, *[False] * (len(titles) - len(right))]
    styles = [f'style="text-align:{"right" if side else "left"}"' for side in sides]

    def row(tag: str, cells: Sequence[str]) -> str:
        inner = (f"<{tag} {s}>{escape(c)}</{tag}>" for s, c in zip(styles, cells, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    head = f"<thead>{row('th', titles)}</thead>" if any(titles) else ""
    body = "".join(row("td", cells) for cells in rows)
    return f"<table>{head}<tbody>{body}</tbody></table>"


def block(title: str, inner: str, *, note: str = "") -> str:
    """Return `inner` (HTML) below a title, with a note next to the title."""
    remark = f' <span style="opacity:.6">{escape(note)}</span>' if note else ""
    return f"<div><b>{escape(title)}</b>{remark}{inner}</div>"


def line_chart(points: Sequence[tuple[float, float]]) -> str:
    """Return a line chart as SVG, broken at values that are not finite; "" if fewer than two points are finite."""
    kept = points[:: math.ceil(len(points) / _MOST_POINTS) or 1]
    finite = [(x, y) for x, y in kept if math.isfinite(x) and math.isfinite(y)]
    if len(finite) < 2:
        return ""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*finite, strict=True))

    def place(x: float, y: float) -> str:
        across, up = _share(x, left, right), _share(y, low, high)
        return f"{2 + across * (_WIDTH - 4):.1f},{_HEIGHT - 2 - up * (_HEIGHT - 4):.1f}"

    parts: list[list[str]] = [[]]
    for x, y in kept:
        if math.isfinite(x) and math.isfinite(y):
            parts[-1].append(place(x, y))
        else:
            parts.append([])
    lines = "".join(
        f'<polyline points="{" ".join(part)}" fill="none" stroke="currentColor"/>'
        for part in parts
        if part
    )
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img">{lines}</svg>'


def _share(value: float, low: float, high: float) -> float:
    """Return the place of the value between the two, 0 to 1; halved, since the range of all floats overflows."""
    return (value / 2 - low / 2) / ((high / 2 - low / 2) or 1)
