"""The files that a run reads and writes, found without a word from the user.

An audit hook (PEP 578) sees every file that Python opens. It is added once a process, at the first run, and
can never be removed; outside runs it costs one look at a global. What becomes of it is in `.watch`.

What the hook cannot see: files opened by C libraries (parquet, HDF5, safetensors), of which those in
`recorder.capture.files.library_hooks` are noted all the same, by child processes and forked workers. `Watch.add`
is for those.
A name relative to a folder's descriptor (``dir_fd=``) is taken as relative to the working directory, for the hook
is not told of the descriptor. What recorder itself opens is not the run's.
"""

# ruff: noqa: PTH109, PTH117
# Paths are text here: this works for every file that a run opens, and a Path costs as much as the rest.

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time_ns
from types import FrameType
from typing import Any

from ...paths import PACKAGE, is_log_name
from . import active_watches
from .guard import guard, here
from .watch import Reading, Watch

__all__ = [
    "Reading",
    "Watch",
    "is_watching",
    "listen",
    "note",
    "see_through",
    "targets",
    "watch_inputs",
]

_CAPTURE = f"{PACKAGE}capture{os.sep}"
_paths = sysconfig.get_paths()
_STDLIB = (_paths["stdlib"] + os.sep, "<frozen")
# Installed packages lie inside the standard library's folder, unless there is a virtual environment.
_INSTALLED = (_paths["purelib"] + os.sep, _paths["platlib"] + os.sep)

# Recorder's own files whose functions open nothing for themselves.
_SEEN_THROUGH = {__file__}


def watch_inputs(*, exclude: Sequence[str | Path] = ()) -> Watch:
    """Begin to collect what is read; nothing at or below the paths `exclude` counts."""
    _install()
    watch = Watch(exclude=exclude, around=active_watches.current())
    active_watches.add(watch)
    return watch


def targets() -> Sequence[Watch]:
    """The watches that what this context does belongs to; none outside runs."""
    return active_watches.targets()


def is_watching() -> bool:
    """Whether there is a run in progress in this process."""
    return bool(active_watches.active)


def listen(handlers: Mapping[str, Callable[..., None]]) -> None:
    """Have the hook call these too, by audit event, while a run is in progress."""
    for event, handler in handlers.items():
        if handler not in _HANDLERS.get(event, ()):
            _HANDLERS[event] = (*_HANDLERS.get(event, ()), handler)


def see_through(file: str) -> None:
    """Take what the functions of that source file open as opened by whoever calls them."""
    _SEEN_THROUGH.add(file)


def note(path: Any, *, reads: bool = True, writes: bool = False) -> None:
    """A library that the hook does not see into is about to open the file at `path`; nothing outside runs."""
    if active_watches.active and not here.busy:
        with guard():
            name, opener = os.path.abspath(_absolute(path)), sys._getframe(1)  # noqa: PTH100
            while opener.f_back is not None and opener.f_code.co_filename.startswith(_CAPTURE):
                opener = opener.f_back
            for watch in targets():
                if reads and name not in watch.known and not _is_own(opener):
                    watch.see_read(name, waits=False)
                if writes:
                    watch.see_write(name)


_installed = False


def _install() -> None:
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)
        with contextlib.suppress(ImportError):  # of a system that cannot fork
            _announce_workers()


# A worker is about to be started: what the hook is told by `_announce_workers`.
WORKER = "recorder.worker"


def _announce_workers() -> None:
    """Have the hook hear of workers of multiprocessing and loky that are not forked: Python has no event for them."""
    import _posixsubprocess

    start = _posixsubprocess.fork_exec

    def fork_exec(args: Any, *rest: Any) -> Any:
        if active_watches.active and sys._getframe(1).f_globals.get("__name__") != "subprocess":
            _hook(WORKER, (args,))
        return start(args, *rest)

    _posixsubprocess.fork_exec = fork_exec


