"""What one run reads and writes: its readings, each with the digest of the file as it was when it was read.

What counts as an input: a regular file that the run opened to read, or to change without emptying it first
(its content before). What does not: a file that the run wrote first; one that was changed after the run began
and before it was read, for then a child process or a C library of the run's wrote it, which the hook does not
see (`Watch.products` lists them); code and compiled modules, which the snapshot and the environment hold; the
interpreter, installed packages, caches, /etc and the kernel's own file systems.

The first files are looked at and digested when they are opened. To a run that opens thousands that would be most of
what it costs, so further names wait: a thread looks at them half a second later, or this one before the run opens
something to write, renames or removes a file, starts a child process, or ends. A file whose ctime, which no program can
set, is later than its opening by then was changed by what the hook does not see: what it held is unknown, and it is
`lost`.
"""

# ruff: noqa: PTH116
# Paths are text here: this works for every file that a run opens, and a Path costs as much as the rest.

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from . import active_watches
from .digest_cache import digest_now
from .exclusion import CODE_SUFFIXES, Exclusion
from .guard import guard

# Beyond this many inputs they are counted and not listed: the record would be larger than what it is about.
MAX_READINGS = 50_000
# So many files are looked at when they are opened; a thread for fewer would cost more than it saves.
AT_ONCE = 100
# So long later a waiting file is looked at: the time in which a change that nothing sees makes it lost.
WAIT_S = 0.5
# The clock of a filesystem stands still for up to 10 ms, and lags behind by as much.
_TICK_NS = 10_000_000


class Reading(msgspec.Struct, frozen=True):
    """A file as it was when the run first read it; `path` is absolute, its links resolved."""

    path: str
    digest: str
    size_bytes: int
    mtime_ns: int


