"""Figures of matplotlib and plotly as bytes that are equal for equal figures."""

from __future__ import annotations

import io
import sys
from pathlib import PurePosixPath
from typing import Any

# Metadata that contains the time or the version of the software, by format. None leaves it out.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw(figure: Any, name: str) -> tuple[str, bytes]:
    """Render a figure and return its file name, with the suffix of the format, and its bytes.

    An Axes or a seaborn grid stands for its figure. Raises TypeError if the object is not a figure.
    """
    if hasattr(figure, "write_html") and hasattr(figure, "to_json"):
        return _draw_plotly(figure, name)
    if not hasattr(figure, "savefig"):
        figure = getattr(figure, "figure", None)
    if not hasattr(figure, "savefig"):
        raise TypeError("not a matplotlib or plotly figure")
    return _draw_matplotlib(figure, name)


def _draw_plotly(figure: Any, name: str) -> tuple[str, bytes]:
    suffix = PurePosixPath(name).suffix
    if suffix == ".html":
        # Without an id, plotly draws one at random.
        page: str = figure.to_html(include_plotlyjs="cdn", div_id="figure")
        return name, page.encode()
    text: str = figure.to_json()
    return (name if suffix == ".json" else f"{name}.json"), text.encode()


def _draw_matplotlib(figure: Any, name: str) -> tuple[str, bytes]:
    suffix = PurePosixPath(name).suffix
    if suffix not in _METADATA:
        name, suffix = f"{name}.png", ".png"
    file = io.BytesIO()
    # Without a salt, matplotlib draws the ids in an SVG at random.
    with sys.modules["matplotlib"].rc_context({"svg.hashsalt": "recorder"}):
        figure.savefig(file, format=suffix[1:], metadata=_METADATA[suffix])
    return name, file.getvalue()
