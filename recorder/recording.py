"""A run from its beginning to its end, as the current one."""

from __future__ import annotations

from typing import Any

from .call import Call
from .current import current
from .run import Run


class Recording:
    """A run from its beginning to its end, as the current one of this context.

    Made, the run has begun; the ``with`` block ends it with `result`, or with the exception that leaves it.
    """

    result: Any = None

    def __init__(self, call: Call | Run) -> None:
        self.run = Run(call) if isinstance(call, Call) else call

    def __enter__(self) -> Recording:
        self._token = current.set(self.run)
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        current.reset(self._token)
        if error is None:
            self.run.finish(self.result)
        else:
            self.run.fail(error)
