"""Generators, recorded from their first step until they are exhausted, closed, or end with an exception.

A run is the current one only while the generator's own body runs: between two steps the caller has its own
current run, generators of random numbers, and inputs. What is yielded is not kept, so that memory stays bounded:
it is counted, and a digest goes on from value to value, so that a replay can be held against it.
"""

from __future__ import annotations

import atexit
import weakref
from contextvars import ContextVar, Token
from typing import Any

from .. import codec
from ..digest import digest_json
from ..records import JSON
from .run import ActiveRun

CLOSED = "the generator was closed before it was exhausted"
# Whose identity is another one for an equal value.
_VAGUE = ("$pickle", "$opaque")


class Yields:
    """The values that a generator has yielded: how many, and the digest of all of them in their order.

    `is_vague` says that there is no such digest, for only a pickle can hold one of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self._digest: str | None = None
        self.is_vague = False

    def add(self, value: Any) -> None:
        """Take in the next value, as it is now. It is not kept."""
        self.count += 1
        if self.is_vague:
            return
        form = codec.encode(value, inline_limit=None).form
        self.is_vague = any(codec.has_tag(form, tag) for tag in _VAGUE)
        self._digest = digest_json("yields", [self._digest, codec.identity(form)])

    def describe(self, *, returned: Any, closed: bool) -> dict[str, JSON]:
        """The run's result: `yielded` and `digest` (None where only a pickle could hold a value), and `returned`."""
        said = {"yielded": self.count, "digest": None if self.is_vague else self._digest}
        return {**said, "returned": returned, **({"closed": True} if closed else {})}


class Stream:
    """The run of one generator; inside its ``with`` block, one for each step, the body is in the run.

    An exception that leaves the block ends the run.
    """

    def __init__(self, run: ActiveRun, current: ContextVar[ActiveRun | None]) -> None:
        self._run = run
        self._current = current
        self._token: Token[ActiveRun | None] | None = None
        self._yields = Yields()
        run.leave()
        _open.add(self)

    def __enter__(self) -> Stream:
        self._token = self._current.set(self._run)
        self._run.enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        assert self._token is not None
        self._current.reset(self._token)
        if error is None:
            self._run.leave()
        elif not isinstance(error, StopIteration | StopAsyncIteration):
            _open.discard(self)
            self._run.fail(error)
        else:
            self._run.leave()

    def add(self, value: Any) -> None:
        """Take in a value that was yielded."""
        self._yields.add(value)

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """End the run: exhausted, or closed before that."""
        _open.discard(self)
        self._run.enter()
        if closed:
            self._run.note = CLOSED
        if self._yields.is_vague:
            self._run.warn(
                "of what it yielded only pickle can hold something: it is counted, not compared"
            )
        self._run.finish(self._yields.describe(returned=returned, closed=closed))


# Those whose generators nobody has exhausted or closed, when the program ends.
_open: weakref.WeakSet[Stream] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for stream in list(_open):
        stream.finish(closed=True)