class Watch:
    """Collects the readings of one run until `stop`; in a forked child it sees nothing.

    `warnings` says what could not be taken in; `products` lists files that the run read and that were changed
    after it began by what the hook cannot see, `lost` those that were changed after it had read them; `has_children`
    says whether it started a process; `is_alone` whether no other run of this process, but for those around and within
    it, was in progress meanwhile.
    """

    def __init__(self, *, exclude: Sequence[str | Path] = (), around: Watch | None = None) -> None:
        self.warnings: list[str] = []
        self.products: list[Path] = []
        self.lost: list[str] = []
        self.around = around
        # What else was seen while it lasted, each once: kind, place and detail (see `.hazards`).
        self.hazards: dict[tuple[str, str, str], None] = {}
        # The names that have been opened to read, as they were given.
        self.known: set[str] = set()
        self.has_children = False
        self.is_alone = True
        self._exclusion = Exclusion(exclude)
        # Digest, size and mtime (ns) by real path.
        self._readings: dict[str, tuple[str, int, int]] = {}
        # The names that have been opened to read since `lets_wait`, and when (ns); they are in `known` too.
        self.waiting: dict[str, int] = {}
        self.lets_wait = False
        self._written: set[str] = set()
        self._beyond = 0
        self._started_ns = time.time_ns()
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def add(self, path: str | os.PathLike[str]) -> None:
        """Take the file, or every file below the folder, as an input, wherever it lies and whoever wrote it.

        Raises OSError where it cannot be read.
        """
        target = Path(path)
        for file in _files_below(target) if target.is_dir() else (target,):
            real = os.path.realpath(file)
            if real not in self._readings:
                self._digest(real, os.stat(real))

    @property
    def written(self) -> frozenset[str]:
        """What the run opened to write, or moved into place: absolute paths, links resolved."""
        return frozenset(self._written)

    def stop(self) -> tuple[Reading, ...]:
        """End the watch: the readings, in the order of the first of each."""
        active_watches.retire(self)
        with guard():
            self._stopped.set()
            if self.lets_wait and self._thread is not None:
                self._thread.join()
            self.settle()
        if self._beyond:
            self.warnings.append(
                f"{self._beyond} files that the run read, after the first {MAX_READINGS}, are not listed as inputs"
            )
            self._beyond = 0
        return tuple(Reading(real, *rest) for real, rest in list(self._readings.items()))

    def pause(self) -> None:
        """See nothing until `resume`."""
        with guard():
            self.settle()
        active_watches.retire(self)

    def resume(self) -> None:
        """Go on, in this context."""
        active_watches.resume(self)

    # For the hook

    def see_read(self, name: str, *, waits: bool = True) -> None:
        """Code of the run's is about to open the file of that absolute name to read it.

        What is opened by a library in C does not wait: it may write to it unseen as well.
        """
        self.known.add(name)
        if waits and self.lets_wait:
            self.waiting[name] = time.time_ns()
        else:
            self._look(name)
            if len(self._readings) >= AT_ONCE and self._thread is None:
                self._begin_to_settle()

    def see_write(self, name: str, *, makes: bool = False) -> None:
        """It is about to be opened to be written; `makes` where it is made unless it is there."""
        if self.waiting and not (makes and not os.path.lexists(name)):
            self.settle()  # it may have been read under another name
        real = self._exclusion.follow(name)
        if real is not None:
            self._written.add(real)

    def see_moved(self, source: str, target: str) -> None:
        """A file is about to get another name; what the run wrote stays its own."""
        self.settle()
        if self._exclusion.follow(source) in self._written:
            self._written.add(os.path.realpath(target))

    def see_child(self) -> None:
        """A process is about to be started: what that writes nobody sees."""
        self.has_children = True
        self.settle()

    # Looking

    def settle(self) -> None:
        """Look at the files that wait for it."""
        for name in list(self.waiting):
            with self._looking:
                opened_ns = self.waiting.pop(name, None)
                if opened_ns is not None:
                    self._look(name, opened_ns=opened_ns)

    def _look(self, name: str, *, opened_ns: int | None = None) -> None:
        """Take the file in if it is an input, as it is about to be opened, or has been then."""
        real = None if name.endswith(CODE_SUFFIXES) else self._exclusion.find(name)
        if real is None:
            return
        try:
            status = os.lstat(real)
            if stat.S_ISLNK(status.st_mode):
                real = self._exclusion.follow(real)
                status = os.stat(real or name)
        except OSError:
            self.known.discard(name)
            return  # the program's own call will fail as well, or make the file
        if real is not None and stat.S_ISREG(status.st_mode):
            self._consider(real, status, opened_ns)

    def _consider(self, real: str, status: os.stat_result, opened_ns: int | None) -> None:
        if real in self._written or real in self._readings:
            return
        now = time.time_ns()
        if opened_ns is not None and opened_ns + _TICK_NS < status.st_ctime_ns <= now:
            self._lose(real)
        # A time in the future says nothing about when: it is another clock's, or was set.
        elif self._started_ns <= status.st_mtime_ns <= now:
            self.products.append(Path(real))
        elif len(self._readings) >= MAX_READINGS:
            self._beyond += 1
        else:
            self._try_to_digest(real, status)

    def _try_to_digest(self, real: str, status: os.stat_result) -> None:
        try:
            self._digest(real, status)
        except PermissionError:
            return  # the program may not read it either
        except OSError as error:
            what = f"input {real} could not be read for its digest: {error.strerror}"
            self.warnings.append(what)

    def _digest(self, real: str, status: os.stat_result) -> None:
        # Of two threads that read it first at once, one digest is kept: the file was the same to both.
        said = (digest_now(real, status), status.st_size, status.st_mtime_ns)
        self._readings.setdefault(real, said)

    def _lose(self, real: str) -> None:
        self.lost.append(real)
        self.warnings.append(
            f"input {real} was changed by another process, or a library, right after the run had opened it: what it"
            " held is not known"
        )

    def _begin_to_settle(self) -> None:
        self._thread = threading.Thread(
            target=self._settle_often, name="recorder-inputs", daemon=True
        )
        with contextlib.suppress(RuntimeError):  # no thread to be had: each is looked at at once
            self._thread.start()
            self.lets_wait = True

    def _settle_often(self) -> None:
        with guard():
            while not self._stopped.wait(WAIT_S):
                self.settle()


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
