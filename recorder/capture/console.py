"""What a run prints, down to the file descriptors: written to two files, and still shown where it went.

Descriptors 1 and 2 are led through a pipe each (a pseudo-terminal where a terminal was, so that colours and
progress bars stay) to a process beside the program, `tee`, which writes down what comes and passes it on. So
what C code and child processes print is kept too; and what was printed is kept when the program is killed.

Where `sys.stdout` or `sys.stderr` does not end in the descriptor (Jupyter, pytest's capsys, a StringIO), an
object that writes to both stands in its place meanwhile.

There is one tap a process, shared by all runs in progress: a run gets everything that is printed between its
start and its stop, other threads' words included, because a descriptor knows of no threads. Text that stdout
and stderr print within the same few microseconds may change places on the terminal.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import _socket

from . import tee

LIMIT_BYTES = 16 * 1024 * 1024
FLUSH_EVERY_S = 1.0
_READY_WITHIN_S = 20.0
_NAMES = ("stdout", "stderr")


class Console:
    """What is printed from `start` to `stop`, in the files `stdout` and `stderr`, as it comes.

    Of each stream the first and the last half of `limit_bytes` are kept, with a line between them that says
    what is missing; `cut_bytes` says it as numbers. `warnings` says what could not be taken in.
    """

    def __init__(self, stdout: Path, stderr: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.cut_bytes = (0, 0)
        self.warnings: list[str] = []
        self.limit_bytes = limit_bytes
        self._paths = (stdout, stderr)
        self._tap: Tap | None = None

    def start(self) -> None:
        """Begin to take in what is printed. Raises nothing: what does not work is in `warnings`."""
        with _lock:
            if self._tap is None:
                _flush()
                self._tap = _current_tap()
                try:
                    self._tap.add(self, _open_files(self._paths))
                except OSError as error:
                    self._tap = None
                    self.warnings.append(f"what the run prints is not recorded: {error}")
        _keep_flushing()

    def stop(self) -> None:
        """End it: everything printed so far is in the files. A second call, or one in a forked child, does nothing."""
        with _lock:
            tap, self._tap = self._tap, None
            if tap is not None and tap is _tap:
                _flush()
                try:
                    self.cut_bytes = tap.remove(self)
                except OSError as error:
                    self.warnings.append(
                        f"the end of what the run printed is not recorded: {error}"
                    )


class Tap:
    """The process's diverted streams, while any console is active."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.consoles: list[Console] = []


def _open_files(paths: Iterable[Path]) -> tuple[int, ...]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    return tuple(_above_standard(os.open(path, flags, 0o666)) for path in paths)
