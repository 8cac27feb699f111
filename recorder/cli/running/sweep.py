"""Sweeps: run several configs, a process each, show their progress, and summarize them."""

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
from ...render.runs.config import count_runs
from ...render.runs.runs import runs_table
from ...render.runs.sweep import describe_cell
from ...render.text import shorten
from ...store.store import RunStore
from ..progress import Display, Progress, show_progress
from .options import RunOptions

# A sweep of more runs needs a confirmation.
ASK_ABOVE = 100
# The table at the end has at most so many rows.
_SHOWN = 50
INTERRUPTED = 130
_WORKER = "from recorder.batch.worker import main"


def run_sweep(
    experiment: Experiment, target: str, cells: Sequence[Cell], options: RunOptions
) -> int:
    """Run each cell in its own process, and return the exit status: 0, 3 if one failed, 130 if interrupted."""
    if find_rank() is not None:
        raise ConfigError(
            f"a sweep of {count_runs(len(cells))} cannot run in a job of several ranks; start a job for each run"
        )
    _ask(experiment, len(cells), options)
    # `recorder run` has restarted with these variables; a script's own command line has not.
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
    """Yield the runs that can be reused, then run the others."""
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
    question = f"{experiment.name}: {count_runs(count)}"
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{question}, more than {ASK_ABOVE}; confirm with --yes, or list them with --dry-run"
        )
    click.confirm(f"{question}. Run them?", abort=True, err=True)


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
    """Print the table of the runs, the counts by status, and the command that lists them again."""
    recorded = sorted(
        (one for one in reports if one.number is not None), key=lambda r: r.number or 0
    )
    if recorded:
        store = RunStore(recorded[0].store)
        shown = [one.number for one in recorded[-_SHOWN:] if one.number is not None]
        click.echo(runs_table([store.get(number) for number in shown]))
        if len(recorded) > _SHOWN:
            click.secho(f"the last {_SHOWN} of {len(recorded)} runs", dim=True)
    counts = [
        (sum(one.status == "finished" and not one.reused for one in reports), "finished"),
        (sum(one.reused for one in reports), "reused"),
        (sum(one.status not in ("finished", "interrupted") for one in reports), "failed"),
        (sum(one.status == "interrupted" for one in reports), "interrupted"),
        (waiting, "not started"),
    ]
    line = ", ".join(f"{count} {status}" for count, status in counts if count)
    click.secho(f"{line}: recorder list --tag {tag}" if recorded else line, err=True, dim=True)
