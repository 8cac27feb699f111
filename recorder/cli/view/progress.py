"""A sweep while it runs: on a terminal a table of what is running under a bar, else a line for each run that ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from ...store.store import Store
from ...sweep.cells import Cell
from ...sweep.job import Ended, Report
from ...sweep.pool import Pool, Worker
from .text import duration, shorten

if TYPE_CHECKING:
    from rich.console import Group

# Of those that run, a terminal shows no more.
_MOST = 20


class Progress(Protocol):
    """What is told how a sweep goes on."""

    def tick(self, pool: Pool) -> None:
        """Called some times a second."""

    def end(self, ended: Ended) -> None:
        """Called for each run that has ended."""


@contextmanager
def show_progress(experiment: str, cells: Sequence[Cell]) -> Iterator[Progress]:
    """Show it on stderr while the block lasts."""
    if not sys.stderr.isatty():
        yield _Lines(cells)
        return
    live = _Live(experiment, cells)
    with live.shown:
        yield live


class _Lines:
    """A line for each run that has ended."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells
        self._done = 0

    def tick(self, pool: Pool) -> None:
        """Nothing."""

    def end(self, ended: Ended) -> None:
        self._done += 1
        click.echo(f"{self._done}/{len(self._cells)}  {describe(ended, self._cells)}", err=True)


class _Live:
    """The bar, and the runs in progress; what has failed is said above them, and stays."""

    def __init__(self, experiment: str, cells: Sequence[Cell]) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._cells = cells
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._task = self._bar.add_task(experiment, total=len(cells), failed="")
        self._failed = 0
        self.shown = Live(self._bar, console=console, transient=True, refresh_per_second=8)

    def tick(self, pool: Pool) -> None:
        self.shown.update(self._draw(pool.workers))

    def end(self, ended: Ended) -> None:
        self._bar.advance(self._task)
        if ended.report.status != "finished":
            self._failed += ended.report.status != "interrupted"
            if self._failed:
                self._bar.update(self._task, failed=f"{self._failed} failed")
            text = describe(ended, self._cells)
            self.shown.console.print(text, style="red", markup=False, highlight=False)

    def _draw(self, workers: Sequence[Worker]) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0))
        names = list(dict.fromkeys(key for cell in self._cells for key, _ in cell.varied))
        for title in ("run", *names, "for"):
            table.add_column(title, style="dim", header_style="dim")
        for worker in workers[:_MOST]:
            varied = dict(self._cells[worker.cell].varied)
            number = "" if worker.report.number is None else str(worker.report.number)
            values = [shorten(varied.get(name, ""), 24) for name in names]
            table.add_row(number, *map(Text, values), duration(worker.duration_s))
        return Group(self._bar, table)


def describe(ended: Ended, cells: Sequence[Cell]) -> str:
    """How a run ended, in one line, and of one that failed what it said."""
    report = ended.report
    name = "no run" if report.number is None else f"run {report.number}"
    varied = " ".join(f"{key}={shorten(value, 24)}" for key, value in cells[ended.cell].varied)
    said = _reason(report)
    status = "reused" if report.reused else report.status
    text = f"{name}  {varied}  {status}  {duration(ended.duration_s)}"
    return f"{text}  {shorten(said, 200)}" if said else text


def _reason(report: Report) -> str:
    if report.error or report.status != "failed" or report.number is None:
        return report.error
    failure = Store(report.store).get(report.number).failure
    if failure is None:
        return ""
    return f"{failure.type.removeprefix('builtins.')}: {failure.message}".partition("\n")[0]