def _hook(event: str, args: tuple[Any, ...]) -> None:
    watches = active_watches.active
    if not watches or event not in _HANDLERS or here.busy:
        return
    # (The common case, written out: it is paid for every file of a run that opens thousands.)
    if event == "open" and len(watches) == 1 and not args[2] & _WRITES:
        watch, name = watches[0], args[0]
        if type(name) is str:
            name = name if name.startswith("/") else _absolute(name)
            if name in watch.known:
                return
            if watch.lets_wait and not _is_own(sys._getframe(1)):
                watch.known.add(name)
                watch.waiting[name] = time_ns()
                return
    # (What recorder itself writes for a run is some ten files, each as dear to look at as one of the program's.)
    if event in _OF_FILES and _is_own(sys._getframe(1)):
        return
    here.busy = True
    try:
        for handler in _HANDLERS[event]:
            handler(*args)
    except Exception as error:  # noqa: BLE001 - the user's program sees no trouble of ours; the run says it
        for watch in targets():
            watch.warnings.append(f"a file that the run opened was not looked at: {error!r}")
    finally:
        here.busy = False


def _absolute(path: Any) -> str:
    name: str = path if type(path) is str else os.fsdecode(path)
    return name if os.path.isabs(name) else f"{os.getcwd()}{os.sep}{name}"


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_TRUNC
_CREATES = os.O_CREAT | os.O_EXCL


def _on_open(path: Any, _mode: Any, flags: int) -> None:
    if type(path) is int:
        return
    name = _absolute(path)
    watches = targets()
    # An emptied or a new file says nothing of what was there before; what a log says was not looked at.
    appends = flags & os.O_APPEND and not flags & os.O_RDWR and is_log_name(name)
    if not flags & os.O_TRUNC and flags & _CREATES != _CREATES and not appends:
        for watch in watches:
            if name not in watch.known:
                watch.see_read(name)
    if flags & _WRITES:
        for watch in watches:
            watch.see_write(name, makes=bool(flags & os.O_CREAT))


def _on_rename(source: Any, target: Any, *folders: int) -> None:
    if all(folder == -1 for folder in folders):
        for watch in targets():
            watch.see_moved(_absolute(source), _absolute(target))


def _on_change(*_: Any) -> None:
    """Something other than an opening is about to change a file, or only its times."""
    for watch in targets():
        watch.settle()


def _on_truncate(path: Any, _length: Any) -> None:
    _on_open(path, None, os.O_RDWR)


def _on_connect(database: Any) -> None:
    """A database of SQLite's: a file name, or a URI with one; ":memory:" and "" name no file."""
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name = "/" * name.startswith("file:///") + name[5:].partition("?")[0].lstrip("/")
    if name and not name.startswith(":"):
        name = _absolute(name)
        for watch in targets():
            if name not in watch.known:
                watch.see_read(name, waits=False)


def _on_child(*_: Any) -> None:
    for watch in targets():
        watch.see_child()


_HANDLERS: dict[str, tuple[Callable[..., None], ...]] = {
    "subprocess.Popen": (_on_child,),
    "os.fork": (_on_child,),
    "os.forkpty": (_on_child,),
    "os.posix_spawn": (_on_child,),
    "os.system": (_on_child,),
    WORKER: (_on_child,),
    "open": (_on_open,),
    "os.rename": (_on_rename,),
    "os.link": (_on_rename,),
    "os.remove": (_on_change,),
    "os.chmod": (_on_change,),
    "os.chown": (_on_change,),
    "os.utime": (_on_change,),
    "os.truncate": (_on_truncate,),
    "sqlite3.connect": (_on_connect,),
}

# Those that say that a file is opened or changed.
_OF_FILES = frozenset(_HANDLERS) - {
    event for event, handlers in _HANDLERS.items() if _on_child in handlers
}


def _is_own(opener: FrameType) -> bool:
    """Whether recorder opens the file, and not the user's code; either may do so by the standard library."""
    frame: FrameType | None = opener
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            if file not in _SEEN_THROUGH:
                return True
        elif not file.startswith(_STDLIB) or file.startswith(_INSTALLED):
            return False
        frame = frame.f_back
    return False
