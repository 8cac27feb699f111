"""The watches in progress, and the rule that assigns an event to them.

With several runs at once, an event belongs to the run in whose context it takes place and to the runs that enclose
it. A thread started by a run has no context, so its events belong to all runs in progress.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol


class InProgress(Protocol):
    """A watch as this module needs it: the enclosing watch, and whether it was the only one in progress."""

    around: Any
    is_alone: bool


# The watches (see `.watch`, which imports this module). While there are none, the hook does nothing.
active: tuple[Any, ...] = ()
_current: ContextVar[Any] = ContextVar("recorder_watch", default=None)
_lock = threading.Lock()


def current() -> Any:
    """Return the watch of this context, or None."""
    return _current.get()


def add(watch: InProgress) -> None:
    """Begin a watch in this context."""
    global active
    with _lock:
        around = list(_outwards(watch))
        for other in active:
            if other not in around:
                other.is_alone = watch.is_alone = False
        active = (*active, watch)
    _current.set(watch)


def resume(watch: InProgress) -> None:
    """Resume a retired watch in this context."""
    global active
    with _lock:
        active = (*(one for one in active if one is not watch), watch)
    watch.around = _current.get()
    _current.set(watch)


def retire(watch: InProgress) -> None:
    """End or pause a watch."""
    global active
    with _lock:
        active = tuple(other for other in active if other is not watch)
    if _current.get() is watch:
        _current.set(watch.around)


def targets() -> Sequence[Any]:
    """Return the watches that an event in this context belongs to.

    These are the context's watch and those that enclose it. Without a watch in progress in this context, these are
    all watches in progress. Outside runs there are none.
    """
    watches = active
    if len(watches) < 2:
        return watches
    watch = _current.get()
    while watch is not None and watch not in watches:
        watch = watch.around
    return watches if watch is None else [one for one in _outwards(watch) if one in watches]


def _outwards(watch: InProgress) -> Iterator[Any]:
    one: Any = watch
    while one is not None:
        yield one
        one = one.around


def _forget() -> None:
    # In a forked child: its parent's watches do not apply to it.
    global active, _lock
    active, _lock = (), threading.Lock()
    _current.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
