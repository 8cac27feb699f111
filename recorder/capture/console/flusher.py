"""Python holds back what it prints to a pipe or file until 8 KB have come together: a thread lets it go each second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .streams import flush

FLUSH_EVERY_S = 1.0
_PAUSE_WITHIN_S = 0.5


class Flusher:
    """A thread that flushes the standard streams for as long as it `is_wanted`."""

    def __init__(self, is_wanted: Callable[[], object]) -> None:
        self._is_wanted = is_wanted
        self._thread: threading.Thread | None = None
        # A fork in the middle of a flush would leave the child a stream that is locked for ever.
        self._flushing = threading.Lock()

    def wake(self) -> None:
        """See to it that the thread is there."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="recorder-flush", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None  # none to be had: a killed run loses what Python held back

    def pause(self) -> None:
        """Before a fork."""
        # Longer only where a terminal is stopped; the fork goes first.
        self._flushing.acquire(timeout=_PAUSE_WITHIN_S)

    def resume(self) -> None:
        """After it, in the parent."""
        if self._flushing.locked():
            self._flushing.release()

    def forget(self) -> None:
        """After it, in the child, which has no such thread."""
        self._thread, self._flushing = None, threading.Lock()

    def _run(self) -> None:
        while self._is_wanted():
            time.sleep(FLUSH_EVERY_S)
            with self._flushing:
                if self._is_wanted():
                    flush()
