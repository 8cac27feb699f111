"""Figures as bytes: matplotlib's and plotly's, the same for the same figure whenever they are drawn."""

from __future__ import annotations

import io
import sys
from pathlib import PurePosixPath
from typing import Any

# What says when and by which version a file was made, by format; None leaves it out.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw(figure: Any, name: str) -> tuple[str, bytes]:
    """The name with the format's ending, and the file. Raises TypeError for what is no figure, or of another format.

    An Axes or a grid of seaborn's stands for its figure.
    """
    if hasattr(figure, "write_html") and hasattr(figure, "to_json"):
        return _draw_plotly(figure, name)
    if not hasattr(figure, "savefig"):
        figure = getattr(figure, "figure", None)
    if not hasattr(figure, "savefig"):
        raise TypeError("it is no figure of matplotlib or plotly")
    return _draw_matplotlib(figure, name)


def _draw_plotly(figure: Any, name: str) -> tuple[str, bytes]:
    suffix = PurePosixPath(name).suffix
    if suffix == ".html":
        # (Left out, the division's id is drawn at random.)
        page: str = figure.to_html(include_plotlyjs="cdn", div_id="figure")
        return name, page.encode()
    text: str = figure.to_json()
    return (name if suffix == ".json" else f"{name}.json"), text.encode()


def _draw_matplotlib(figure: Any, name: str) -> tuple[str, bytes]:
    suffix = PurePosixPath(name).suffix
    if suffix not in _METADATA:
        name, suffix = f"{name}.png", ".png"
    file = io.BytesIO()
    # (Left out, the ids in an SVG are drawn at random.)
    with sys.modules["matplotlib"].rc_context({"svg.hashsalt": "recorder"}):
        figure.savefig(file, format=suffix[1:], metadata=_METADATA[suffix])
    return name, file.getvalue()
