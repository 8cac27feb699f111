"""What recorder does itself, in this thread, which its own audit hook does not look at."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator


class Guard(threading.local):
    """Whether this thread is in the hook already: digesting opens files as well."""

    busy = False


here = Guard()


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """The hook sees nothing of what this thread does inside."""
    before, here.busy = here.busy, True
    try:
        yield
    finally:
        here.busy = before


def _forget() -> None:
    here.busy = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
