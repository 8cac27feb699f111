"""Curves, points and parallel coordinates as files: PNG and SVG by matplotlib, HTML by plotly."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from .curves import Curve
from .terminal import Axes

# A curve in a file has at most two points for each bucket: a screen shows no more.
BUCKETS = 2000
_LEGEND = 20


class ParallelAxis(NamedTuple):
    """An axis of parallel coordinates: numbers, or for other values their positions in `texts`."""

    name: str
    values: list[float]
    texts: list[str] | None = None


def save(path: Path, curves: Sequence[Curve], axes: Axes) -> None:
    """Write the plot in the format of the suffix. Raises ImportError without the library, and OSError."""
    if path.suffix == ".html":
        _save_html(path, curves, axes)
    else:
        _save_picture(path, curves, axes)


def _save_picture(path: Path, curves: Sequence[Curve], axes: Axes) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    _plot(figure.subplots(), curves, axes)
    # Equal plots are equal files: no date, and no random ids in SVG.
    with matplotlib.rc_context({"svg.hashsalt": "recorder"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _plot(plot: Any, curves: Sequence[Curve], axes: Axes) -> None:
    """Plot the curves into matplotlib axes."""
    for one in curves:
        is_line = axes.joined and len(one.x) > 1
        plot.plot(
            one.x,
            one.y,
            label=one.label,
            lw=1.5,
            ls="-" if is_line else "",
            marker="" if is_line else "o",
        )
    plot.set_xlabel(axes.x, parse_math=False)
    plot.set_ylabel(axes.y, parse_math=False)
    if axes.log_x:
        plot.set_xscale("log")
    if axes.log_y:
        plot.set_yscale("log")
    plot.grid(alpha=0.3)
    if len(curves) <= _LEGEND:
        for text in plot.legend(fontsize=8).get_texts():
            text.set_parse_math(False)  # a dollar sign in a name does not start a formula


def _save_html(path: Path, curves: Sequence[Curve], axes: Axes) -> None:
    import plotly.graph_objects as go

    figure = go.Figure()
    for one in curves:
        mode = "lines" if axes.joined and len(one.x) > 1 else "markers"
        y = [None if value != value else value for value in one.y]
        figure.add_scatter(x=one.x, y=y, name=escape(one.label), mode=mode, connectgaps=False)
    figure.update_layout(
        template="plotly_white",
        xaxis_title=escape(axes.x),
        yaxis_title=escape(axes.y),
        showlegend=True,
        legend={"orientation": "h", "y": 1, "yanchor": "bottom"},
    )
    figure.update_xaxes(type="log" if axes.log_x else "linear")
    figure.update_yaxes(type="log" if axes.log_y else "linear")
    _write_html(figure, path)


def save_parallel(path: Path, columns: Sequence[ParallelAxis]) -> None:
    """Write parallel coordinates, one line per run, colored by the last column. Raises ImportError and OSError."""
    import plotly.graph_objects as go

    last = columns[-1]
    line = {"color": last.values, "colorscale": "Viridis", "showscale": last.texts is None}
    figure = go.Figure(go.Parcoords(line=line, dimensions=[_dimension(one) for one in columns]))
    figure.update_layout(template="plotly_white", margin={"t": 80, "l": 80, "r": 80})
    _write_html(figure, path)


def _dimension(column: ParallelAxis) -> dict[str, Any]:
    found: dict[str, Any] = {"label": escape(column.name), "values": column.values}
    if column.texts is not None:
        found |= {
            "tickvals": list(range(len(column.texts))),
            "ticktext": [escape(text) for text in column.texts],
        }
    return found


def _write_html(figure: Any, path: Path) -> None:
    """Write one file that contains plotly's script, so that it works offline."""
    path.write_text(figure.to_html(include_plotlyjs=True, full_html=True), encoding="utf-8")
