"""The runs that a command works on: the same names and options for every command that takes several."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from ..errors import RunNotFoundError
from ..records import Record
from ..store.query.refs import is_range
from ..store.store import RunStore
from .completion import complete_keys, complete_tags

C = TypeVar("C", bound=Callable[..., Any])

FAILED = ("failed", "interrupted", "lost")
# Numbers as recorder prints them, `3, 5-9`: copied into a command line they are the words "3," and "5-9".
_NUMBERS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*,?")


class RunSelection(NamedTuple):
    """The options that select runs: a query, tags (a run must have all), and failed runs only."""

    where: str | None = None
    tags: tuple[str, ...] = ()
    failed: bool = False

    @property
    def is_empty(self) -> bool:
        """True if none of the options is given."""
        return self == RunSelection()

    def matches(self, record: Record) -> bool:
        """Return True if the run has the tags and the status; the store evaluates `where`."""
        return set(self.tags) <= set(record.tags) and (not self.failed or record.status in FAILED)

    def __str__(self) -> str:
        """The options as a person writes them."""
        words = [f"--where {self.where!r}"] if self.where is not None else []
        words += [f"--tag {tag}" for tag in self.tags]
        return " ".join(words + ["--failed"] * self.failed)


def add_options(command: C, options: Sequence[Callable[[C], C]]) -> C:
    """Return the command with the options, which its help lists in that order."""
    for option in reversed(options):
        command = option(command)
    return command


def selection_options(command: C) -> C:
    """Give a command ``--where``, ``--tag`` and ``--failed``, which it gets as `selection`."""

    @functools.wraps(command)
    def with_selection(
        *args: Any, where: str | None, tags: tuple[str, ...], failed: bool, **options: Any
    ) -> Any:
        return command(*args, selection=RunSelection(where, tags, failed), **options)

    return add_options(with_selection, _OPTIONS)  # type: ignore[return-value]


_OPTIONS = (
    click.option(
        "-w",
        "--where",
        metavar="QUERY",
        shell_complete=complete_keys,
        help="Only runs that match, such as 'lr > 0.01 and accuracy >= 0.9'. See recorder list --help.",
    ),
    click.option(
        "-t",
        "--tag",
        "tags",
        multiple=True,
        metavar="TAG",
        shell_complete=complete_tags,
        help="Only runs with the tag; repeat for runs with every tag.",
    ),
    click.option("--failed", is_flag=True, help="Only runs that failed, were interrupted or lost."),
)


def find_runs(store: RunStore, refs: Sequence[str], selection: RunSelection) -> list[Record]:
    """Return the named runs, or all if none is named, that the selection matches, each once.

    Named runs keep the order in which they are named. Raises RunNotFoundError, also if no run is left, and
    QueryError.
    """
    records = store.runs(where=selection.where) if selection.where is not None or not refs else None
    if refs:
        numbers = dict.fromkeys(number for ref in refs for number in _numbers(store, ref))
        if records is None:
            records = [store.get(number) for number in numbers]
        else:
            by_number = {record.number: record for record in records}
            records = [by_number[number] for number in numbers if number in by_number]
    assert records is not None
    matching = [record for record in records if selection.matches(record)]
    if not matching:
        if selection.is_empty:
            raise RunNotFoundError(f"the store {store.path} has no runs", ref="")
        among = f" among {', '.join(refs)}" if refs else ""
        raise RunNotFoundError(f"no run{among} matches {selection}", ref=str(selection))
    return matching


def require_runs(refs: Sequence[str], selection: RunSelection) -> None:
    """Raise click.UsageError if neither a run nor a selection is given."""
    if not refs and selection.is_empty:
        raise click.UsageError("RUN is missing: name runs, or use --where, --tag or --failed")


def _numbers(store: RunStore, ref: str) -> Iterable[int]:
    """Yield the numbers of the runs that a word names: ``12``, ``8-10``, ``3,5-9``, a tag of several runs."""
    if _NUMBERS.fullmatch(ref) and not ref.isdecimal():
        for part in filter(None, ref.split(",")):
            yield from _range(store, part) if is_range(part) else (store.find(part).number,)
        return
    try:
        yield store.find(ref).number
    except RunNotFoundError:
        tagged = [entry.number for entry in store.entries() if ref in entry.tags]
        if len(tagged) < 2:
            raise
        yield from tagged


def _range(store: RunStore, ref: str) -> Iterator[int]:
    first, _, last = ref.partition("-")
    numbers = [n for n in store.numbers() if int(first) <= n <= int(last)]
    if not numbers:
        hint = f"did you mean {last}-{first}?" if int(last) < int(first) else "see recorder list"
        raise RunNotFoundError(f"no run in {ref}: {hint}", ref=ref)
    yield from numbers


def split_last(
    store: RunStore, words: Sequence[str], selection: RunSelection, *, last: str, command: str
) -> tuple[list[str], str]:
    """Return the names of runs and the last word, a tag or a note. Raises click.UsageError if either is missing."""
    *refs, word = words or [""]
    if refs or (words and not selection.is_empty):
        return refs, word
    if words and _names_runs(store, word):
        raise click.UsageError(f"{last} is missing: recorder {command} {word} {last}")
    if words:
        raise click.UsageError(f"RUN is missing: recorder {command} RUN... {word}")
    raise click.UsageError(f"RUN and {last} are missing: recorder {command} RUN... {last}")


def _names_runs(store: RunStore, word: str) -> bool:
    try:
        return bool(list(_numbers(store, word)))
    except RunNotFoundError:
        return word.isdecimal()
