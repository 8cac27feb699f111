"""Many processes while they run: on a terminal a table of those in progress under a bar, else a line for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

from ..batch.pool import Pool, Worker
from ..batch.report import Ended
from .text import duration

if TYPE_CHECKING:
    from rich.console import Group

# Of those that run, a terminal shows no more.
_MOST = 20


class Display(NamedTuple):
    """What is shown of them: a `title`, how many in all, the cells of one that is running, one that ended in a line.

    `is_good` says of which the line does not stay above the bar; `bad` is what the others are called there.
    """

    title: str
    total: int
    row: Callable[[Worker], Mapping[str, str]]
    describe: Callable[[Ended], str]
    is_good: Callable[[Ended], bool] = lambda ended: ended.report.status == "finished"
    bad: str = "failed"


class Progress(Protocol):
    """What is told how it goes on."""

    def tick(self, pool: Pool) -> None:
        """Called some times a second."""

    def end(self, ended: Ended) -> None:
        """Called for each that has ended."""


@contextmanager
def show_progress(shown: Display) -> Iterator[Progress]:
    """Show it on stderr while the block lasts."""
    if not sys.stderr.isatty():
        yield _Lines(shown)
        return
    live = _Live(shown)
    with live.display:
        yield live


class _Lines:
    """A line for each that has ended."""

    def __init__(self, shown: Display) -> None:
        self._shown = shown
        self._done = 0

    def tick(self, pool: Pool) -> None:
        """Nothing."""

    def end(self, ended: Ended) -> None:
        self._done += 1
        click.echo(f"{self._done}/{self._shown.total}  {self._shown.describe(ended)}", err=True)


class _Live:
    """The bar, and what is in progress; what went wrong is said above them, and stays."""

    def __init__(self, shown: Display) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._shown = shown
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[bad]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._task = self._bar.add_task(shown.title, total=shown.total, bad="")
        self._bad = 0
        self.display = Live(self._bar, console=console, transient=True, refresh_per_second=8)

    def tick(self, pool: Pool) -> None:
        self.display.update(self._draw(pool.workers))

    def end(self, ended: Ended) -> None:
        self._bar.advance(self._task)
        if not self._shown.is_good(ended):
            self._bad += ended.report.status != "interrupted"
            if self._bad:
                self._bar.update(self._task, bad=f"{self._bad} {self._shown.bad}")
            text = self._shown.describe(ended)
            self.display.console.print(text, style="red", markup=False, highlight=False)

    def _draw(self, workers: Sequence[Worker]) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0))
        rows = [(worker, self._shown.row(worker)) for worker in workers[:_MOST]]
        names = list(dict.fromkeys(name for _, row in rows for name in row))
        for title in (*names, "for"):
            table.add_column(title, style="dim", header_style="dim")
        for worker, row in rows:
            cells = [Text(row.get(name, "")) for name in names]
            table.add_row(*cells, duration(worker.duration_s))
        return Group(self._bar, table)
