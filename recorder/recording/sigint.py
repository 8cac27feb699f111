"""Postpone Ctrl-C during work that must not be interrupted halfway."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Postponed:
    """A ``with`` block during which Ctrl-C waits until its end; a second Ctrl-C does not wait.

    Nothing changes where Ctrl-C would not raise KeyboardInterrupt: in a thread other than the main one, or if the
    program has installed a handler for it.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: Any = None

    def __enter__(self) -> Postponed:
        self.begin()
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        self.end(is_raising=error is not None)

    def begin(self) -> None:
        """Postpone Ctrl-C from now on, until `end`."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True

    def end(self, *, is_raising: bool = False) -> None:
        """Stop postponing; raise KeyboardInterrupt if Ctrl-C came, unless another exception is being raised."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)
            if self._came and not is_raising:
                raise KeyboardInterrupt
