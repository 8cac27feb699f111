"""The replays of an explanation: each a run of the store that is tagged, and goes to the trash in the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...compare.items import Verification
from ...errors import ReplayError
from ...store.store import RunStore
from ..many.repetition import wrong_names
from ..replay import INTERRUPTED, ReplayResult, replay
from ..request import Request
from .explanation import Try
from .factor import Adjustment

TAG = "explain"


class Trials:
    """Replays of the original of `base`, made by `request` with one change or another; `kept` are those to be kept.

    `say` is called with a line for each.
    """

    def __init__(
        self, store: RunStore, base: ReplayResult, request: Request, say: Callable[[str], None]
    ) -> None:
        self._store = store
        self._record = base.original
        self._request = request
        self._say = say
        self._done: list[tuple[Adjustment, ReplayResult | ReplayError]] = []
        self._last = store.newest(with_replays=True) or 0
        self.kept: set[int] = set()

    def make(self, change: Adjustment) -> ReplayResult | None:
        """Replay with the change; None where that cannot be done. Raises KeyboardInterrupt."""
        self._say(f"explaining: a replay with {change.said}")
        asked = change.apply(self._request)
        # Building an environment takes its time, and says how it goes on.
        say = self._say if change.rebuild else _say_nothing
        try:
            # (What it prints is in its record.)
            with _processors(change.processors), Path(os.devnull).open("wb") as nowhere:
                done = replay(
                    self._store, self._record, request=asked, stdout=nowhere.fileno(), say=say
                )
        except ReplayError as error:
            self._done.append((change, error))
            return None
        self._done.append((change, done))
        note = f"explains run {self._record.number}: with {change.said}"
        self._store.annotate(done.record.number, tags=(TAG,), note=note)
        if done.exit_status == INTERRUPTED:
            raise KeyboardInterrupt
        return done

    def compare(self, one: ReplayResult, other: ReplayResult) -> Verification:
        """Hold two replays against each other."""
        from ...compare.verify import verify

        tolerance = {"rtol": self._request.rtol, "atol": self._request.atol}
        return verify(one.record, other.record, self._store.objects, **tolerance)

    def tidy(self) -> None:
        """Put them into the trash, with what they have recorded themselves, but those that are kept.

        One that an interrupt has cut off is no replay yet, and has no verdict: as little as another process's that is
        about to be compared, which `recorder remove --undo` takes back.
        """
        replays = {done.record.id for _, done in self._done if isinstance(done, ReplayResult)}
        unwanted: set[str] = set()
        numbers = []
        # What a try has recorded begins after it.
        for record in self._store.runs(where=f"number > {self._last}"):
            cut_off = record.replay_of == self._record.id and record.verdict is None
            is_try = record.id in replays or (cut_off and not record.changes)
            is_over = record.status != "running"
            if is_over and record.number not in self.kept and (is_try or record.parent in unwanted):
                unwanted.add(record.id)
                numbers.append(record.number)
        self._store.remove(numbers)

    def describe(self) -> tuple[Try, ...]:
        """What was tried, in that order."""
        return tuple(self._describe(change, done) for change, done in self._done)

    def _describe(self, change: Adjustment, done: ReplayResult | ReplayError) -> Try:
        if not isinstance(done, ReplayResult):
            return Try(said=change.said, run=None, verdict=f"could not be done: {done}")
        return Try(
            said=change.said,
            run=done.record.number,
            verdict=done.verification.verdict,
            wrong=tuple(wrong_names(done.verification)),
            is_kept=done.record.number in self.kept,
        )


@contextmanager
def _processors(count: int | None) -> Iterator[None]:
    """This thread, and what it starts, uses no more processors than that, where the system can say so."""
    if count is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _say_nothing(line: str) -> None:
    """For what has been said of the first replay."""
