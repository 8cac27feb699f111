"""A run from its beginning to its end, as the current run of its context."""

from __future__ import annotations

from typing import Any

from .current import current
from .invocation import Call
from .run import ActiveRun
from .sigint import Postponed


class Recording:
    """A run from its beginning to its end, as the current run of this context.

    The run has begun when this is made. The ``with`` block ends it with `result`, or with the exception that leaves
    the block.
    """

    result: Any = None

    def __init__(self, call: Call | ActiveRun) -> None:
        # Ctrl-C waits until the block below can end the run.
        self._postponed = Postponed()
        self._postponed.begin()
        try:
            self.run = ActiveRun(call) if isinstance(call, Call) else call
        except BaseException:
            self._postponed.end(is_raising=True)
            raise

    def __enter__(self) -> Recording:
        self._outer = current.get()
        current.set(self.run)
        try:
            self._postponed.end()
        except KeyboardInterrupt as error:
            self._end(error)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        try:
            self._end(error)
        except KeyboardInterrupt:
            self._end(error)  # it may have come before the end; a run ends once
            raise

    def _end(self, error: BaseException | None) -> None:
        current.set(self._outer)
        if error is None:
            self.run.finish(self.result)
        else:
            self.run.fail(error)
