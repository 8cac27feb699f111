"""``recorder plot``: series, and values of many runs, drawn in the terminal or into a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..compare.curves import Curve, curve, labels, places
from ..points import SAMPLED, Point
from ..records import JSON, Record
from ..store.query import parse_key
from ..store.series import read_series
from ..store.store import Store
from .completion import complete_keys, complete_runs

_SUFFIXES = (".png", ".svg", ".html")


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@click.option(
    "-m",
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A series; several in one plot.",
)
@click.option(
    "--x",
    type=click.Choice(["step", "time"]),
    default="step",
    help="The x axis; time is in seconds of the run.",
)
@click.option(
    "--scatter",
    nargs=2,
    metavar="X Y",
    shell_complete=complete_keys,
    help="A point for each run: lr accuracy.",
)
@click.option(
    "--parallel",
    metavar="NAMES",
    shell_complete=complete_keys,
    help="Parallel coordinates, coloured by the last: 'lr,epochs,accuracy'; into an HTML file.",
)
@click.option(
    "-w",
    "--where",
    metavar="QUERY",
    shell_complete=complete_keys,
    help="The runs for which that holds.",
)
@click.option("--log", "log_y", is_flag=True, help="A logarithmic y axis.")
@click.option("--log-x", is_flag=True, help="A logarithmic x axis.")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Into a .png, .svg or .html file.",
)
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[str, ...],
    metrics: tuple[str, ...],
    x: str,
    scatter: tuple[str, str] | None,
    parallel: str | None,
    where: str | None,
    log_y: bool,
    log_x: bool,
    save: Path | None,
) -> None:
    """Plot the metric of each RUN by step or time, or values of many runs against each other.

    Where a run has one series only, --metric may be left out. --scatter and --parallel take all runs, or those that
    are named or that --where finds. NaN breaks a curve, and is counted below it with what else is not drawn.

    Example: recorder plot train~1 train --metric loss --log
    """  # fmt: skip
    _check(save, parallel=parallel, scatter=scatter, metrics=metrics)
    store = Store(ctx.obj)
    is_of_runs = scatter is not None or parallel is not None
    if not (runs or where or is_of_runs):
        raise click.UsageError("which runs? their numbers or names, or --where")
    records = _chosen(store, runs, where, every=is_of_runs)
    try:
        if parallel is not None and save is not None:
            count = _save_parallel(records, parallel, save)
            click.echo(f"{save}: {count} runs")
            return
        _plot(
            ctx,
            store,
            records,
            metrics,
            scatter,
            by_time=x == "time",
            logs=(log_x, log_y),
            save=save,
        )
    except ImportError as error:
        raise _missing(error) from error


def _check(
    save: Path | None,
    *,
    parallel: str | None,
    scatter: tuple[str, str] | None,
    metrics: Sequence[str],
) -> None:
    if sum((bool(metrics), scatter is not None, parallel is not None)) > 1:
        raise click.UsageError("one of --metric, --scatter and --parallel")
    if parallel is not None and (save is None or save.suffix != ".html"):
        raise click.UsageError("parallel coordinates are drawn into an HTML file: --save FILE.html")
    if save is not None and save.suffix not in _SUFFIXES:
        raise click.UsageError(f"{save} is none of {', '.join(_SUFFIXES)}")


def _chosen(store: Store, runs: Sequence[str], where: str | None, *, every: bool) -> list[Record]:
    """The runs that are named, and of the others those that the query finds; in either case each once."""
    named = [store.find(ref) for ref in runs]
    found = store.runs(where=where) if where or (every and not runs) else []
    return list({record.number: record for record in [*named, *found]}.values())


class _UnableError(click.ClickException):
    """Nothing is wrong with what was asked, and yet it cannot be done."""

    exit_code = 3


def _missing(error: ImportError) -> _UnableError:
    name = (error.name or "").partition(".")[0]
    return _UnableError(f"this plot needs {name}: pip install 'run-recorder[plot]'")


def _plot(
    ctx: click.Context,
    store: Store,
    records: Sequence[Record],
    metrics: Sequence[str],
    scatter: tuple[str, str] | None,
    *,
    by_time: bool,
    logs: tuple[bool, bool],
    save: Path | None,
) -> None:
    from .view.plot import DOTS, Axes, canvas_columns, draw, remarks

    if save is not None:
        from .view.picture import BUCKETS
        from .view.picture import save as write
    buckets = BUCKETS if save is not None else canvas_columns() * DOTS
    log_x, log_y = logs

    def make(label: str, points: Sequence[tuple[float, float]]) -> Curve:
        return curve(label, points, buckets=buckets, log_x=log_x, log_y=log_y)

    if scatter is not None:
        curves = [make(label, points) for label, points in _pairs(records, *scatter)]
        axes = Axes(*scatter, log_x, log_y, joined=False)
    else:
        found = _series(store, records, metrics)
        names = {name for _, name, _ in found}
        curves = [
            make(f"{label}  {name}" if len(names) > 1 else label, places(points, by_time=by_time))
            for label, name, points in found
        ]
        axes = Axes("seconds" if by_time else "step", ", ".join(sorted(names)), log_x, log_y)
    if not any(y == y for one in curves for y in one.y):
        raise _UnableError(
            "no point to draw: "
            + ("; ".join(map(click.unstyle, remarks(curves))) or "no such runs")
        )
    if save is None:
        from .view.text import terminal_width

        click.echo(
            draw(curves, axes, coloured=terminal_width() is not None and ctx.color is not False)
        )
        return
    write(save, curves, axes)
    count = len(curves) if axes.joined else sum(one.points for one in curves)
    what = "curve" if axes.joined else "run"
    click.echo("\n".join([f"{save}: {count} {what}{'s' * (count != 1)}", *remarks(curves)]))


def _series(
    store: Store, records: Sequence[Record], metrics: Sequence[str]
) -> list[tuple[str, str, list[Point]]]:
    """The series of each run with its label and name; of those that nobody named the only one there is."""
    every = [read_series(store, record) for record in records]
    known = sorted({name for series in every for name in series if not name.startswith(SAMPLED)})
    if not metrics:
        long = [name for name in known if any(len(series.get(name, ())) > 1 for series in every)]
        if len(long or known) != 1:
            raise click.UsageError(
                f"--metric: which one? there are {', '.join(known)}"
                if known
                else "the runs have no metrics"
            )
        metrics = long or known
    for name in metrics:
        if not any(name in series for series in every):
            import difflib

            near = difflib.get_close_matches(name, known, n=3) or known
            raise click.UsageError(
                f"no metric {name!r}; there are: {', '.join(near)}"
                if near
                else "the runs have no metrics"
            )
    return [
        (label, name, series[name])
        for label, series in zip(labels(records), every, strict=True)
        for name in metrics
        if name in series
    ]


def _pairs(
    records: Sequence[Record], x: str, y: str
) -> list[tuple[str, list[tuple[float, float]]]]:
    """The runs that have numbers for both names, under their experiments."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        document = record.to_document()
        left, right = (_number(parse_key(name)(document)) for name in (x, y))
        if left is not None and right is not None:
            found.setdefault(record.experiment, []).append((left, right))
    if not found:
        raise _UnableError(f"none of the {len(records)} runs has numbers for both {x} and {y}")
    return [
        (f"{name}: {len(points)} of {len(records)} runs", points) for name, points in found.items()
    ]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _save_parallel(records: Sequence[Record], names: str, path: Path) -> int:
    """How many runs there are in the drawing: those that have a value for each of the names."""
    from .view.picture import Column, save_parallel

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if len(wanted) < 2:
        raise click.UsageError("--parallel takes two names or more: 'lr,epochs,accuracy'")
    finds = [parse_key(name) for name in wanted]
    documents: list[dict[str, JSON]] = [record.to_document() for record in records]
    rows = [
        row for document in documents if None not in (row := [find(document) for find in finds])
    ]
    rows = [row for row in rows if not any(_is_endless(value) for value in row)]
    if not rows:
        raise _UnableError(
            f"none of the {len(records)} runs has a finite value for each of {', '.join(wanted)}"
        )
    columns = []
    for name, values in zip(wanted, zip(*rows, strict=True), strict=True):
        numbers = [_number(value) for value in values if not isinstance(value, bool)]
        if len(numbers) == len(values) and None not in numbers:
            columns.append(Column(name, [float(value) for value in values]))
        else:
            texts = list(dict.fromkeys(map(str, values)))
            columns.append(Column(name, [float(texts.index(str(v))) for v in values], texts))
    save_parallel(path, columns)
    return len(rows)


def _is_endless(value: Any) -> bool:
    return isinstance(value, float) and not abs(value) < float("inf")
