"""The runtime: the loaded part of the environment with its settings, at one moment of a run.

The environment is constant in a process, but the runtime is not, so a run stores it as of its start and its end. A
call takes some tens of microseconds while nothing has changed, and returns the same object.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...digest import digest_json
from ...records import JSON
from .attempt import attempt
from .native_libraries import Libraries
from .numerics import torch_flags
from .packages import Packages, imported


class _Loaded(NamedTuple):
    """Facts that depend on the loaded modules. `seen` are their names, `size` is their current number."""

    size: int
    seen: frozenset[str]
    packages: Packages
    names: tuple[list[str], list[str]]
    libraries: Libraries


class DescribedRuntime(NamedTuple):
    """The runtime object, `described`, and the digest of its parts that decide how numbers are rounded."""

    described: dict[str, JSON]
    numerics: str


_loaded: _Loaded | None = None
_known: DescribedRuntime | None = None


def describe_runtime(packages: Packages, *, report: Callable[[str], None]) -> DescribedRuntime:
    """Describe the current runtime. The same object is returned while nothing has changed in this process.

    Keys: imported (distributions with a loaded module), imported_by_recorder (those that recorder itself loads,
    whether or not the experiment does as well), libraries (see `Libraries`), torch (see `torch_flags`), start_method
    (of multiprocessing, once it is set). `report` gets a warning for each part that could not be described.
    """
    global _known
    loaded = attempt(lambda: _look(packages), "runtime's modules", report)
    found = {
        "imported": loaded.names[0] if loaded else None,
        "imported_by_recorder": loaded.names[1] if loaded else None,
        "libraries": attempt(loaded.libraries.describe, "runtime's libraries", report)
        if loaded
        else None,
        "torch": attempt(torch_flags, "runtime's torch", report),
        "start_method": attempt(_start_method, "runtime's start method", report),
    }
    known = _known
    if known is None or known.described != found:
        known = _known = DescribedRuntime(found, numerics_of(found))
    return known


def numerics_of(described: Mapping[str, JSON]) -> str:
    """Return the digest of the parts of a runtime object that decide how numbers are rounded."""
    return digest_json("numerics", [described["libraries"], described["torch"]])


def _look(packages: Packages) -> _Loaded:
    """Return the facts about the loaded modules, updated if modules were loaded since."""
    global _loaded
    last = _loaded
    if last is None or last.packages is not packages:
        last = _loaded = _look_afresh(packages)
    elif last.size != len(sys.modules):
        seen = frozenset(sys.modules.copy())  # other threads import meanwhile
        if any(map(_counts, seen - last.seen)):
            last = _look_afresh(packages)
        _loaded = last = last._replace(size=len(seen), seen=seen | last.seen)
    return last


def _counts(module: str) -> bool:
    """Return True if a module can belong to a distribution, or load a library that does."""
    first = module.partition(".")[0]
    return first not in sys.stdlib_module_names and first != "recorder"


def _look_afresh(packages: Packages) -> _Loaded:
    libraries = Libraries()
    modules: dict[str, Any] = sys.modules.copy()
    found = imported(packages, modules)
    names = (
        [name for name in found if name not in packages.own],
        [name for name in found if name in packages.own],
    )
    return _Loaded(len(modules), frozenset(modules), packages, names, libraries)


def _start_method() -> str | None:
    """Return the start method of multiprocessing, or None if it is not loaded or the method is not set yet."""
    module = sys.modules.get("multiprocessing")
    ask = getattr(module, "get_start_method", None)
    return None if ask is None else ask(allow_none=True)
