"""The console output of a run, captured from the file descriptors into two files, and still shown as usual.

A third file is an index of arrival times, from which the order of the two streams is reconstructed (see
`recorder.formats.console_index`).

Descriptors 1 and 2 are redirected through a pipe each (a pseudo-terminal in place of a terminal, so that colors and
progress bars stay) to a separate process, the `tee`, which writes the files and passes the output on. So the output
of C code and child processes is captured too, and output is kept if the program crashes or is killed. The program
sees a broken pipe behind the original (``| head``) as it would without recorder.

One tap per process is shared by all runs in progress. A run gets everything printed between its start and its stop,
by any thread, because a descriptor does not know about threads. The tee takes some 50 microseconds to wake up. If a
program prints to stdout, stderr, and stdout again within that time, both stdout parts are shown and stored first.
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
    """A capture of the output from `start` to `stop` into the files `stdout` and `stderr`, with times in `arrivals`.

    Times count from `since_s` (`time.monotonic`), by default from now. Credentials are removed before anything is
    written: known formats, and `values`. Of each stream, the first and the last half of `limit_bytes` are kept, with
    a line between them that states the number of missing bytes. After `stop`, `taken` are the removed credentials,
    each with "stdout" or "stderr", and `cut_bytes` are the missing bytes of stdout and stderr. `warnings` lists what
    was not captured, and why. No method raises.
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
        """Begin to capture."""
        with _lock:
            if self._tap is None:
                flush()
                try:
                    self._begin()
                except OSError as error:
                    self.warnings.append(f"console output is not recorded: {error}")
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
            _hang_up()  # the tee process was killed since the last run, so start another one
            tap = _find_tap(self.warnings)
            return tap, self._add_to(tap, files)

    def _add_to(self, tap: Tap | LocalTap, files: Files) -> int:
        return tap.add(
            files, limit_bytes=self._limit_bytes, since_s=self._since_s, values=self._values
        )

    def stop(self) -> None:
        """End the capture. Everything printed so far is in the files.

        A second call does nothing. Neither does a call in a forked child, whose parent continues.
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
                    self.warnings.append(f"the end of the console output is not recorded: {error}")

    def _end(self, tap: Tap | LocalTap) -> None:
        written = tap.remove(self._sink)
        self.cut_bytes = written.cut_bytes
        self.taken = frozenset(
            ({"o": "stdout", "e": "stderr"}[letter], value) for letter, value in written.taken
        )
        if written.errno:
            self.warnings.append(
                f"the console output is not fully recorded: {os.strerror(written.errno)}"
            )


# All consoles in progress share `_tap`. The tee process outlives it and serves the next one.
_lock = threading.RLock()
_consoles: list[Console] = []
_tap: Tap | LocalTap | None = None
_scribe: Scribe | None = None
_flusher = Flusher(lambda: _consoles)


def prepare() -> None:
    """Start the tee process if there is none, so that the first `start` in this process need not wait."""
    with _lock:
        try:
            _find_scribe()
        except OSError:
            return  # the first start reports it


def _find_scribe() -> Scribe:
    global _scribe
    if _scribe is None:
        _scribe = Scribe()
        _prepare_for_ends()
    return _scribe


def _find_tap(warnings: list[str]) -> Tap | LocalTap:
    """Return the tap in progress, or a new one."""
    global _tap
    if _tap is None or _tap.is_idle:
        try:
            _tap = Tap(_find_scribe().ready())
        except OSError as error:
            _hang_up()
            warnings.append(f"only output of Python itself is recorded: {error}")
            _tap = LocalTap()
    return _tap


def _hang_up() -> None:
    # The tee process is gone. The next console starts another one.
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


# Process exit and forks


def _prepare_for_ends() -> None:
    global _prepared
    if not _prepared:
        _prepared = True
        atexit.register(_stop_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_flusher.pause, after_in_parent=_flusher.resume)


_prepared = False


def _stop_all() -> None:
    for console in list(_consoles):
        console.stop()


def _forget() -> None:
    # A forked child prints into its parent's pipe, and has nothing to stop.
    global _tap, _lock
    if _tap is not None:
        _tap.forget()
    _hang_up()
    _consoles.clear()
    _tap, _lock = None, threading.RLock()
    _flusher.forget()


# At once, not with the first console: another thread may be starting that one while this thread forks.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
