"""What a run, or several, is asked for by: numbers, names, records, slices of numbers."""

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

# A run's number, any address (see `recorder.store.query.refs`), its record, or itself while it lasts.
Ref: TypeAlias = "SupportsIndex | str | Run | ActiveRun"


def find(store: RunStore, ref: Ref) -> records.Record:
    """The record of the run as it is now. Raises RunNotFoundError, and TypeError for what names no run."""
    if isinstance(ref, str):
        return store.find(ref)
    if hasattr(ref, "__index__"):  # NumPy's integers too, of which a frame's index is
        number = operator.index(ref)
        return store.get(number if number >= 0 else _from_end(store, number))
    if not isinstance(getattr(ref, "id", None), str):
        raise TypeError(f"a run's number, name or record, not {ref!r}")
    if ref.number in store.numbers() and (same := store.get(ref.number)).id == ref.id:
        return same
    found = store.find_id(ref.id)
    if found is None:
        raise RunNotFoundError(f"run {ref.id} is not in {store.path}", ref=ref.id)
    return found


def find_last(store: RunStore, experiment: str | None) -> records.Record:
    """The newest run, or that of the experiment. Raises RunNotFoundError, with the nearest experiments."""
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
    """The numbers of one run or several. Raises RunNotFoundError."""
    several = [runs] if isinstance(runs, str) or not isinstance(runs, Iterable) else runs
    return [find(store, ref).number for ref in several]


def slice_numbers(store: RunStore, wanted: slice) -> list[int]:
    """The numbers from `start` and below `stop`; negative ones count from the end."""
    numbers = store.numbers()

    def bound(at: int | None, *, none: float) -> float:
        if at is None:
            return none
        if at >= 0:
            return at
        return numbers[at] if -at <= len(numbers) else 0

    low, high = bound(wanted.start, none=0), bound(wanted.stop, none=float("inf"))
    return [number for number in numbers if low <= number < high][:: wanted.step]


def _from_end(store: RunStore, ref: int) -> int:
    numbers = store.numbers()
    if -ref > len(numbers):
        raise RunNotFoundError(f"no run {ref}: there are {len(numbers)}", ref=str(ref))
    return numbers[ref]
