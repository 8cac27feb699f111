"""Discovery of the files that a run reads and writes, by an audit hook (PEP 578).

The hook sees every file that Python opens. It is added once per process, at the first run, and cannot be removed.
Outside runs it only reads a global variable. `.watch` turns its events into inputs and outputs.

The hook does not see files opened by C libraries (Parquet, HDF5, safetensors), by child processes, or by forked
workers. `recorder.capture.files.library_hooks` reports those of some libraries; `Watch.add` is for the others. A name
relative to a folder descriptor (``dir_fd=``) is resolved against the working directory, because the event does not
contain the descriptor. Files that recorder itself opens are ignored.
"""

# ruff: noqa: PTH109, PTH117
# Paths are strings here: this runs for each file that a run opens, and a Path costs as much as everything else.

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

_paths = sysconfig.get_paths()
_STDLIB = (_paths["stdlib"] + os.sep, "<frozen")
# Without a virtual environment, installed packages are inside the standard library's folder.
_INSTALLED = (_paths["purelib"] + os.sep, _paths["platlib"] + os.sep)

# recorder's own files that only pass on what their callers open.
_SEEN_THROUGH = {__file__}


def watch_inputs(*, exclude: Sequence[str | Path] = ()) -> Watch:
    """Begin a watch that collects the files read in this context, except those at or below `exclude`."""
    _install()
    watch = Watch(exclude=exclude, around=active_watches.current())
    active_watches.add(watch)
    return watch


def targets() -> Sequence[Watch]:
    """Return the watches that an event in this context belongs to. Outside runs there are none."""
    return active_watches.targets()


def is_watching() -> bool:
    """Return True while a run is in progress in this process."""
    return bool(active_watches.active)


def listen(handlers: Mapping[str, Callable[..., None]]) -> None:
    """Register further handlers by audit event. The hook calls them while a run is in progress."""
    for event, handler in handlers.items():
        if handler not in _HANDLERS.get(event, ()):
            _HANDLERS[event] = (*_HANDLERS.get(event, ()), handler)


def see_through(file: str) -> None:
    """Attribute the files opened by functions of this source file to their callers."""
    _SEEN_THROUGH.add(file)


def note(path: Any, *, reads: bool = True, writes: bool = False) -> None:
    """Report that a library is about to open the file at `path` in C. Outside runs this does nothing."""
    if active_watches.active and not here.busy:
        with guard():
            name, opener = os.path.abspath(_absolute(path)), sys._getframe(1)  # noqa: PTH100
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
        with contextlib.suppress(ImportError):  # a system without fork
            _announce_workers()


# The event that `_announce_workers` raises when a worker is about to start.
WORKER = "recorder.worker"


def _announce_workers() -> None:
    """Report workers that multiprocessing and loky start without a fork. Python has no audit event for them."""
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
    if event == "open" and (len(args) != 3 or type(args[2]) is not int):
        return  # an event that the program raised itself, with other arguments than Python's
    # The common case is inlined: its cost is paid for each file of a run that opens thousands.
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
    # For a run, recorder itself writes some ten files, and handling one costs as much as a file of the program.
    if event in _OF_FILES and _is_own(sys._getframe(1)):
        return
    here.busy = True
    try:
        for handler in _HANDLERS[event]:
            handler(*args)
    except Exception as error:  # noqa: BLE001 - the user's program must not see it; the run reports it
        for watch in targets():
            watch.warnings.append(f"a file that the run opened was not captured: {error!r}")
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
    # An emptied or a new file has no earlier content, and a log that is appended to is not read.
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
    """Handle a change of a file, or of its times, that is not an opening."""
    for watch in targets():
        watch.settle()


def _on_truncate(path: Any, _length: Any) -> None:
    _on_open(path, None, os.O_RDWR)


def _on_connect(database: Any) -> None:
    """Handle the opening of an SQLite database: a file name, or a URI. ":memory:" and "" are not files."""
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

# The events that report an opened or changed file.
_OF_FILES = frozenset(_HANDLERS) - {
    event for event, handlers in _HANDLERS.items() if _on_child in handlers
}


def _is_own(opener: FrameType) -> bool:
    """Return True if recorder's code opens the file, directly or through the standard library."""
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
