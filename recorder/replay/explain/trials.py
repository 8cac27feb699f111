"""The replays of an explanation: runs that are tagged, and moved to the trash at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...batch.report import INTERRUPTED
from ...compare.items import Verification
from ...errors import ReplayError
from ...store.store import RunStore
from ..many.repetition import wrong_names
from ..replay import ReplayResult, replay
from ..request import Request
from .explanation import Try
from .factor import Adjustment

TAG = "explain"


class Trials:
    """Replays of one run, each with a change.

    Args:
        store: The store of the run.
        base: A diverged replay of the run.
        request: The request of that replay.
        say: A function that is called with a line for each replay.

    Attributes:
        kept: The numbers of the replays that stay in the store.
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
        """Replay with a change; return None where that cannot be done.

        Raises:
            KeyboardInterrupt: The replay was interrupted.
        """
        self._say(f"explaining: replay with {change.said}")
        asked = change.apply(self._request)
        # Building an environment takes minutes, so its progress is shown.
        say = self._say if change.rebuild else _say_nothing
        try:
            # The record has the output of the experiment.
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
        """Compare two replays."""
        from ...compare.verify import verify

        tolerance = {"rtol": self._request.rtol, "atol": self._request.atol}
        return verify(one.record, other.record, self._store.objects, **tolerance)

    def tidy(self) -> None:
        """Move the replays and the runs that they recorded to the trash, except those in `kept`.

        An interrupted replay has no verdict. Neither has a replay by another process that is about to be compared; it
        goes to the trash as well, from where `recorder remove --undo` restores it.
        """
        replays = {done.record.id for _, done in self._done if isinstance(done, ReplayResult)}
        unwanted: set[str] = set()
        numbers = []
        # The runs that a replay recorded begin after it.
        for record in self._store.runs(where=f"number > {self._last}"):
            cut_off = record.replay_of == self._record.id and record.verdict is None
            is_try = record.id in replays or (cut_off and not record.changes)
            is_over = record.status != "running"
            if is_over and record.number not in self.kept and (is_try or record.parent in unwanted):
                unwanted.add(record.id)
                numbers.append(record.number)
        self._store.remove(numbers)

    def describe(self) -> tuple[Try, ...]:
        """Return the replays in the order in which they were made."""
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
    """Limit the processors of this thread and its children, where the operating system supports that."""
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
    """Ignore a line of the plan, which the first replay has shown."""
