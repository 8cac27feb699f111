"""The result of a replay, as Python sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..compare.items import Item
from ..records import ReplayVerdict
from ..replay.many.repetition import Repetition, worst_status
from ..store.store import RunStore
from .run import Run

if TYPE_CHECKING:
    from ..replay.explain.explanation import Explanation


class Replay:
    """The result of replaying a run once or several times.

    `original` is the run that was replayed, `runs` are the replays, `run` is the one that the verdict is about: the
    first with the worst result. `explanation` is the search for the cause, if it was asked for and the replay
    diverged.

    >>> done = store.replay(2)
    >>> done.verdict, done.run.number
    ('reproduced', 3)
    """

    def __init__(
        self, store: RunStore, done: Repetition, explanation: Explanation | None = None
    ) -> None:
        worst = worst_status(one.exit_status for one in done.replays)
        self.done = next(one for one in done.replays if one.exit_status == worst)
        self.repetition = done
        self.explanation = explanation
        self.original = Run(store, self.done.original)
        self.run = Run(store, self.done.record)
        self.runs = tuple(Run(store, one.record) for one in done.replays)

    @property
    def verdict(self) -> ReplayVerdict | None:
        """The verdict; None if the config was changed, because there is nothing to compare with."""
        return None if self.done.verification is None else self.done.verification.verdict

    @property
    def items(self) -> tuple[Item, ...]:
        """The compared items: result, outputs and metrics, each with its verdict."""
        return () if self.done.verification is None else self.done.verification.items

    @property
    def reason(self) -> str:
        """The reason why the verdict is not better; empty if it was reproduced."""
        return "" if self.done.verification is None else self.done.verification.reason

    @property
    def causes(self) -> tuple[str, ...]:
        """Possible causes of a divergence, the most likely first."""
        return self.done.causes

    @property
    def is_deterministic(self) -> bool | None:
        """True if repeated replays agree with each other; None for a single replay or if nothing could be compared."""
        return self.repetition.is_deterministic

    def __repr__(self) -> str:
        from .notebook import replay_text

        return replay_text(self.repetition, self.explanation)

    def _repr_html_(self) -> str:
        from .notebook import replay_html

        return replay_html(self.repetition, self.explanation)
