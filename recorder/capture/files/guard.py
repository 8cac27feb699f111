"""A guard that hides recorder's own operations in this thread from its audit hook."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator


class Guard(threading.local):
    """A flag per thread, set while the hook runs: digesting opens files as well."""

    busy = False


here = Guard()


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Hide everything that this thread does inside the context from the hook."""
    before, here.busy = here.busy, True
    try:
        yield
    finally:
        here.busy = before


def _forget() -> None:
    here.busy = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
