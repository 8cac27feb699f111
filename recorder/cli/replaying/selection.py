"""The runs that ``recorder replay`` replays, and the options for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from ...records import Record
from ...render.text import describe_runs
from ...store.signature import is_trusted
from ...store.store import RunStore
from ..numbers import WholeNumber
from ..run_selection import RunSelection, add_options, find_runs

C = TypeVar("C", bound=Callable[..., Any])


class Choice(NamedTuple):
    """The runs to replay, and how: named runs, `every` run, or those that the selection matches."""

    refs: tuple[str, ...]
    selection: RunSelection
    every: bool
    with_replays: bool
    jobs: int
    restart: bool

    def check(self) -> None:
        """Raise click.UsageError if no runs are selected, or options contradict each other."""
        if self.every and self.refs:
            raise click.UsageError("name runs, or use --all")
        if not (self.every or self.refs) and self.selection.is_empty:
            raise click.UsageError(
                "RUN is missing: name runs, or use --all, --where, --tag or --failed"
            )

    def find(self, store: RunStore) -> list[Record]:
        """Return the runs. Raises RunNotFoundError if a name names none; a selection may match none."""
        if self.refs:
            return find_runs(store, self.refs, self.selection)
        records = store.runs(where=self.selection.where)
        return [record for record in records if self.selection.matches(record)]

    def is_many(self, records: Sequence[Record]) -> bool:
        """Return True if the runs are replayed as a batch; a single named run gets a full report."""
        return self.every or not self.selection.is_empty or len(records) > 1

    def check_single(self) -> None:
        """Raise click.UsageError for an option for several runs."""
        if self.with_replays or self.jobs > 1 or self.restart:
            raise click.UsageError("--replays, --jobs and --restart are for several runs")

    def to_document(self) -> dict[str, Any]:
        """Return the choice as plain JSON, without the options that do not change the result."""
        return {
            "runs": list(self.refs),
            "where": self.selection.where,
            "tags": list(self.selection.tags),
            "failed": self.selection.failed,
            "replays": self.with_replays,
        }


def many_options(command: C) -> C:
    """Give a command the options for replaying many runs."""
    return add_options(command, _OPTIONS)


_OPTIONS = (
    click.option("--all", "every", is_flag=True, help="Replay every finished run."),
    click.option(
        "--replays",
        "with_replays",
        is_flag=True,
        help="Replay replays, too; they are left out by default.",
    ),
    click.option(
        "-j",
        "--jobs",
        type=WholeNumber(1),
        default=1,
        metavar="N",
        show_default=True,
        help="Replay N runs at a time.",
    ),
    click.option(
        "--restart",
        is_flag=True,
        help="Replay all runs again, also those that an interrupted command finished less than a day ago.",
    ),
)


def trusted(store: RunStore, record: Record) -> Record:
    """Return the record, trusted from now on together with all runs from the same source, and report them."""
    if is_trusted(record):
        return record
    runs = describe_runs(store.trust(record))
    click.secho(f"note: trusted from now on: {runs}", err=True, dim=True)
    return store.get(record.number)
