"""A thread that flushes the standard streams every second, because Python buffers 8 KB for a pipe or a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .streams import flush

FLUSH_EVERY_S = 1.0
_PAUSE_WITHIN_S = 0.5


class Flusher:
    """A thread that flushes the standard streams while `is_wanted` returns a true value."""

    def __init__(self, is_wanted: Callable[[], object]) -> None:
        self._is_wanted = is_wanted
        self._thread: threading.Thread | None = None
        # A fork during a flush would leave the child with a stream that is locked forever.
        self._flushing = threading.Lock()

    def wake(self) -> None:
        """Start the thread if it is not running."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="recorder-flush", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None  # without a thread, a killed run loses buffered output

    def pause(self) -> None:
        """Prepare for a fork."""
        # A flush takes longer only if a terminal is stopped. The fork must not wait for that.
        self._flushing.acquire(timeout=_PAUSE_WITHIN_S)

    def resume(self) -> None:
        """Resume in the parent after a fork."""
        if self._flushing.locked():
            self._flushing.release()

    def forget(self) -> None:
        """Reset in the child after a fork, where the thread does not exist."""
        self._thread, self._flushing = None, threading.Lock()

    def _run(self) -> None:
        while self._is_wanted():
            time.sleep(FLUSH_EVERY_S)
            with self._flushing:
                if self._is_wanted():
                    flush()
