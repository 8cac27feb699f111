"""Several runs of one command line, a process each: asked for, shown while they run, and summed up."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence

import click

from ..capture.determinism import fixed_variables
from ..capture.ranks import find_rank
from ..errors import ConfigError, RecorderError
from ..experiment import Experiment
from ..records import new_id
from ..store.store import Store
from ..sweep.cells import Cell
from ..sweep.job import Job, Report, list_items
from ..sweep.pool import Pool, Worker
from .options import RunOptions
from .view.config import count_runs
from .view.progress import show_progress
from .view.runs import runs_table

# More than these are run only when somebody has said so.
ASK_ABOVE = 100
INTERRUPTED = 130


def run_sweep(
    experiment: Experiment, target: str, cells: Sequence[Cell], options: RunOptions
) -> int:
    """Run each cell in a process of its own; the exit status: 0, 3 where one failed, 130 interrupted."""
    if find_rank() is not None:
        raise ConfigError(
            f"{count_runs(len(cells))} in a job of several ranks: start a job for each"
        )
    _ask(experiment, len(cells), options)
    # A script's own command line has not been started with them: Python and the libraries read them once.
    os.environ.update(
        fixed_variables(os.environ, deterministic=options.deterministic, threads=options.threads)
    )
    tag = f"sweep-{new_id()[:6]}"
    pool = Pool(options.jobs)
    ended: list[Worker] = []
    with show_progress(experiment.name, cells) as progress:
        make = _job_maker(target, cells, options, tags=(*options.tags, tag))
        for worker in pool.run(
            [functools.partial(make, cell) for cell in cells], tick=progress.tick
        ):
            ended.append(worker)
            progress.end(worker)
    _sum_up([worker.report for worker in ended], waiting=pool.waiting, tag=tag)
    if pool.interrupted:
        click.secho("recorder: interrupted", err=True, fg="red")
        return INTERRUPTED
    failed = any(worker.report.exit_status for worker in ended)
    return RecorderError.exit_status if failed else 0


def _ask(experiment: Experiment, count: int, options: RunOptions) -> None:
    if count <= ASK_ABOVE or options.yes:
        return
    said = f"{experiment.name}: {count_runs(count)}"
    if not sys.stdin.isatty():
        raise ConfigError(f"{said}, more than {ASK_ABOVE}: say --yes, or look with --dry-run")
    click.confirm(f"{said}. Run them?", abort=True, err=True)


def _job_maker(
    target: str, cells: Sequence[Cell], options: RunOptions, *, tags: tuple[str, ...]
) -> Callable[[Cell, str], Job]:
    argv = tuple(sys.argv)

    def make(cell: Cell, report: str) -> Job:
        return Job(
            target=target,
            report=report,
            argv=argv,
            presets=options.presets,
            items=list_items(cell.assignments),
            seed=cell.seed,
            tags=tags,
            note=options.note,
            reuse=options.reuse,
        )

    return make


def _sum_up(reports: Sequence[Report], *, waiting: int, tag: str) -> None:
    """The table of the runs, how many ended how, and how to find them again."""
    recorded = sorted(
        (one for one in reports if one.number is not None), key=lambda r: r.number or 0
    )
    if recorded:
        store = Store(recorded[0].store)
        click.echo(runs_table([store.get(one.number) for one in recorded if one.number]))
    counts = [
        (sum(one.status == "finished" and not one.reused for one in reports), "finished"),
        (sum(one.reused for one in reports), "reused"),
        (sum(one.status not in ("finished", "interrupted") for one in reports), "failed"),
        (sum(one.status == "interrupted" for one in reports), "interrupted"),
        (waiting, "not begun"),
    ]
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    click.secho(f"{said}: recorder list --tag {tag}" if recorded else said, err=True, dim=True)
