"""References to runs in Python: numbers, names, runs."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias

from .. import records
from ..errors import RunNotFoundError
from ..store.content.contents import nearest
from ..store.store import RunStore

if TYPE_CHECKING:
    from ..recording.run import ActiveRun
    from .run import Run

# A run's number, a name or id (see `recorder.store.query.refs`), a run, or one in progress.
Ref: TypeAlias = "SupportsIndex | str | Run | ActiveRun"


def find(store: RunStore, ref: Ref) -> records.Record:
    """Return the record of the run as it is now.

    Raises:
        RunNotFoundError: There is no such run in the store.
        TypeError: `ref` cannot name a run.
    """
    if isinstance(ref, str):
        return store.find(ref)
    if hasattr(ref, "__index__"):  # also NumPy integers, such as those of a frame's index
        return store.get(operator.index(ref))
    if not isinstance(getattr(ref, "id", None), str):
        raise TypeError(f"expected a run's number, name or id, or a run, not {ref!r}")
    if ref.number in store.numbers() and (same := store.get(ref.number)).id == ref.id:
        return same
    found = store.find_id(ref.id)
    if found is None:
        raise RunNotFoundError(f"run {ref.id} is not in {store.path}", ref=ref.id)
    return found


def find_last(store: RunStore, experiment: str | None) -> records.Record:
    """Return the record of the newest run, or of the newest run of `experiment`.

    Raises:
        RunNotFoundError: There is none; the error suggests similar experiments.
    """
    number = store.newest(experiment)
    if number is not None:
        return store.get(number)
    names = sorted({entry.experiment for entry in store.entries()})
    if experiment is None or not names:
        raise RunNotFoundError(f"the store is empty: {store.path}", ref=experiment or "last")
    hint, near = nearest(experiment, names)
    message = f"no run of {experiment!r} in {store.path}: {hint}"
    raise RunNotFoundError(message, ref=experiment, candidates=near)


def find_numbers(store: RunStore, runs: Ref | Iterable[Ref]) -> list[int]:
    """Return the numbers of one run or several. Raises RunNotFoundError."""
    several = [runs] if isinstance(runs, str) or not isinstance(runs, Iterable) else runs
    return [find(store, ref).number for ref in several]
