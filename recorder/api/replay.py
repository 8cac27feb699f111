"""What came of a replay, as Python has it."""

from __future__ import annotations

from ..compare.items import Item
from ..records import ReplayVerdict
from ..replay import replay
from ..store.store import RunStore
from .run import Run


class Replay:
    """A run that was run again: its `original`, the replay's own `record`, and the verdict.

    >>> done = store.replay(2)
    >>> done.verdict, done.record.number
    ('reproduced', 3)
    """

    def __init__(self, store: RunStore, done: replay.ReplayResult) -> None:
        self.done = done
        self.original = Run(store, done.original)
        self.record = Run(store, done.record)

    @property
    def verdict(self) -> ReplayVerdict | None:
        """How it came out; None where the config was changed, and there is nothing to hold it against."""
        return None if self.done.verification is None else self.done.verification.verdict

    @property
    def items(self) -> tuple[Item, ...]:
        """What was compared, with the verdict of each."""
        return () if self.done.verification is None else self.done.verification.items

    @property
    def reason(self) -> str:
        """Why the verdict is not a better one."""
        return "" if self.done.verification is None else self.done.verification.reason

    @property
    def causes(self) -> tuple[str, ...]:
        """Where it came out otherwise: what may be why."""
        return self.done.causes

    def __repr__(self) -> str:
        from .notebook import replay_text

        return replay_text(self.done)

    def _repr_html_(self) -> str:
        from .notebook import replay_html

        return replay_html(self.done)
