"""``recorder plot``: plot metrics, or values of many runs, in the terminal or into a file."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ...records import Record
from ...render.plots.curves import Curve, curve
from ...store.store import RunStore
from ..completion import complete_keys, complete_runs
from ..plot_data import UnableError, pair_curves, parallel_columns, series_curves
from ..run_selection import RunSelection, find_runs, require_runs, selection_options

if TYPE_CHECKING:
    from ...render.plots.terminal import Axes

_SUFFIXES = (".png", ".svg", ".html")


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@click.option(
    "-m",
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Metric to plot; repeat for several in one plot. Default: the only one.",
)
@click.option(
    "--x",
    type=click.Choice(["step", "time"]),
    default="step",
    show_default=True,
    help="Horizontal axis; time is in seconds since the start of the run.",
)
@click.option(
    "--scatter",
    nargs=2,
    metavar="X Y",
    shell_complete=complete_keys,
    help="Plot one point per run, such as: lr accuracy.",
)
@click.option(
    "--parallel",
    metavar="NAMES",
    shell_complete=complete_keys,
    help="Plot parallel coordinates, colored by the last name, such as 'lr,epochs,accuracy'; needs --save FILE.html.",
)
@selection_options
@click.option("--log", "log_y", is_flag=True, help="Use a logarithmic y axis.")
@click.option("--log-x", is_flag=True, help="Use a logarithmic x axis.")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a .png, .svg or .html file instead.",
)
@click.pass_context
def command(ctx: click.Context, /, runs: tuple[str, ...], **options: Any) -> None:
    """Plot metrics, or values of many runs, in the terminal or into a file.

    \b
    Examples:
      recorder plot train~1 train --metric loss --log
      recorder plot --scatter lr accuracy

    A metric is plotted by step or time, one curve per run. --scatter and --parallel plot all runs unless you name
    runs or use --where, --tag or --failed. NaN breaks a curve; values that cannot be drawn are counted below it.

    Needs pip install 'run-recorder[plot]'.
    """
    wanted = _Wanted(**options)
    wanted.check(runs)
    store = RunStore(ctx.obj)
    records = find_runs(store, runs, wanted.selection)
    try:
        if wanted.parallel is not None:
            text = _save_parallel(records, wanted)
        elif wanted.save is not None:
            text = _save_curves(store, records, wanted)
        else:
            text = _draw(store, records, wanted, is_colored=ctx.color is not False)
    except ImportError as error:
        name = (error.name or "").partition(".")[0]
        hint = f"this plot needs {name}: pip install 'run-recorder[plot]'"
        raise UnableError(hint) from error
    click.echo(text)


class _Wanted(NamedTuple):
    """The options of the command."""

    metrics: tuple[str, ...]
    x: str
    scatter: tuple[str, str] | None
    parallel: str | None
    selection: RunSelection
    log_y: bool
    log_x: bool
    save: Path | None

    def check(self, runs: Sequence[str]) -> None:
        """Raise click.UsageError if options contradict each other, or no runs are named."""
        save = self.save
        if sum((bool(self.metrics), self.scatter is not None, self.parallel is not None)) > 1:
            raise click.UsageError("give one of --metric, --scatter and --parallel")
        if self.parallel is not None and (save is None or save.suffix != ".html"):
            raise click.UsageError("parallel coordinates need an HTML file: --save FILE.html")
        if save is not None and save.suffix not in _SUFFIXES:
            raise click.UsageError(f"cannot write {save}: use one of {', '.join(_SUFFIXES)}")
        if self.scatter is None and self.parallel is None:
            require_runs(runs, self.selection)


def _draw(store: RunStore, records: Sequence[Record], wanted: _Wanted, *, is_colored: bool) -> str:
    """Return the drawing for the terminal."""
    from ...render.plots.terminal import DOTS, canvas_columns, draw
    from ...render.text import terminal_width

    curves, axes = _curves(store, records, wanted, buckets=canvas_columns() * DOTS)
    return draw(curves, axes, colored=is_colored and terminal_width() is not None)


def _save_curves(store: RunStore, records: Sequence[Record], wanted: _Wanted) -> str:
    """Write the file, and return a summary of it."""
    from ...render.plots.picture import BUCKETS, save
    from ...render.plots.terminal import remarks

    assert wanted.save is not None
    curves, axes = _curves(store, records, wanted, buckets=BUCKETS)
    save(wanted.save, curves, axes)
    count = len(curves) if axes.joined else sum(one.points for one in curves)
    what = "curve" if axes.joined else "run"
    return "\n".join([f"{wanted.save}: {count} {what}{'s' * (count != 1)}", *remarks(curves)])


def _curves(
    store: RunStore, records: Sequence[Record], wanted: _Wanted, *, buckets: int
) -> tuple[list[Curve], Axes]:
    """Return the curves and their axes. Raises UnableError if no point can be drawn."""
    from ...render.plots.terminal import remarks

    make = functools.partial(curve, buckets=buckets, log_x=wanted.log_x, log_y=wanted.log_y)
    if wanted.scatter is not None:
        curves, axes = pair_curves(records, *wanted.scatter, make=make)
    else:
        curves, axes = series_curves(
            store, records, wanted.metrics, by_time=wanted.x == "time", make=make
        )
    if not any(y == y for one in curves for y in one.y):
        why = "; ".join(map(click.unstyle, remarks(curves))) or "no run has such points"
        raise UnableError(f"nothing to plot: {why}")
    return curves, axes._replace(log_x=wanted.log_x, log_y=wanted.log_y)


def _save_parallel(records: Sequence[Record], wanted: _Wanted) -> str:
    """Write the file, and return a summary of it."""
    from ...render.plots.picture import save_parallel

    assert wanted.save is not None and wanted.parallel is not None
    columns = parallel_columns(records, wanted.parallel)
    save_parallel(wanted.save, columns)
    return f"{wanted.save}: {len(columns[0].values)} runs"
