"""Several runs of one command line, a process each: asked for, shown while they run, and summed up."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence

import click

from ...batch.cells import Cell, prepare_cell
from ...batch.job import CellJob, list_items, reuse_cell
from ...batch.pool import Pool, Worker
from ...batch.report import Ended, ProcessReport
from ...capture.environment.ranks import find_rank
from ...capture.seeding.determinism import fixed_variables
from ...errors import ConfigError, RecorderError
from ...recording.experiment import Experiment
from ...records import new_id
from ...render.progress import Display, Progress, show_progress
from ...render.runs.config import count_runs
from ...render.runs.runs import runs_table
from ...render.runs.sweep import describe_cell
from ...render.text import shorten
from ...store.store import RunStore
from .options import RunOptions

# More than these are run only when somebody has said so.
ASK_ABOVE = 100
# So many of them are in the table at the end.
_SHOWN = 50
INTERRUPTED = 130
_WORKER = "from recorder.batch.worker import main"


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
    tags = (*options.tags, f"sweep-{new_id()[:6]}")
    pool = Pool(options.jobs, statement=_WORKER)
    ended: list[Ended] = []
    with show_progress(_shown(experiment.name, cells)) as progress:
        for one in _run_all(experiment, target, cells, options, pool, progress, tags):
            ended.append(one)
            progress.end(one)
    _sum_up([one.report for one in ended], waiting=pool.waiting, tag=tags[-1])
    if pool.interrupted:
        click.secho("recorder: interrupted", err=True, fg="red")
        return INTERRUPTED
    failed = any(one.report.exit_status for one in ended)
    return RecorderError.exit_status if failed else 0


def _shown(title: str, cells: Sequence[Cell]) -> Display:
    varied = [{key: shorten(value, 24) for key, value in cell.varied} for cell in cells]

    def row(worker: Worker) -> dict[str, str]:
        number = worker.report.number
        return {"run": "" if number is None else str(number), **varied[worker.place]}

    def describe(ended: Ended) -> str:
        return describe_cell(ended, varied[ended.place])

    return Display(title, len(cells), row, describe)


def _run_all(
    experiment: Experiment,
    target: str,
    cells: Sequence[Cell],
    options: RunOptions,
    pool: Pool,
    progress: Progress,
    tags: tuple[str, ...],
) -> Iterator[Ended]:
    """What is there already, without a process for it, and then the others."""
    make = _job_maker(target, options, tags=tags)
    jobs = []
    for place, cell in enumerate(cells):
        report = _reuse(experiment, cell, options, tags)
        if report is None:
            jobs.append((place, functools.partial(make, cell)))
        else:
            yield Ended(place, report, 0.0)
    yield from pool.run(jobs, tick=progress.tick)


def _reuse(
    experiment: Experiment, cell: Cell, options: RunOptions, tags: tuple[str, ...]
) -> ProcessReport | None:
    if not options.reuse and not experiment.options.reuse:
        return None
    call = prepare_cell(experiment, cell).call
    return None if call is None else reuse_cell(call, tags=tags)


def _ask(experiment: Experiment, count: int, options: RunOptions) -> None:
    if count <= ASK_ABOVE or options.yes:
        return
    said = f"{experiment.name}: {count_runs(count)}"
    if not sys.stdin.isatty():
        raise ConfigError(f"{said}, more than {ASK_ABOVE}: say --yes, or look with --dry-run")
    click.confirm(f"{said}. Run them?", abort=True, err=True)


def _job_maker(
    target: str, options: RunOptions, *, tags: tuple[str, ...]
) -> Callable[[Cell, str], CellJob]:
    argv = tuple(sys.argv)

    def make(cell: Cell, report: str) -> CellJob:
        return CellJob(
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


def _sum_up(reports: Sequence[ProcessReport], *, waiting: int, tag: str) -> None:
    """The table of the runs, how many ended how, and how to find them again."""
    recorded = sorted(
        (one for one in reports if one.number is not None), key=lambda r: r.number or 0
    )
    if recorded:
        store = RunStore(recorded[0].store)
        shown = [one.number for one in recorded[-_SHOWN:] if one.number is not None]
        click.echo(runs_table([store.get(number) for number in shown]))
        if len(recorded) > _SHOWN:
            click.secho(f"the last {_SHOWN} of {len(recorded)}", dim=True)
    counts = [
        (sum(one.status == "finished" and not one.reused for one in reports), "finished"),
        (sum(one.reused for one in reports), "reused"),
        (sum(one.status not in ("finished", "interrupted") for one in reports), "failed"),
        (sum(one.status == "interrupted" for one in reports), "interrupted"),
        (waiting, "not begun"),
    ]
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    click.secho(f"{said}: recorder list --tag {tag}" if recorded else said, err=True, dim=True)
