"""Progress of many processes: on a terminal a bar and a table of those that run, else a line for each that ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

from ..batch.pool import Pool, Worker
from ..batch.report import Ended
from ..render.text import duration

if TYPE_CHECKING:
    from rich.console import Group

# A terminal shows at most so many running processes.
_MOST = 20


class Display(NamedTuple):
    """The content of the display.

    `title` and `total` label the bar, `row` gives the cells of a running process, and `describe` a line for one that
    ended. The line of a process for which `is_good` is false stays above the bar, which counts them as `bad`.
    """

    title: str
    total: int
    row: Callable[[Worker], Mapping[str, str]]
    describe: Callable[[Ended], str]
    is_good: Callable[[Ended], bool] = lambda ended: ended.report.status == "finished"
    bad: str = "failed"


class Progress(Protocol):
    """A listener to the progress."""

    def tick(self, pool: Pool) -> None:
        """Called several times a second."""

    def end(self, ended: Ended) -> None:
        """Called for each process that has ended."""


@contextmanager
def show_progress(display: Display) -> Iterator[Progress]:
    """Show the progress on stderr while the block runs."""
    if not sys.stderr.isatty():
        yield _Lines(display)
        return
    live = _Live(display)
    with live.live:
        yield live


class _Lines:
    """A line for each process that has ended."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._done = 0

    def tick(self, pool: Pool) -> None:
        """Show nothing."""

    def end(self, ended: Ended) -> None:
        self._done += 1
        click.echo(f"{self._done}/{self._display.total}  {self._display.describe(ended)}", err=True)


class _Live:
    """The bar and the running processes; lines about failures stay above them."""

    def __init__(self, display: Display) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._display = display
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[bad]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._task = self._bar.add_task(display.title, total=display.total, bad="")
        self._bad = 0
        self.live = Live(self._bar, console=console, transient=True, refresh_per_second=8)

    def tick(self, pool: Pool) -> None:
        self.live.update(self._draw(pool.workers))

    def end(self, ended: Ended) -> None:
        self._bar.advance(self._task)
        if not self._display.is_good(ended):
            self._bad += ended.report.status != "interrupted"
            if self._bad:
                self._bar.update(self._task, bad=f"{self._bad} {self._display.bad}")
            line = self._display.describe(ended)
            self.live.console.print(line, style="red", markup=False, highlight=False)

    def _draw(self, workers: Sequence[Worker]) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0))
        rows = [(worker, self._display.row(worker)) for worker in workers[:_MOST]]
        names = list(dict.fromkeys(name for _, row in rows for name in row))
        for title in (*names, "for"):
            table.add_column(title, style="dim", header_style="dim")
        for worker, row in rows:
            cells = [Text(row.get(name, "")) for name in names]
            table.add_row(*cells, duration(worker.duration_s))
        return Group(self._bar, table)
