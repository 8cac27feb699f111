"""What of the environment a process has loaded, and how it is set: at a moment of a run.

It changes while a program runs, as the environment does not: a run has it as it began and as it ended. A call in
which nothing has changed costs some tens of microseconds, and gives the same object.
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
    """What depends on the modules that are loaded: `seen` are their names, `size` is how many they are by now."""

    size: int
    seen: frozenset[str]
    packages: Packages
    names: tuple[list[str], list[str]]
    libraries: Libraries


class DescribedRuntime(NamedTuple):
    """The runtime object, `described`, and the digest of what in it decides how numbers are rounded."""

    described: dict[str, JSON]
    numerics: str


_loaded: _Loaded | None = None
_known: DescribedRuntime | None = None


def describe_runtime(packages: Packages, *, report: Callable[[str], None]) -> DescribedRuntime:
    """The runtime as it is now; the same object again while nothing has changed in this process.

    Keys: imported (the distributions of which a module is loaded), imported_by_recorder (those that recorder loads
    for itself, whether or not the experiment does as well), libraries (see `Libraries`), torch (see `torch_flags`),
    start_method (multiprocessing's, where it was chosen). `report` is told what could not be described.
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
    """The digest of what in a runtime object decides how numbers are rounded."""
    return digest_json("numerics", [described["libraries"], described["torch"]])


def _look(packages: Packages) -> _Loaded:
    """What is loaded, looked at again where modules have been loaded since."""
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
    """Whether a module may belong to a distribution, or load a library that does."""
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
    """How multiprocessing starts processes; None where it is not loaded, or nothing has chosen or asked yet."""
    module = sys.modules.get("multiprocessing")
    ask = getattr(module, "get_start_method", None)
    return None if ask is None else ask(allow_none=True)
