"""The options of ``recorder replay`` that say which runs, where there are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from ...records import Record
from ...render.text import describe_runs
from ...store.signature import is_trusted
from ...store.store import RunStore
from ..completion import complete_keys, complete_tags
from ..numbers import WholeNumber
from ..running.options import give

C = TypeVar("C", bound=Callable[..., Any])


class Choice(NamedTuple):
    """Which runs: those of --all, of which --where and --tag choose, and how many at a time."""

    every: bool
    where: str | None
    tags: tuple[str, ...]
    with_failed: bool
    with_replays: bool
    jobs: int
    restart: bool

    def check(self, run: str | None, *, for_one: bool) -> None:
        """Raises click.UsageError where the options do not go together; `for_one`: some are for a single run."""
        if self.every and run is not None:
            raise click.UsageError("give a run, or --all")
        if not self.every and run is None:
            raise click.UsageError("which run? Give one, or --all")
        if not self.every and self != Choice(False, None, (), False, False, 1, False):
            raise click.UsageError(
                "--where, --tag, --failed, --replays, --jobs and --restart choose among --all"
            )
        if self.every and for_one:
            raise click.UsageError(
                "--plan, --keep-workspace, --set, --input, --repeat and --explain are for one run, not for --all"
            )


def many_options(command: C) -> C:
    """Give a command the options of a `Choice`."""
    return give(command, _OPTIONS)


_OPTIONS = (
    click.option(
        "--all", "every", is_flag=True, help="Replay every finished run, but for replays."
    ),
    click.option(
        "-w",
        "--where",
        metavar="QUERY",
        shell_complete=complete_keys,
        help="With --all: only those, as in `recorder list`.",
    ),
    click.option(
        "-t",
        "--tag",
        "tags",
        multiple=True,
        metavar="TAG",
        shell_complete=complete_tags,
        help="With --all: only those with the tag.",
    ),
    click.option(
        "--failed",
        "with_failed",
        is_flag=True,
        help="With --all: those too that failed, were interrupted or lost.",
    ),
    click.option("--replays", "with_replays", is_flag=True, help="With --all: replays too."),
    click.option(
        "-j",
        "--jobs",
        type=WholeNumber(1),
        default=1,
        metavar="N",
        help="With --all: N at a time.",
    ),
    click.option(
        "--restart",
        is_flag=True,
        help="With --all: replay those again that an interrupted command of today had done.",
    ),
)


def trusted(store: RunStore, record: Record) -> Record:
    """The record, trusted from now on with what came from the same place, which is said."""
    if is_trusted(record):
        return record
    said = describe_runs(store.trust(record))
    click.secho(f"note: trusted from now on: {said}", err=True, dim=True)
    return store.get(record.number)
