"""Tables and drawings for notebooks; every text is escaped, and nothing is loaded from anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

__all__ = ["block", "escape", "line_chart", "table"]

_WIDTH, _HEIGHT = 320, 80
# A drawing of more points than places says no more.
_MOST_POINTS = 640


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool] = ()
) -> str:
    """A table; the columns for which `right` is true stand to the right."""
    sides = [*right, *[False] * (len(titles) - len(right))]
    styles = [f'style="text-align:{"right" if side else "left"}"' for side in sides]

    def row(tag: str, cells: Sequence[str]) -> str:
        inner = (f"<{tag} {s}>{escape(c)}</{tag}>" for s, c in zip(styles, cells, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    head = f"<thead>{row('th', titles)}</thead>" if any(titles) else ""
    body = "".join(row("td", cells) for cells in rows)
    return f"<table>{head}<tbody>{body}</tbody></table>"


def block(title: str, inner: str, *, note: str = "") -> str:
    """What `inner` shows (HTML) under a title, with a remark beside it."""
    beside = f' <span style="opacity:.6">{escape(note)}</span>' if note else ""
    return f"<div><b>{escape(title)}</b>{beside}{inner}</div>"


def line_chart(points: Sequence[tuple[float, float]]) -> str:
    """A line through the points as SVG, broken where a value is no finite number; "" where there is nothing to draw."""
    kept = points[:: math.ceil(len(points) / _MOST_POINTS) or 1]
    there = [(x, y) for x, y in kept if math.isfinite(x) and math.isfinite(y)]
    if len(there) < 2:
        return ""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*there, strict=True))

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
    """Where the value lies between the two, 0 to 1; halves, as the range of all floats is none itself."""
    return (value / 2 - low / 2) / ((high / 2 - low / 2) or 1)
