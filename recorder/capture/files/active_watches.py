"""The watches in progress, and whose what a context does is.

With several runs at once a reading belongs to the run in whose context it takes place, and to the runs around
that one. A thread that a run starts has no context: what it does goes to all runs in progress.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol


class InProgress(Protocol):
    """A watch, as far as this module knows it: the one around it, and whether no other was in progress meanwhile."""

    around: Any
    is_alone: bool


# Watches (see `.watch`, which is above this). While there are none, the hook does nothing.
active: tuple[Any, ...] = ()
_current: ContextVar[Any] = ContextVar("recorder_watch", default=None)
_lock = threading.Lock()


def current() -> Any:
    """The watch of this context."""
    return _current.get()


def add(watch: InProgress) -> None:
    """A watch begins, in this context."""
    global active
    with _lock:
        around = list(_outwards(watch))
        for other in active:
            if other not in around:
                other.is_alone = watch.is_alone = False
        active = (*active, watch)
    _current.set(watch)


def resume(watch: InProgress) -> None:
    """A watch that was retired goes on, in this context."""
    global active
    with _lock:
        active = (*(one for one in active if one is not watch), watch)
    watch.around = _current.get()
    _current.set(watch)


def retire(watch: InProgress) -> None:
    """A watch ends, or is put aside."""
    global active
    with _lock:
        active = tuple(other for other in active if other is not watch)
    if _current.get() is watch:
        _current.set(watch.around)


def targets() -> Sequence[Any]:
    """The watch of this context and those around it; all where the context has none in progress; none outside runs."""
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
    """In a forked child: its parent's watches are not its own."""
    global active, _lock
    active, _lock = (), threading.Lock()
    _current.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
