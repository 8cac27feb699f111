"""What a run prints, down to the file descriptors: written to two files, and still shown where it went.

A third file is the index of when what of it came, from which the two are put together again (see
`recorder.formats.console_index`).

Descriptors 1 and 2 are led through a pipe each (a pseudo-terminal where a terminal was, so that colours and
progress bars stay) to a process beside the program, the `tee`, which writes down what comes and passes it on. So
what C code and child processes print is kept as well, and what was printed is kept when the program crashes or
is killed. A broken pipe behind the original (``| head``) is met by the program as without us.

One tap a process is shared by all runs in progress: a run gets everything that is printed between its start and
its stop, by other threads too, because a descriptor knows of no threads. The tee takes some 50 microseconds to wake
up: what goes within them to stdout, to stderr and to stdout again is shown and kept as twice to stdout, then to stderr.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path

from .flusher import Flusher
from .local_tap import LocalTap
from .streams import flush, holds_back
from .tap import Files, Scribe, Tap

LIMIT_BYTES = 16 * 1024 * 1024


class Console:
    """What is printed from `start` to `stop`, in the files `stdout` and `stderr`, as it comes; when, in `arrivals`.

    Times count from `since_s`, by `time.monotonic`, or from now on.
    Credentials are taken out before anything is written: those of known formats, and `values`. `taken` are the ones
    that were, with "stdout" or "stderr", once stopped. Of each stream the first and the last half of `limit_bytes` are
    kept, with a line between them that says how much is missing; `cut_bytes` has that for stdout and stderr once
    stopped. `warnings` says what was not recorded, and why; nothing is ever raised.
    """

    def __init__(
        self,
        stdout: Path,
        stderr: Path,
        arrivals: Path,
        *,
        since_s: float | None = None,
        limit_bytes: int = LIMIT_BYTES,
        values: Collection[bytes] = (),
    ) -> None:
        self.cut_bytes = (0, 0)
        self.taken: frozenset[tuple[str, bytes]] = frozenset()
        self.warnings: list[str] = []
        self._paths = (stdout, stderr, arrivals)
        self._since_s = time.monotonic() if since_s is None else since_s
        self._limit_bytes = limit_bytes
        self._values = values
        self._tap: Tap | LocalTap | None = None
        self._sink = 0

    def start(self) -> None:
        """Begin to take in what is printed."""
        with _lock:
            if self._tap is None:
                flush()
                try:
                    self._begin()
                except OSError as error:
                    self.warnings.append(f"what the run prints is not recorded: {error}")
        if self._tap is not None and holds_back():
            _flusher.wake()

    def _begin(self) -> None:
        files = _open_files(self._paths)
        try:
            self._tap, self._sink = self._add(files)
        finally:
            for file in files:
                os.close(file)
        _consoles.append(self)

    def _add(self, files: Files) -> tuple[Tap | LocalTap, int]:
        tap = _find_tap(self.warnings)
        try:
            return tap, self._add_to(tap, files)
        except ConnectionError:
            if not tap.is_idle:
                raise
            _hang_up()  # somebody ended the tee's process since the last run: this one gets another
            tap = _find_tap(self.warnings)
            return tap, self._add_to(tap, files)

    def _add_to(self, tap: Tap | LocalTap, files: Files) -> int:
        return tap.add(
            files, limit_bytes=self._limit_bytes, since_s=self._since_s, values=self._values
        )

    def stop(self) -> None:
        """End it: what was printed so far is in the files.

        A second call does nothing, nor does one in a forked child, whose parent goes on.
        """
        with _lock:
            tap, self._tap = self._tap, None
            if tap is not None and self in _consoles:
                _consoles.remove(self)
                flush()
                try:
                    self._end(tap)
                except OSError as error:
                    _hang_up()
                    self.warnings.append(
                        f"the end of what the run printed is not recorded: {error}"
                    )

    def _end(self, tap: Tap | LocalTap) -> None:
        written = tap.remove(self._sink)
        self.cut_bytes = written.cut_bytes
        self.taken = frozenset(
            ({"o": "stdout", "e": "stderr"}[letter], one) for letter, one in written.taken
        )
        if written.errno:
            self.warnings.append(
                f"not all that the run printed is recorded: {os.strerror(written.errno)}"
            )


# The consoles in progress share `_tap`; the tee's process outlives it, for the next.
_lock = threading.RLock()
_consoles: list[Console] = []
_tap: Tap | LocalTap | None = None
_scribe: Scribe | None = None
_flusher = Flusher(lambda: _consoles)


def prepare() -> None:
    """Start the tee's process now if there is none, so that the first `start` of a process need not wait."""
    with _lock:
        try:
            _find_scribe()
        except OSError:
            return  # the first start will say so


def _find_scribe() -> Scribe:
    global _scribe
    if _scribe is None:
        _scribe = Scribe()
        _prepare_for_ends()
    return _scribe


def _find_tap(warnings: list[str]) -> Tap | LocalTap:
    """The tap in progress, else a new one."""
    global _tap
    if _tap is None or _tap.is_idle:
        try:
            _tap = Tap(_find_scribe().ready())
        except OSError as error:
            _hang_up()
            warnings.append(f"only what Python itself prints is recorded: {error}")
            _tap = LocalTap()
    return _tap


def _hang_up() -> None:
    """The tee's process has gone: the next console starts another."""
    global _scribe
    if _scribe is not None:
        _scribe.close()
    _scribe = None


def _open_files(paths: tuple[Path, Path, Path]) -> Files:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    files: list[int] = []
    try:
        for path in paths:
            files.append(os.open(path, flags, 0o666))
    except OSError:
        for file in files:
            os.close(file)
        raise
    return files[0], files[1], files[2]


# The ends of a process, and its forks


def _prepare_for_ends() -> None:
    global _prepared
    if not _prepared:
        _prepared = True
        atexit.register(_stop_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_flusher.pause, after_in_parent=_flusher.resume, after_in_child=_forget
            )


_prepared = False


def _stop_all() -> None:
    for console in list(_consoles):
        console.stop()


def _forget() -> None:
    """In a forked child: it prints into its parent's pipe, and has nothing to stop."""
    global _tap, _lock
    if _tap is not None:
        _tap.forget()
    _hang_up()
    _consoles.clear()
    _tap, _lock = None, threading.RLock()
    _flusher.forget()
