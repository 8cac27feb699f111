"""The installed distributions, their sources, and which of them the process has imported.

Each folder of sys.path is scanned once. The result is cached in a file under the folder's modification time, which
changes when a distribution is installed, upgraded, or removed. Scanning imports nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from ...digest import digest_json
from ...records import JSON
from .distributions import Distribution, scan

INSTALLED_FOLDERS = ("site-packages", "dist-packages")
# To be increased with each change of the scan.
_SCAN = 2
# A folder that changed within this time before the scan may change again with the same modification time: timestamps
# are as coarse as a timer tick, and on FAT two seconds.
_STILL_NS = 2_000_000_000
_RECORDER = "run-recorder"
# Optional dependencies, loaded if they are installed and requested.
_OPTIONAL = ("psutil", "nvidia-ml-py")


class _Scan(msgspec.Struct, frozen=True):
    """The cached scan of a folder."""

    key: str
    found: tuple[Distribution, ...]


class Packages(NamedTuple):
    """All distributions by name.

    `modules` maps a module's dotted name to the folders that provide it, each with its distribution. `editable` maps
    the folders of editable installs to their distribution. `own` are recorder and its requirements.
    """

    distributions: Mapping[str, Distribution] = {}
    modules: Mapping[str, tuple[tuple[str, str], ...]] = {}
    editable: Mapping[str, str] = {}
    own: frozenset[str] = frozenset()

    def describe(self) -> dict[str, JSON]:
        """Return version and, unless it is a package index, source by name, as plain JSON."""
        found = self.distributions
        return {
            name: {"version": found[name].version, **found[name].source} for name in sorted(found)
        }


def folders_key() -> tuple[tuple[str, int], ...]:
    """Return the existing folders of sys.path with their modification times, which change with the distributions."""
    found = []
    for entry in sys.path:
        try:
            found.append((entry, os.stat(entry or ".").st_mtime_ns))  # noqa: PTH116 - for every entry of every call
        except (OSError, ValueError, TypeError):
            continue
    return tuple(found)


def find_packages(*, cache: Path | None = None) -> Packages:
    """Find the installed distributions on sys.path. Of several with the same name, the first is imported.

    `cache` is a folder for scan results, created if necessary.
    """
    distributions: dict[str, Distribution] = {}
    modules: dict[str, list[tuple[str, str]]] = {}
    for folder, mtime_ns in dict.fromkeys(folders_key()):
        place = os.path.abspath(folder)  # noqa: PTH100 - as sys.path has it, a symbolic link included
        for distribution in _find_in(place, mtime_ns, cache):
            if distributions.setdefault(distribution.name, distribution) is distribution:
                for module in distribution.modules:
                    modules.setdefault(module, []).append((place, distribution.name))
    return Packages(
        distributions=distributions,
        modules={name: tuple(found) for name, found in modules.items()},
        editable={d.editable: d.name for d in distributions.values() if d.editable},
        own=frozenset(_closure(_RECORDER, distributions).union(_OPTIONAL)),
    )


def _closure(name: str, distributions: Mapping[str, Distribution]) -> set[str]:
    """Return the distribution and everything that it requires, as far as installed."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        distribution = distributions.get(waiting.pop())
        if distribution is not None and distribution.name not in found:
            found.add(distribution.name)
            waiting += distribution.requires
    return found


# The cache


def _find_in(folder: str, mtime_ns: int, cache: Path | None) -> tuple[Distribution, ...]:
    """Return the distributions in one folder of sys.path."""
    key = digest_json("packages", [_SCAN, folder, mtime_ns])
    file = None if cache is None else cache / f"packages-{digest_json('folder', folder)[-16:]}.json"
    known = None if file is None else _read(file, key)
    if known is not None:
        return known
    now_ns = time.time_ns()
    found = scan(folder)
    # A folder without distributions is fast to scan, and there are many: the workspace of each replay.
    if found and file is not None and now_ns - mtime_ns > _STILL_NS:
        _write(file, _Scan(key=key, found=found))
    return found


def _read(file: Path, key: str) -> tuple[Distribution, ...] | None:
    try:
        known = msgspec.json.decode(file.read_bytes(), type=_Scan)
    except (OSError, msgspec.DecodeError):  # ValidationError is one
        return None
    return known.found if known.key == key else None


def _write(file: Path, known: _Scan) -> None:
    """Write the cache for later processes. If that fails, they scan again."""
    staged = file.with_name(f"{file.name}.{os.getpid()}.{time.time_ns()}")
    try:
        file.parent.mkdir(exist_ok=True)
        staged.write_bytes(msgspec.json.encode(known))
        staged.replace(file)  # atomic; if another process was faster, its result is the same
    except OSError:
        staged.unlink(missing_ok=True)


# Imported distributions


def imported(packages: Packages, modules: Mapping[str, Any]) -> list[str]:
    """Return the sorted distributions that any of the loaded `modules` (sys.modules) belongs to.

    A module of the same name in another folder, such as a script's neighbor, does not count.
    """
    found: set[str] = set()
    for name, places in packages.modules.items():
        if name in modules:
            file = module_file(modules[name])
            found.update(owner for folder, owner in places if file.startswith(_beginnings(folder)))
    if packages.editable:
        files = [module_file(module) for module in modules.values()]
        for folder, owner in packages.editable.items():
            beginnings = _beginnings(folder)
            if any(file.startswith(beginnings) and not is_installed(file) for file in files):
                found.add(owner)
    return sorted(found)


@lru_cache(maxsize=64)
def _beginnings(folder: str) -> tuple[str, str]:
    """Return the prefixes of the paths in the folder: as on sys.path, and with symbolic links resolved."""
    return folder + os.sep, os.path.realpath(folder) + os.sep


def module_file(module: object) -> str:
    """Return the file that the module was loaded from, or "". A lazy module is not triggered."""
    try:
        attributes = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return ""
    file = attributes.get("__file__")
    if isinstance(file, str):
        return file
    path = attributes.get("__path__") if isinstance(module, ModuleType) else None
    first = next(iter(path), "") if isinstance(path, Iterable) else ""
    return first if isinstance(first, str) else ""


def is_installed(file: str) -> bool:
    """Return whether a file is in a folder of installed packages, such as a virtual environment inside the project."""
    return any(f"{os.sep}{name}{os.sep}" in file for name in INSTALLED_FOLDERS)
