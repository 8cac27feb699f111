"""The files that a run reads, found without a word from the user.

An audit hook (PEP 578) sees every file that Python opens. It is added once a process, at the first run, and
can never be removed; outside runs it costs one look at a global. A file's digest is taken at its first
opening, before the program can write to it.

What counts as an input: a regular file that the run opened to read, or to change without emptying it first
(its content before). What does not: a file that the run wrote first; one that was changed after the run began
and before it was read, for then a child process or a C library of the run's wrote it, which the hook does not
see (`Watch.products` lists them); code and compiled modules, which the snapshot and the environment hold; the
interpreter, installed packages, caches, /etc and the kernel's own file systems; what recorder itself opens.

What the hook cannot see: files opened by C libraries (parquet, HDF5, safetensors), of which those in
`recorder.capture.readers` are noted all the same, by child processes and forked workers. `Watch.add` is for those.
A name relative to a folder's descriptor (``dir_fd=``) is taken as relative to the working directory, for the hook
is not told of the descriptor.

With several runs at once a reading belongs to the run in whose context it takes place, and to the runs around
that one. A thread that a run starts has no context: its readings go to all runs in progress.
"""

# ruff: noqa: PTH109, PTH116, PTH118
# Paths are text here: this works for every file that a run opens, and a Path costs as much as the rest.

from __future__ import annotations

import os
import stat
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from .digests import digest_now
from .exclusion import CODE_SUFFIXES, Exclusion

# Beyond this many inputs they are counted and not listed: the record would be larger than what it is about.
MAX_READINGS = 50_000

_CAPTURE = str(Path(__file__).parent) + os.sep
_PACKAGE = str(Path(__file__).parent.parent) + os.sep
_paths = sysconfig.get_paths()
_STDLIB = (_paths["stdlib"] + os.sep, "<frozen")
# Installed packages lie inside the standard library's folder, unless there is a virtual environment.
_INSTALLED = (_paths["purelib"] + os.sep, _paths["platlib"] + os.sep)


# Recorder's own files whose functions open nothing for themselves.
_SEEN_THROUGH = {__file__}


class Reading(msgspec.Struct, frozen=True):
    """A file as it was when the run first read it; `path` is absolute, its links resolved."""

    path: Path
    digest: str
    size_bytes: int
    mtime_ns: int


