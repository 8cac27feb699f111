"""Ctrl-C while something is done that must not be left half done."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Postponed:
    """Ctrl-C waits until the ``with`` block is over; a second one does not.

    Where it would not raise KeyboardInterrupt anyway (in another thread, or with a handler of the program's own)
    nothing is changed.
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
        """From now on it waits, until `end`."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True

    def end(self, *, is_raising: bool = False) -> None:
        """It waits no longer: raises KeyboardInterrupt where one came, unless there is another exception."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)
            if self._came and not is_raising:
                raise KeyboardInterrupt
