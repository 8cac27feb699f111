"""What a run does that its replay may find otherwise: connections, entropy, child processes, and what its code says.

While a run is in progress, the audit hook of `.inputs` tells of connections and child processes, and `os.urandom`,
which has no audit event, is wrapped. Each is noted once for each line of the project's own code that caused it.
When the run ends, `find_hazards` adds what the run's record and its modules' text say.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ..records import JSON, Function, Hazard, Record
from . import entropy
from .inputs import Watch, listen, targets
from .process import hash_seed
from .sifting import is_secret_file
from .suspects import Suspect, suspects_in

# Of one kind, a record lists no more of them; and no more files are looked at.
MAX_LISTED = 20
MAX_FILES = 64

_PACKAGE = str(Path(__file__).parent.parent) + os.sep
_paths = sysconfig.get_paths()
_STDLIB = (_paths["stdlib"] + os.sep, "<frozen")
_INSTALLED = (_paths["purelib"] + os.sep, _paths["platlib"] + os.sep)
_FOREIGN = (*_STDLIB, *_INSTALLED, _PACKAGE)
# Between who wants random bytes and os.urandom.
_DRAWERS = tuple(f"{_paths['stdlib']}{os.sep}{name}.py" for name in ("random", "secrets", "uuid"))
# They ask the system what it is, by programs of its own.
_ASKERS = tuple(
    os.path.join(_paths["stdlib"], *name)  # noqa: PTH118
    for name in (("platform.py",), ("ctypes", "util.py"), ("uuid.py",), ("sysconfig.py",))
)
# Of the installed ones, loky does, to count the processor's cores.
_INSTALLED_ASKERS = (os.path.join("loky", "backend", "context.py"),)  # noqa: PTH118
# They name temporary folders, messages and calls by random bytes, which reach no result.
_PLUMBING = (
    "joblib", "ipykernel", "jupyter_client", "zmq", "fsspec", "tornado", os.path.join("sklearn", "callback"),  # noqa: PTH118
)  # fmt: skip


# What is seen while it happens


def _own_place(frame: FrameType | None) -> str | None:
    """``file:line`` of the nearest frame of the project's own; "" where there is none, None for recorder's doing."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PACKAGE):
            return None
        if not file.startswith((*_STDLIB, *_INSTALLED)):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _note(kind: str, detail: str, frame: FrameType | None) -> None:
    place = _own_place(frame)
    if place is not None:
        for watch in targets():
            if len(watch.hazards) < 10 * MAX_LISTED:
                watch.hazards[kind, place, detail] = None


class _Asked(threading.local):
    """The name that this thread has asked the address of, and the port with it."""

    name: tuple[str, Any] = ("", None)


_asked = _Asked()


def _on_lookup(host: Any, port: Any, *_rest: Any) -> None:
    if host:
        _asked.name = os.fsdecode(host) if isinstance(host, bytes) else str(host), port


def _on_connect(_socket: Any, address: Any) -> None:
    """Connections by a network; those to a socket that is a file have no port."""
    if type(address) is not tuple or len(address) < 2:
        return
    host, port = str(address[0]), address[1]
    local = host.startswith("127.") or host in ("::1", "localhost", "", "0.0.0.0")
    name, asked_port = _asked.name
    said = name if str(asked_port) == str(port) and not local else host
    _note("local connection" if local else "network", f"{said}:{port}", sys._getframe(2))


def _on_process(program: Any, arguments: Any = (), *_rest: Any) -> None:
    """The program's name and no more: what it is told may be a credential."""
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


def _on_system(command: Any, *_rest: Any) -> None:
    words = os.fsdecode(command).split()
    _note("child process", words[0] if words else "", sys._getframe(2))


def _on_fork() -> None:
    _note("child process", "fork", sys._getframe(2))


_lock = threading.Lock()
_watching = 0


def watch_hazards() -> None:
    """Begin to see; `unwatch_hazards` ends it. What is seen goes to the watches of `.inputs` in progress."""
    global _watching
    listen(_LISTENED)
    with _lock:
        _watching += 1
        entropy.on_draw = _on_entropy


def unwatch_hazards() -> None:
    """The end of a run; with the last one nothing is looked at any more."""
    global _watching
    with _lock:
        _watching -= 1
        if _watching == 0:
            entropy.on_draw = None


def _on_entropy(frame: FrameType | None) -> None:
    """What draws: the project's code, or a library in its name; the standard library's own use reaches no result."""
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
    """Whether an installed module is being imported: the keys that torch makes for its own registries, say."""
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
}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))


# What is known at the beginning, and at the end


