"""The hazards of a run: observed ones, suspicious source lines, and those of its record and libraries."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...paths import PACKAGE
from ...records import JSON, Function, Hazard, Record
from ...secrets.filenames import is_secret_file
from ..environment.process import hash_seed
from ..files.audit_hook import Watch
from .static import Suspect, suspects_in

# The limits on listed hazards of one kind, and on analyzed source files.
MAX_LISTED = 20
MAX_FILES = 64

_paths = sysconfig.get_paths()
# Folders without code of the project.
_FOREIGN = (
    _paths["stdlib"] + os.sep,
    _paths["purelib"] + os.sep,
    _paths["platlib"] + os.sep,
    PACKAGE,
)


def find_hazards(
    record: Record,
    *,
    root: str | None,
    watch: Watch | None,
    runtime: Mapping[str, JSON],
    opaque: Iterable[Hazard],
) -> tuple[Hazard, ...]:
    """Return the hazards of a run at its end, the first `MAX_LISTED` of each kind.

    `root` is the folder of its code, in a replay the workspace. `watch` is its watch. `runtime` is the current
    runtime object (see `recorder.capture.environment.runtime`). `opaque` are values that could not be encoded.
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
    for hazard in dict.fromkeys(found):
        listed.setdefault(hazard.kind, []).append(hazard)
    return tuple(hazard for same in listed.values() for hazard in same[:MAX_LISTED])


def known_hazards(
    function: Function, *, root: str | None, runtime: Mapping[str, JSON]
) -> Iterator[Hazard]:
    """Yield the hazards that are known without running the function."""
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
            name = f"{library.get('library')} {library.get('version', '')}".strip()
            yield Hazard(kind="threads", detail=f"{name} x {library['threads']}")


def _unreachable(function: Function) -> Iterator[Hazard]:
    """Yield a hazard if no file, pickle, or module contains the function."""
    if function.kind != "command" and function.file is None and function.pickled is None:
        found: Any = sys.modules.get(function.module)
        for part in function.qualname.split("."):
            found = getattr(found, part, None)
        if found is None:
            yield Hazard(kind="code not captured", detail=function.qualname)


def _left_out(record: Record, root: str | None) -> Iterator[Hazard]:
    """Yield the loaded modules whose files the snapshot left out."""
    if record.code is None or not record.code.skipped or root is None:
        return
    prefix = root + os.sep
    files = {prefix + skip.path.replace("/", os.sep): skip for skip in record.code.skipped}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file in files:
            path = files[file].path
            detail = f"{path}, {files[file].reason}" if not is_secret_file(path) else path
            yield Hazard(kind="code left out", detail=detail)


# By folder: the number of loaded modules at the time of the search, and the sources found.
_sources: dict[str, tuple[int, tuple[str, ...]]] = {}


def _suspects(function: Function, root: str | None) -> list[tuple[str, Suspect]]:
    """Return the suspects of the project's loaded modules, with those of the experiment itself first."""
    own = f"{function.qualname.replace('<locals>.', '')}."
    found = list(_all_suspects(function, root))
    found.sort(key=lambda one: one[0] != function.file or not f"{one[1].inside}.".startswith(own))
    return found


def _all_suspects(function: Function, root: str | None) -> Iterator[tuple[str, Suspect]]:
    if root is None:
        return
    file, qualname = function.file, function.qualname.replace("<locals>.", "")
    prefix = root + os.sep
    own = () if file is None else (prefix + file.replace("/", os.sep),)
    for source in dict.fromkeys((*own, *_loaded_sources(prefix))):
        found = [one for one in suspects_in(source) if not one.is_return or one.inside == qualname]
        clocks = {one.line for one in found if one.kind == "clock"}
        place = source[len(prefix) :].replace(os.sep, "/")
        for one in found:
            if one.kind != "clock read" or one.line not in clocks:
                yield place, one


def _loaded_sources(prefix: str) -> tuple[str, ...]:
    """Return the source files of modules loaded from below the folder, cached until a module is loaded."""
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