class Watch:
    """Collects the readings of one run, from `watch_inputs` to `stop`; in a forked child it sees nothing.

    `warnings` says what could not be taken in; `products` lists files that the run read and that were changed
    after it began by what the hook cannot see; `has_children` whether it started a process; `is_alone` whether no
    other run of this process, but for those around and within it, was in progress meanwhile.
    """

    def __init__(self, *, exclude: Sequence[str | Path] = (), around: Watch | None = None) -> None:
        self.warnings: list[str] = []
        self.products: list[Path] = []
        self.around = around
        # What else was seen while it lasted, each once: kind, place and detail (see `.hazards`).
        self.hazards: dict[tuple[str, str, str], None] = {}
        self._exclusion = Exclusion(exclude)
        self._readings: dict[str, tuple[str, int, int]] = {}
        self._known: set[str] = set()
        self._written: set[str] = set()
        self._beyond = 0
        self._started_ns = time.time_ns()
        self.has_children = False
        self.is_alone = True

    def add(self, path: str | os.PathLike[str]) -> None:
        """Take the file, or every file below the folder, as an input, wherever it lies and whoever wrote it.

        Raises OSError where it cannot be read.
        """
        target = Path(path)
        for file in _files_below(target) if target.is_dir() else (target,):
            real = os.path.realpath(file)
            if real not in self._readings:
                self._keep(real, os.stat(real))

    @property
    def written(self) -> frozenset[str]:
        """What the run opened to write, or moved into place: absolute paths, links resolved."""
        return frozenset(self._written)

    def stop(self) -> tuple[Reading, ...]:
        """End the watch: the readings, in the order of the first of each."""
        _retire(self)
        if self._beyond:
            self.warnings.append(
                f"{self._beyond} files that the run read, after the first {MAX_READINGS}, are not listed as inputs"
            )
            self._beyond = 0
        return tuple(Reading(Path(real), *rest) for real, rest in list(self._readings.items()))

    def pause(self) -> None:
        """See nothing until `resume`."""
        _retire(self)

    def resume(self) -> None:
        """Go on, in this context."""
        global _active
        with _lock:
            _active = (*(one for one in _active if one is not self), self)
        self.around = _current.get()
        _current.set(self)

    def see(self, name: str, *, reads: bool, writes: bool, opener: FrameType) -> None:
        """For the hook: code in the frame `opener` is about to open the file of that absolute name."""
        if reads and name not in self._known and not _is_own(opener):
            self._read(name)
        if writes:
            real = self._exclusion.follow(name)
            if real is not None:
                self._written.add(real)

    def see_moved(self, source: str, target: str) -> None:
        """For the hook: a file is about to get another name; what the run wrote stays its own."""
        if self._exclusion.follow(source) in self._written:
            self._written.add(os.path.realpath(target))

    def _read(self, name: str) -> None:
        real = None if name.endswith(CODE_SUFFIXES) else self._exclusion.find(name)
        if real is not None:
            try:
                status = os.lstat(real)
                if stat.S_ISLNK(status.st_mode):
                    real = self._exclusion.follow(real)
                    status = os.stat(real or name)
            except OSError:
                return  # the program's own call will fail as well, or make the file
            if real is not None and stat.S_ISREG(status.st_mode):
                self._consider(real, status)
        self._known.add(name)

    def _consider(self, real: str, status: os.stat_result) -> None:
        if real in self._written or real in self._readings:
            return
        # A time in the future says nothing about when: it is another clock's, or was set.
        if status.st_mtime_ns >= self._started_ns and status.st_mtime_ns <= time.time_ns():
            self.products.append(Path(real))
        elif len(self._readings) >= MAX_READINGS:
            self._beyond += 1
        else:
            try:
                self._keep(real, status)
            except PermissionError:
                return  # the program may not read it either
            except OSError as error:
                self.warnings.append(
                    f"input {real} could not be read for its digest: {error.strerror}"
                )

    def _keep(self, real: str, status: os.stat_result) -> None:
        # Of two threads that read it first at once, one digest is kept: the file was the same to both.
        self._readings.setdefault(
            real, (digest_now(real, status), status.st_size, status.st_mtime_ns)
        )


def watch_inputs(*, exclude: Sequence[str | Path] = ()) -> Watch:
    """Begin to collect what is read; nothing at or below the paths `exclude` counts."""
    global _active
    _install()
    watch = Watch(exclude=exclude, around=_current.get())
    with _lock:
        around = list(_outwards(watch))
        for other in _active:
            if other not in around:
                other.is_alone = watch.is_alone = False
        _active = (*_active, watch)
    _current.set(watch)
    return watch


def listen(handlers: Mapping[str, Callable[..., None]]) -> None:
    """Have the hook call these, by audit event, while a run is in progress; each event has one handler."""
    _HANDLERS.update(handlers)


def see_through(file: str) -> None:
    """Take what the functions of that source file open as opened by whoever calls them."""
    _SEEN_THROUGH.add(file)


def targets() -> Sequence[Watch]:
    """The watches that what this context does belongs to; none outside runs."""
    return _targets() if _active else ()


class _Guard(threading.local):
    """Whether this thread is in the hook already: digesting opens files as well."""

    busy = False


# The watches in progress: while there are none, the hook does nothing.
_active: tuple[Watch, ...] = ()
_current: ContextVar[Watch | None] = ContextVar("recorder_watch", default=None)
_lock = threading.Lock()
_guard = _Guard()
_installed = False


def _install() -> None:
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """In a forked child: its parent's watches are not its own."""
    global _active, _lock
    _active, _lock = (), threading.Lock()
    _guard.busy = False
    _current.set(None)


