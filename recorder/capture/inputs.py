"""The files that a run reads, found without a word from the user.

An audit hook (PEP 578) sees every file that Python opens. It is added once a process, at the first run, and
can never be removed; outside runs it costs one look at a global. A file's digest is taken at its first
reading, before the program can write to it.

What counts as an input: a regular file that the run opened to read, or opened to change without emptying it
(its content before). What does not: a file that the run wrote first, or that was last changed since the run
began (a child process or a C library wrote it: the hook sees neither); code and compiled modules, which the
snapshot and the environment hold; the interpreter, installed packages, caches, /etc and the kernel's own
file systems; what recorder itself opens.

What the hook cannot see, and `Watch.add` is for: files opened by C libraries (parquet, HDF5, safetensors), by
child processes and forked workers, or relative to a folder's descriptor.

With several runs at once a reading belongs to the run of the context that it takes place in (and to the runs
around that one). A thread that a run started has no context of its own: its readings go to all runs in progress.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from ..digest import digest_bytes, digest_file

# More inputs than this are counted and not listed: a record with them would be larger than the run is worth.
MAX_READINGS = 50_000

# Code is the snapshot's and the environment's to keep.
_CODE_SUFFIXES = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dylib", ".dll", ".pth")
_NO_INPUTS_BELOW = ("site-packages", "dist-packages", "__pycache__", ".git", ".ipynb_checkpoints")
_SYSTEM = (
    "/proc", "/sys", "/dev", "/run", "/etc", "/usr/lib", "/usr/lib64", "/usr/share/fonts",
    "/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/mime", "/usr/share/X11", "/lib", "/lib64",
)  # fmt: skip
# A file younger than this when it was digested may change again without its times showing it: ext3 and HFS+
# keep whole seconds, FAT two of them.
_RACY_NS = 2_000_000_000
_SMALL_BYTES = 1 << 20

_PACKAGE = str(Path(__file__).parent.parent) + os.sep
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep

_Signature = tuple[int, int, int, int, int]


class Reading(msgspec.Struct, frozen=True):
    """A file as it was when the run first read it; `path` is absolute, its links resolved."""

    path: Path
    digest: str
    size_bytes: int
    mtime_ns: int


class Watch:
    """Collects the readings of one run, from `watch_inputs` to `stop`.

    `warnings` says what could not be taken in. In a forked child a watch sees nothing.
    """

    def __init__(self, *, exclude: Sequence[Path] = (), around: Watch | None = None) -> None:
        self.warnings: list[str] = []
        self._around = around
        self._exclude = tuple(os.path.realpath(path) for path in exclude) + _interpreter_folders()
        self._started_ns = time.time_ns()
        self._readings: dict[str, Reading] = {}
        self._known: set[str] = set()
        self._written: set[str] = set()
        self._folders: dict[str, str | None] = {}
        self._beyond = 0

    def add(self, path: str | os.PathLike[str]) -> None:
        """Take the file, or every file below the folder, as an input, wherever it lies and whoever wrote it.

        Raises OSError where it cannot be read.
        """
        target = Path(path)
        for file in _files_below(target) if target.is_dir() else (target,):
            real = os.path.realpath(file)
            if real not in self._readings:
                self._keep(real, os.stat(real))

    def stop(self) -> tuple[Reading, ...]:
        """End the watch; the readings in the order of the first of each. Only the first call ends anything."""
        _retire(self)
        if self._beyond:
            self.warnings.append(
                f"{self._beyond} files beyond the first {MAX_READINGS} that the run read are not listed as inputs"
            )
            self._beyond = 0
        return tuple(self._readings.values())

    # What the hook calls

    def _read(self, path: str) -> None:
        real = self._find(path)
        if real is None or real in self._written or real in self._readings:
            return
        try:
            status = os.stat(real)
        except OSError:
            return  # the program will be told so by its own call
        if stat.S_ISREG(status.st_mode) and not self._is_own_product(status):
            if len(self._readings) < MAX_READINGS:
                self._keep(real, status)
            else:
                self._beyond += 1

    def _write(self, path: str) -> None:
        real = self._find(path)
        if real is not None:
            self._written.add(real)

    def _move(self, source: str, target: str) -> None:
        if os.path.realpath(source) in self._written:
            self._written.add(os.path.realpath(target))

    def _find(self, path: str) -> str | None:
        """The path with its links resolved; None where no inputs lie. Folders are looked at once."""
        folder, name = os.path.split(path)
        try:
            real = self._folders[folder]
        except KeyError:
            real = self._folders[folder] = self._find_folder(folder)
        if real is None:
            return None
        whole = f"{real}{name}"
        if os.path.islink(whole):
            whole = os.path.realpath(whole)
            return None if self._find_folder(os.path.dirname(whole)) is None else whole
        return None if whole in self._exclude else whole

    def _find_folder(self, folder: str) -> str | None:
        real = os.path.realpath(folder)
        if any(part in _NO_INPUTS_BELOW for part in real.split(os.sep)):
            return None
        if any(real == place or real.startswith(place + os.sep) for place in self._exclude):
            return None
        return real if real.endswith(os.sep) else real + os.sep

    def _is_own_product(self, status: os.stat_result) -> bool:
        # A time in the future says nothing about when: another clock's, or one that was set.
        return self._started_ns <= status.st_mtime_ns <= time.time_ns()

    def _keep(self, real: str, status: os.stat_result) -> None:
        try:
            digest = _digest(real, status)
        except OSError as error:
            self.warnings.append(f"input {real} could not be read for its digest: {error.strerror}")
            return
        reading = Reading(Path(real), digest, status.st_size, status.st_mtime_ns)
        self._readings.setdefault(real, reading)


def watch_inputs(*, exclude: Sequence[Path] = ()) -> Watch:
    """Begin to collect what is read; nothing at or below the paths `exclude` counts."""
    global _active
    _install()
    with _lock:
        watch = Watch(exclude=exclude, around=_current.get())
        _active = (*_active, watch)
        _current.set(watch)
    return watch


# The watches in progress; the hook does nothing while there are none.
_active: tuple[Watch, ...] = ()
_current: ContextVar[Watch | None] = ContextVar("recorder_watch", default=None)
_lock = threading.Lock()
_guard = threading.local()
_installed = False
_memo: dict[str, tuple[_Signature, str]] = {}


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
    _current.set(None)


def _retire(watch: Watch) -> None:
    global _active
    with _lock:
        _active = tuple(other for other in _active if other is not watch)
        if _current.get() is watch:
            _current.set(watch._around)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _active and event in _HANDLERS:
        _dispatch(event, args)


def _dispatch(event: str, args: tuple[Any, ...]) -> None:
    if getattr(_guard, "busy", False):
        return  # the digest's own opening of the file
    _guard.busy = True
    try:
        _HANDLERS[event](*args)
    except Exception as error:  # noqa: BLE001 - the user's program never sees trouble in here; the run says it
        for watch in _targets():
            watch.warnings.append(f"a file that the run opened was not looked at: {error!r}")
    finally:
        _guard.busy = False


def _targets() -> Sequence[Watch]:
    """The watch of this context and those around it; all of them where the context has none in progress."""
    watch, active = _current.get(), _active
    while watch is not None and watch not in active:
        watch = watch._around
    return active if watch is None else [one for one in _and_around(watch) if one in active]


def _and_around(watch: Watch) -> Iterator[Watch]:
    one: Watch | None = watch
    while one is not None:
        yield one
        one = one._around


def _on_open(path: Any, _mode: Any, flags: int) -> None:
    if isinstance(path, int):
        return
    name = os.fsdecode(path)
    if not os.path.isabs(name):
        name = os.path.join(os.getcwd(), name)
    reads, writes = _access(flags)
    for watch in _targets():
        if reads and name not in watch._known:
            watch._known.add(name)
            if not name.endswith(_CODE_SUFFIXES) and not _is_own_opening():
                watch._read(name)
        if writes:
            watch._write(name)


def _access(flags: int) -> tuple[bool, bool]:
    """Whether what the file held counts as read, and whether it is written to."""
    writes = flags & (os.O_WRONLY | os.O_RDWR) != 0
    empties = flags & os.O_TRUNC != 0 or (flags & os.O_CREAT != 0 and flags & os.O_EXCL != 0)
    return not empties, writes or empties


def _on_rename(source: Any, target: Any, *folders: int) -> None:
    if all(folder == -1 for folder in folders):
        for watch in _targets():
            watch._move(os.fsdecode(source), os.fsdecode(target))


_HANDLERS: dict[str, Callable[..., None]] = {
    "open": _on_open,
    "os.rename": _on_rename,
    "os.link": _on_rename,
}


def _is_own_opening() -> bool:
    """Whether recorder, and not the user's code, opens the file, by way of the standard library or not."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and not file.startswith((_STDLIB, "<frozen")):
            return file.startswith(_PACKAGE)
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _digest(real: str, status: os.stat_result) -> str:
    """The file's digest; taken from memory while its times, size and inode are those that it had."""
    signature = (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
    known = _memo.get(real)
    if known is not None and known[0] == signature:
        return known[1]
    digest = _digest_small(real) if status.st_size <= _SMALL_BYTES else digest_file(Path(real))
    if time.time_ns() - status.st_ctime_ns > _RACY_NS:
        if len(_memo) >= MAX_READINGS:
            _memo.clear()
        _memo[real] = (signature, digest)
    return digest


def _digest_small(real: str) -> str:
    with open(real, "rb", buffering=0) as file:
        return digest_bytes(file.read())


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _interpreter_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths["stdlib"], paths["platstdlib"]}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix}:
        found |= {os.path.join(prefix, "lib"), os.path.join(prefix, "lib64")}
    home = os.path.expanduser("~")
    found |= {os.path.join(home, name) for name in (".cache", ".config", ".local", ".fonts")}
    if os.environ.get("XDG_CACHE_HOME"):
        found.add(os.environ["XDG_CACHE_HOME"])
    return (*_SYSTEM, *sorted({os.path.realpath(path) for path in found}))
