"""The files read and written by one run, each input with its digest at the time of the first read.

An input is a regular file that the run opened to read, or to change without emptying it first; the digest is that of
the content before. These are not inputs: files that the run wrote first; files that changed between the start of the
run and the read, because then a child process or a C library of the run wrote them unseen (listed in
`Watch.products`); code and compiled modules, which belong to the snapshot and the environment; the interpreter,
installed packages, caches, /etc, and kernel file systems.

The first files are digested when they are opened. For a run that opens thousands, this would be most of its overhead,
so later files wait. A thread digests them half a second later. The run's own thread does so before the run opens a
file to write, renames or removes a file, starts a child process, or ends. If a file's ctime, which no program can
set, is then later than the opening, an unseen writer changed the file. Its content at the time of the read is
unknown, and it is listed as `lost`.
"""

# ruff: noqa: PTH116
# Paths are strings here: this runs for each file that a run opens, and a Path costs as much as everything else.

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

# Further inputs are counted but not listed: the record would be larger than its subject.
MAX_READINGS = 50_000
# This many files are digested when they are opened. For fewer, a thread would cost more than it saves.
AT_ONCE = 100
# The delay before a waiting file is digested. An unseen change within it makes the file lost.
WAIT_S = 0.5
# A filesystem's clock advances in steps of up to 10 ms, and lags by as much.
_TICK_NS = 10_000_000


class Reading(msgspec.Struct, frozen=True):
    """A file at the time of its first read. `path` is absolute, with links resolved."""

    path: str
    digest: str
    size_bytes: int
    mtime_ns: int


class Watch:
    """A collector of the files that one run reads, until `stop`. It does not see forked children.

    `warnings` lists the files that could not be captured. `products` are files that the run read and that an unseen
    writer changed after its start. `lost` are files that an unseen writer changed after the run had read them.
    `has_children` is True if the run started a process. `is_alone` is True if no other run of this process was in
    progress, apart from enclosing and nested runs.
    """

    def __init__(self, *, exclude: Sequence[str | Path] = (), around: Watch | None = None) -> None:
        self.warnings: list[str] = []
        self.products: list[Path] = []
        self.lost: list[str] = []
        self.around = around
        # Other hazards observed during the run, each once: kind, place, and detail (see `..hazards.observed`).
        self.hazards: dict[tuple[str, str, str], None] = {}
        # The names opened to read, as the program gave them.
        self.known: set[str] = set()
        self.has_children = False
        self.is_alone = True
        self._exclusion = Exclusion(exclude)
        # Digest, size and mtime (ns) by real path.
        self._readings: dict[str, tuple[str, int, int]] = {}
        # The names opened to read since `lets_wait`, with the time (ns). They are in `known` as well.
        self.waiting: dict[str, int] = {}
        self.lets_wait = False
        self._written: set[str] = set()
        self._beyond = 0
        self._started_ns = time.time_ns()
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def add(self, path: str | os.PathLike[str]) -> None:
        """Add the file, or every file below the folder, as an input, wherever it is and whoever wrote it.

        Raises OSError if it cannot be read.
        """
        target = Path(path)
        for file in _files_below(target) if target.is_dir() else (target,):
            real = os.path.realpath(file)
            if real not in self._readings:
                self._digest(real, os.stat(real))

    @property
    def written(self) -> frozenset[str]:
        """The absolute paths, links resolved, that the run opened to write or moved into place."""
        return frozenset(self._written)

    def stop(self) -> tuple[Reading, ...]:
        """End the watch and return the readings in the order of their first read."""
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
        """Ignore events until `resume`."""
        with guard():
            self.settle()
        active_watches.retire(self)

    def resume(self) -> None:
        """Resume in this context."""
        active_watches.resume(self)

    # For the hook

    def see_read(self, name: str, *, waits: bool = True) -> None:
        """Report that the run is about to open the file with this absolute name to read it.

        A file opened by a C library does not wait, because the library may write to it unseen as well.
        """
        self.known.add(name)
        if waits and self.lets_wait:
            self.waiting[name] = time.time_ns()
        else:
            self._look(name)
            if len(self._readings) >= AT_ONCE and self._thread is None:
                self._begin_to_settle()

    def see_write(self, name: str, *, makes: bool = False) -> None:
        """Report that the file is about to be opened to write. `makes` is True if this can create it."""
        if self.waiting and not (makes and not os.path.lexists(name)):
            self.settle()  # the file may have been read under another name
        real = self._exclusion.follow(name)
        if real is not None:
            self._written.add(real)

    def see_moved(self, source: str, target: str) -> None:
        """Report that a file is about to be renamed. A file that the run wrote remains an output."""
        self.settle()
        if self._exclusion.follow(source) in self._written:
            self._written.add(os.path.realpath(target))

    def see_child(self) -> None:
        """Report that a process is about to start, whose writes are not seen."""
        self.has_children = True
        self.settle()

    # Looking

    def settle(self) -> None:
        """Digest the waiting files now."""
        for name in list(self.waiting):
            with self._looking:
                opened_ns = self.waiting.pop(name, None)
                if opened_ns is not None:
                    self._look(name, opened_ns=opened_ns)

    def _look(self, name: str, *, opened_ns: int | None = None) -> None:
        """Add the file if it is an input that is about to be opened, or that was opened at `opened_ns`."""
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
            return  # the program's own call will fail too, or create the file
        if real is not None and stat.S_ISREG(status.st_mode):
            self._consider(real, status, opened_ns)

    def _consider(self, real: str, status: os.stat_result, opened_ns: int | None) -> None:
        if real in self._written or real in self._readings:
            return
        now = time.time_ns()
        if opened_ns is not None and opened_ns + _TICK_NS < status.st_ctime_ns <= now:
            self._lose(real)
        # A time in the future is from another clock, or was set, and proves nothing.
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
            return  # the program cannot read it either
        except OSError as error:
            self.warnings.append(f"input {real} could not be digested: {error.strerror}")

    def _digest(self, real: str, status: os.stat_result) -> None:
        # If two threads read it first at the same time, one digest is kept: both saw the same file.
        reading = (digest_now(real, status), status.st_size, status.st_mtime_ns)
        self._readings.setdefault(real, reading)

    def _lose(self, real: str) -> None:
        self.lost.append(real)
        self.warnings.append(
            f"input {real} was changed by another process or a library right after the run opened it, so its content"
            " at that time is unknown"
        )

    def _begin_to_settle(self) -> None:
        self._thread = threading.Thread(
            target=self._settle_often, name="recorder-inputs", daemon=True
        )
        with contextlib.suppress(
            RuntimeError
        ):  # without a thread, each file is digested when it is opened
            self._thread.start()
            self.lets_wait = True

    def _settle_often(self) -> None:
        with guard():
            while not self._stopped.wait(WAIT_S):
                self.settle()


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