def _retire(watch: Watch) -> None:
    global _active
    with _lock:
        _active = tuple(other for other in _active if other is not watch)
    if _current.get() is watch:
        _current.set(watch.around)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _active and event in _HANDLERS and not _guard.busy:
        _guard.busy = True
        try:
            _HANDLERS[event](*args)
        except Exception as error:  # noqa: BLE001 - the user's program sees no trouble of ours; the run says it
            for watch in _targets():
                watch.warnings.append(f"a file that the run opened was not looked at: {error!r}")
        finally:
            _guard.busy = False


def _targets() -> Sequence[Watch]:
    """The watch of this context and those around it; all where the context has none in progress."""
    active = _active
    watch = _current.get() if len(active) > 1 else None
    while watch is not None and watch not in active:
        watch = watch.around
    return active if watch is None else [one for one in _outwards(watch) if one in active]


def _outwards(watch: Watch) -> Iterator[Watch]:
    one: Watch | None = watch
    while one is not None:
        yield one
        one = one.around


def _absolute(path: Any) -> str:
    name = path if type(path) is str else os.fsdecode(path)
    return name if name.startswith(os.sep) else os.path.join(os.getcwd(), name)


def _on_open(path: Any, _mode: Any, flags: int) -> None:
    if type(path) is int:
        return
    name = _absolute(path)
    writes, empties = bool(flags & _WRITES), False
    if writes:  # an emptied or a new file says nothing of what was there before
        empties = bool(flags & os.O_TRUNC) or flags & _CREATES == _CREATES
    opener = sys._getframe(2)
    for watch in _targets():
        watch.see(name, reads=not empties, writes=writes, opener=opener)


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_TRUNC
_CREATES = os.O_CREAT | os.O_EXCL


def _on_rename(source: Any, target: Any, *folders: int) -> None:
    if all(folder == -1 for folder in folders):
        for watch in _targets():
            watch.see_moved(_absolute(source), _absolute(target))


def is_watching() -> bool:
    """Whether there is a run in progress in this process."""
    return bool(_active)


def note(path: Any, *, reads: bool = True, writes: bool = False) -> None:
    """A library that the hook does not see into is about to open the file at `path`; nothing outside runs."""
    if _active and not _guard.busy:
        _guard.busy = True
        try:
            name, opener = os.path.abspath(_absolute(path)), sys._getframe(1)  # noqa: PTH100
            while opener.f_back is not None and opener.f_code.co_filename.startswith(_CAPTURE):
                opener = opener.f_back
            for watch in _targets():
                watch.see(name, reads=reads, writes=writes, opener=opener)
        finally:
            _guard.busy = False


def _on_truncate(path: Any, _length: Any) -> None:
    _on_open(path, None, os.O_RDWR)


def _on_connect(database: Any) -> None:
    """A database of SQLite's: a file name, or a URI with one; ":memory:" and "" name no file."""
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name = "/" * name.startswith("file:///") + name[5:].partition("?")[0].lstrip("/")
    if name and not name.startswith(":"):
        _on_open(name, None, os.O_RDONLY)


def _on_child(*_: Any) -> None:
    for watch in _targets():
        watch.has_children = True


_HANDLERS: dict[str, Callable[..., None]] = {
    "subprocess.Popen": _on_child,
    "os.fork": _on_child,
    "os.posix_spawn": _on_child,
    "os.system": _on_child,
    "open": _on_open,
    "os.rename": _on_rename,
    "os.link": _on_rename,
    "os.truncate": _on_truncate,
    "sqlite3.connect": _on_connect,
}


def _is_own(opener: FrameType) -> bool:
    """Whether recorder opens the file, and not the user's code; either may do so by the standard library."""
    frame: FrameType | None = opener
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PACKAGE):
            if file not in _SEEN_THROUGH:
                return True
        elif not file.startswith(_STDLIB) or file.startswith(_INSTALLED):
            return False
        frame = frame.f_back
    return False


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