def find_hazards(
    record: Record,
    *,
    root: str | None,
    watch: Watch | None,
    runtime: Mapping[str, JSON],
    opaque: Iterable[Hazard],
) -> tuple[Hazard, ...]:
    """The hazards of a run as it ends, each kind's first ones.

    `root` is where its code lies, a replay's in its workspace; `watch` is its watch; `runtime` the runtime object
    as it is now (see `.runtime`); `opaque` what could not be encoded.
    """
    found = [*opaque, *_unreachable(record.function), *_left_out(record, root)]
    if watch is not None:
        found += [
            Hazard(kind=kind, place=_relative(place, root), detail=detail)
            for kind, place, detail in watch.hazards
        ]
        found += [Hazard(kind="input lost", detail=_relative(path, root)) for path in watch.lost]
    found += known_hazards(record.function, root=root, runtime=runtime)
    listed: dict[str, list[Hazard]] = {}
    for one in dict.fromkeys(found):
        listed.setdefault(one.kind, []).append(one)
    return tuple(one for same in listed.values() for one in same[:MAX_LISTED])


def known_hazards(
    function: Function, *, root: str | None, runtime: Mapping[str, JSON]
) -> Iterator[Hazard]:
    """Those that can be known without the function's having run."""
    fixed = hash_seed() is not None
    for place, suspect in _suspects(function, root):
        if suspect.kind != "hash order" or not fixed:
            yield Hazard(kind=suspect.kind, place=f"{place}:{suspect.line}", detail=suspect.detail)
    yield from _numeric(runtime)


def _numeric(runtime: Mapping[str, JSON]) -> Iterator[Hazard]:
    torch: Mapping[str, Any] = runtime.get("torch") or {}
    if torch.get("devices") and not torch.get("are_deterministic_algorithms_enabled"):
        yield Hazard(kind="GPU", detail="deterministic algorithms are not enabled")
    for library in runtime.get("libraries") or ():
        if library.get("threads", 1) > 1:
            said = f"{library.get('library')} {library.get('version', '')}".strip()
            yield Hazard(kind="threads", detail=f"{said} x {library['threads']}")


def _unreachable(function: Function) -> Iterator[Hazard]:
    """A function that no file and no pickle holds, and that no module has under its name."""
    if function.kind != "command" and function.file is None and function.pickled is None:
        found: Any = sys.modules.get(function.module)
        for part in function.qualname.split("."):
            found = getattr(found, part, None)
        if found is None:
            yield Hazard(kind="code not captured", detail=function.qualname)


def _left_out(record: Record, root: str | None) -> Iterator[Hazard]:
    """Modules that were imported from files that the snapshot left out."""
    if record.code is None or not record.code.skipped or root is None:
        return
    prefix = root + os.sep
    files = {prefix + one.path.replace("/", os.sep): one for one in record.code.skipped}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file in files:
            path = files[file].path
            detail = f"{path}, {files[file].reason}" if not is_secret_file(path) else path
            yield Hazard(kind="code left out", detail=detail)


# By folder: how many modules were loaded when it was looked at, and the sources from it.
_sources: dict[str, tuple[int, tuple[str, ...]]] = {}


def _suspects(function: Function, root: str | None) -> list[tuple[str, Suspect]]:
    """The suspects of the experiment's file, its own ones first, and of the project's modules that are loaded."""
    own = f"{function.qualname.replace('<locals>.', '')}."
    found = list(_all_suspects(function.file, root))
    found.sort(key=lambda one: one[0] != function.file or not f"{one[1].inside}.".startswith(own))
    return found


def _all_suspects(file: str | None, root: str | None) -> Iterator[tuple[str, Suspect]]:
    if root is None:
        return
    prefix = root + os.sep
    own = () if file is None else (prefix + file.replace("/", os.sep),)
    for source in dict.fromkeys((*own, *_loaded_sources(prefix))):
        found = suspects_in(source)
        clocks = {one.line for one in found if one.kind == "clock"}
        place = source[len(prefix) :].replace(os.sep, "/")
        for one in found:
            if one.kind != "clock read" or one.line not in clocks:
                yield place, one


def _loaded_sources(prefix: str) -> tuple[str, ...]:
    """The source files below the folder that modules were loaded from; looked for again as modules are loaded."""
    known = _sources.get(prefix)
    if known is None or known[0] != len(sys.modules):
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        found = {file for file in files if isinstance(file, str) and file.startswith(prefix)}
        found = {file for file in found if file.endswith(".py") and not file.startswith(_FOREIGN)}
        known = _sources[prefix] = len(sys.modules), tuple(sorted(found)[:MAX_FILES])
    return known[1]


def _relative(place: str, root: str | None) -> str:
    if root is not None and place.startswith(root + os.sep):
        return place[len(root) + 1 :].replace(os.sep, "/")
    return place
