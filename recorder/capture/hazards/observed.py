"""Hazards observed while they happen: connections, entropy, and child processes.

During a run, audit events report connections and child processes. `os.urandom` has no audit event, so it is wrapped.
Each hazard is noted once per line of the project's code that causes it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ...paths import PACKAGE
from ..files.audit_hook import WORKER, listen, targets
from ..seeding import entropy
from .order import uses_order

# The limit on noted hazards of one run. It exceeds the number listed because libraries cause some.
_MAX_SEEN = 200

_paths = sysconfig.get_paths()
_STDLIB = (_paths["stdlib"] + os.sep, "<frozen")
_INSTALLED = (_paths["purelib"] + os.sep, _paths["platlib"] + os.sep)
# Modules between the user of random bytes and os.urandom.
_DRAWERS = tuple(f"{_paths['stdlib']}{os.sep}{name}.py" for name in ("random", "secrets", "uuid"))
# Modules whose functions pass on the order in which a folder lists its files.
_LISTERS = (
    *(_paths["stdlib"] + os.sep + name for name in ("os.py", "glob.py", "pathlib", "fnmatch.py")),
    "<frozen os>",
)
# Modules that run programs to query the system.
_ASKERS = tuple(
    os.path.join(_paths["stdlib"], *name)  # noqa: PTH118
    for name in (("platform.py",), ("ctypes", "util.py"), ("uuid.py",), ("sysconfig.py",))
)
# loky counts the processor's cores this way.
_INSTALLED_ASKERS = (os.path.join("loky", "backend", "context.py"),)  # noqa: PTH118
# The cleanup processes of multiprocessing and loky for semaphores and shared memory.
_TIDIERS = os.sep + "resource_tracker.py"
# Packages that name temporary folders, messages, and calls with random bytes, which do not reach results.
_PLUMBING = (
    "joblib", "ipykernel", "jupyter_client", "zmq", "fsspec", "tornado", "optuna", os.path.join("sklearn", "callback"),  # noqa: PTH118
)  # fmt: skip


def _own_place(frame: FrameType | None) -> str | None:
    """Return ``file:line`` of the nearest frame of the project, "" without one, or None for a frame of recorder."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            return None
        if not file.startswith((*_STDLIB, *_INSTALLED)):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _note(kind: str, detail: str, frame: FrameType | None) -> None:
    place = _own_place(frame)
    if place is not None:
        for watch in targets():
            if len(watch.hazards) < _MAX_SEEN:
                watch.hazards[kind, place, detail] = None


def _on_listing(folder: Any = None, *_rest: Any) -> None:
    """Note a listing of a folder with several entries whose order the project's code uses."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_LISTERS):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith((PACKAGE, *_STDLIB, *_INSTALLED)):
        return  # a library sorts the names, or does not: the project's code cannot tell
    key = "listing order", f"{frame.f_code.co_filename}:{frame.f_lineno}", ""
    if all(key in watch.hazards for watch in targets()):
        return
    if uses_order(frame.f_code.co_filename, frame.f_lineno) and _has_several(folder):
        _note("listing order", "", frame)


def _has_several(folder: Any) -> bool:
    if isinstance(folder, int):
        return True
    try:
        with os.scandir("." if folder is None else folder) as entries:
            return next(entries, None) is not None and next(entries, None) is not None
    except OSError:
        return False


class _Asked(threading.local):
    """The host name that this thread last resolved, and the port."""

    name: tuple[str, Any] = ("", None)


_asked = _Asked()


def _on_lookup(host: Any, port: Any, *_rest: Any) -> None:
    if host:
        _asked.name = os.fsdecode(host) if isinstance(host, bytes) else str(host), port


def _on_connect(_socket: Any, address: Any) -> None:
    """Note a network connection. Addresses of Unix sockets have no port and are skipped."""
    if type(address) is not tuple or len(address) < 2:
        return
    host, port = str(address[0]), address[1]
    local = host.startswith("127.") or host in ("::1", "localhost", "", "0.0.0.0")
    name, asked_port = _asked.name
    shown = name if str(asked_port) == str(port) and not local else host
    _note("local connection" if local else "network", f"{shown}:{port}", sys._getframe(2))


def _on_process(program: Any, arguments: Any = (), *_rest: Any) -> None:
    # Only the program's name is noted, because its arguments may contain credentials.
    if program is None:
        program = arguments[0] if isinstance(arguments, list | tuple) and arguments else arguments
    frame = caller = sys._getframe(2)
    while caller.f_back is not None and caller.f_code.co_filename.startswith(_STDLIB):
        if caller.f_code.co_filename in _ASKERS:
            return
        caller = caller.f_back
    if caller.f_code.co_filename.endswith(_INSTALLED_ASKERS):
        return
    _note("child process", os.path.basename(os.fsdecode(program)), frame)  # noqa: PTH119


def _on_worker(arguments: Any) -> None:
    """Note a worker started by multiprocessing or loky, or a fork server, but not their cleanup processes."""
    frame = caller = sys._getframe(3)
    while caller.f_back is not None:
        if caller.f_code.co_filename.endswith(_TIDIERS):
            return
        caller = caller.f_back
    _note("child process", os.path.basename(os.fsdecode(arguments[0])), frame)  # noqa: PTH119


def _on_system(command: Any, *_rest: Any) -> None:
    words = os.fsdecode(command).split()
    _note("child process", words[0] if words else "", sys._getframe(2))


def _on_fork() -> None:
    _note("child process", "fork", sys._getframe(2))


_lock = threading.Lock()
_watching = 0


def watch_hazards() -> None:
    """Begin to observe hazards for the watches in progress. `unwatch_hazards` ends it."""
    global _watching
    listen(_LISTENED)
    with _lock:
        _watching += 1
        entropy.on_draw = _on_entropy


def unwatch_hazards() -> None:
    """End the observation for one run."""
    global _watching
    with _lock:
        _watching -= 1
        if _watching == 0:
            entropy.on_draw = None


def _on_entropy(frame: FrameType | None) -> None:
    """Note a draw of system entropy by the project or by a library, but not the standard library's internal use."""
    if not targets():
        return
    drawer = "os.urandom"
    while frame is not None and frame.f_code.co_filename in _DRAWERS:
        file = frame.f_code.co_filename
        module = file.rpartition(os.sep)[2].removesuffix(".py")
        drawer = f"{module}.{frame.f_code.co_name}"
        frame = frame.f_back
    file = frame.f_code.co_filename if frame is not None else ""
    installed = next((file[len(f) :] for f in _INSTALLED if file.startswith(f)), None)
    if installed is not None and (installed.startswith(_PLUMBING) or _is_importing(frame)):
        return
    if installed is None and file.startswith(_STDLIB):
        return
    _note("entropy", drawer, frame)


def _is_importing(frame: FrameType | None) -> bool:
    """Return True during the import of an installed module. For example, torch then draws keys for its registries."""
    while frame is not None and frame.f_code.co_filename.startswith(_INSTALLED):
        if frame.f_code.co_name == "<module>":
            return True
        frame = frame.f_back
    return False


_LISTENED: dict[str, Callable[..., None]] = {
    "socket.getaddrinfo": _on_lookup,
    "socket.connect": _on_connect,
    "subprocess.Popen": _on_process,
    "os.posix_spawn": _on_process,
    "os.system": _on_system,
    "os.fork": _on_fork,
    "os.listdir": _on_listing,
    "os.scandir": _on_listing,
    WORKER: _on_worker,
}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))
