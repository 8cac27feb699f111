"""``recorder plot``: series, and values of many runs, drawn in the terminal or into a file."""

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
from ..run_selection import named_runs, where_option

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
@where_option
@click.option("--log", "log_y", is_flag=True, help="A logarithmic y axis.")
@click.option("--log-x", is_flag=True, help="A logarithmic x axis.")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Into a .png, .svg or .html file.",
)
@click.pass_context
def command(ctx: click.Context, /, runs: tuple[str, ...], **options: Any) -> None:
    """Plot the metric of each RUN by step or time, or values of many runs against each other.

    Where a run has one series only, --metric may be left out. --scatter and --parallel take all runs, or those that
    are named or that --where finds. NaN breaks a curve, and is counted below it with what else is not drawn.

    Example: recorder plot train~1 train --metric loss --log
    """
    wanted = _Wanted(**options)
    wanted.check(runs)
    store = RunStore(ctx.obj)
    is_named = bool(runs or wanted.where)
    records = named_runs(store, runs, where=wanted.where) if is_named else list(store.runs())
    try:
        if wanted.parallel is not None:
            said = _save_parallel(records, wanted)
        elif wanted.save is not None:
            said = _save_curves(store, records, wanted)
        else:
            said = _draw(store, records, wanted, is_coloured=ctx.color is not False)
    except ImportError as error:
        name = (error.name or "").partition(".")[0]
        hint = f"this plot needs {name}: pip install 'run-recorder[plot]'"
        raise UnableError(hint) from error
    click.echo(said)


class _Wanted(NamedTuple):
    """The options of the command."""

    metrics: tuple[str, ...]
    x: str
    scatter: tuple[str, str] | None
    parallel: str | None
    where: str | None
    log_y: bool
    log_x: bool
    save: Path | None

    @property
    def is_of_runs(self) -> bool:
        """Whether a run is a point of it, or a line, and not a curve."""
        return self.scatter is not None or self.parallel is not None

    def check(self, runs: Sequence[str]) -> None:
        """Raises click.UsageError where the options do not go together, or no runs are named."""
        save = self.save
        if sum((bool(self.metrics), self.scatter is not None, self.parallel is not None)) > 1:
            raise click.UsageError("one of --metric, --scatter and --parallel")
        if self.parallel is not None and (save is None or save.suffix != ".html"):
            raise click.UsageError(
                "parallel coordinates are drawn into an HTML file: --save FILE.html"
            )
        if save is not None and save.suffix not in _SUFFIXES:
            raise click.UsageError(f"{save} is none of {', '.join(_SUFFIXES)}")
        if not (runs or self.where or self.is_of_runs):
            raise click.UsageError("which runs? their numbers or names, or --where")


def _draw(store: RunStore, records: Sequence[Record], wanted: _Wanted, *, is_coloured: bool) -> str:
    """The drawing for the terminal."""
    from ...render.plots.terminal import DOTS, canvas_columns, draw
    from ...render.text import terminal_width

    curves, axes = _curves(store, records, wanted, buckets=canvas_columns() * DOTS)
    return draw(curves, axes, coloured=is_coloured and terminal_width() is not None)


def _save_curves(store: RunStore, records: Sequence[Record], wanted: _Wanted) -> str:
    """Write the file; what is said of it."""
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
    """The curves and their axes. Raises UnableError where no point of them can be drawn."""
    from ...render.plots.terminal import remarks

    make = functools.partial(curve, buckets=buckets, log_x=wanted.log_x, log_y=wanted.log_y)
    if wanted.scatter is not None:
        curves, axes = pair_curves(records, *wanted.scatter, make=make)
    else:
        curves, axes = series_curves(
            store, records, wanted.metrics, by_time=wanted.x == "time", make=make
        )
    if not any(y == y for one in curves for y in one.y):
        why = "; ".join(map(click.unstyle, remarks(curves))) or "no such runs"
        raise UnableError(f"no point to draw: {why}")
    return curves, axes._replace(log_x=wanted.log_x, log_y=wanted.log_y)


def _save_parallel(records: Sequence[Record], wanted: _Wanted) -> str:
    """Write the file; what is said of it."""
    from ...render.plots.picture import save_parallel

    assert wanted.save is not None and wanted.parallel is not None
    columns = parallel_columns(records, wanted.parallel)
    save_parallel(wanted.save, columns)
    return f"{wanted.save}: {len(columns[0].values)} runs"
