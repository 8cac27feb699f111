"""The run of a generator: from its first step until it is exhausted, closed, or ends with an exception.

The run is the current one only while the generator's own body runs: between two steps the caller has its own
current run, random number generators, and inputs. Yielded values are not kept, so that memory stays bounded: they
are counted, and a digest is updated with each value, so that a replay can be compared.

This is apart from `recorder.recording.generators`, which `import recorder` loads: this module needs the codec and the
records, which are loaded with the first call.
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
# Forms whose digest differs between equal values.
_VAGUE = ("$pickle", "$opaque")


class Yields:
    """The values that a generator has yielded: their number, and one digest of all of them in order.

    `is_vague` means that there is no digest, because one of the values can only be pickled.
    """

    def __init__(self) -> None:
        self.count = 0
        self._digest: str | None = None
        self.is_vague = False

    def add(self, value: Any) -> None:
        """Include the next value, in its present state. The value is not kept."""
        self.count += 1
        if self.is_vague:
            return
        form = codec.encode(value, inline_limit=None).form
        self.is_vague = any(codec.has_tag(form, tag) for tag in _VAGUE)
        self._digest = digest_json("yields", [self._digest, codec.identity(form)])

    def describe(self, *, returned: Any, closed: bool) -> dict[str, JSON]:
        """Return the run's result: `yielded`, `digest` (None if vague), `returned`, and `closed` if it was."""
        digest = None if self.is_vague else self._digest
        ending = {"closed": True} if closed else {}
        return {"yielded": self.count, "digest": digest, "returned": returned, **ending}


class Stream:
    """The run of one generator; its ``with`` block, one for each step, makes the run the current one.

    An exception that leaves the block ends the run.
    """

    result: Any = None

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
        if error is None or isinstance(error, StopIteration | StopAsyncIteration):
            self._run.leave()
        else:
            _open.discard(self)
            self._run.fail(error)

    def add(self, value: Any) -> None:
        """Count a value that was yielded."""
        self._yields.add(value)

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """End the run: the generator is exhausted, or was closed before that."""
        _open.discard(self)
        self._run.enter()
        if closed and not self._run.note:
            self._run.note = CLOSED
        if self._yields.is_vague:
            self._run.warn(
                "some yielded values can only be pickled: they are counted, but not compared by a replay"
            )
        self._run.finish(self._yields.describe(returned=returned, closed=closed))


# The runs of generators that are neither exhausted nor closed when the program ends.
_open: weakref.WeakSet[Stream] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for stream in list(_open):
        stream.finish(closed=True)
