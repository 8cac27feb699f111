"""The installed distributions, where each came from, and which of them the process has imported.

A folder of sys.path is scanned once, and the result kept in a file under the folder's modification time: installing,
upgrading or removing a distribution changes that. Nothing is imported to look at it.
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

# Another way of scanning, another number.
_SCAN = 2
# A folder that changed less than this before it was scanned may change again without its time telling: the times of
# file systems are as coarse as a timer's tick, and FAT's as two seconds.
_STILL_NS = 2_000_000_000
_RECORDER = "run-recorder"
# What it loads where it is installed, and asked for.
_OPTIONAL = ("psutil", "nvidia-ml-py")


class _Scan(msgspec.Struct, frozen=True):
    """What the cache holds of a folder."""

    key: str
    found: tuple[Distribution, ...]


class Packages(NamedTuple):
    """All distributions by name; `modules` maps a module's dotted name to the folders that bring it, with their
    distribution; `editable` the folders of editable installs to theirs; `own` are recorder and what it requires.
    """

    distributions: Mapping[str, Distribution] = {}
    modules: Mapping[str, tuple[tuple[str, str], ...]] = {}
    editable: Mapping[str, str] = {}
    own: frozenset[str] = frozenset()

    def describe(self) -> dict[str, JSON]:
        """Name to version and, where it is no index, source: plain JSON."""
        found = self.distributions
        return {
            name: {"version": found[name].version, **found[name].source} for name in sorted(found)
        }


def folders_key() -> tuple[tuple[str, int], ...]:
    """The folders of sys.path that are there, and their modification times: changed when a distribution is."""
    found = []
    for entry in sys.path:
        try:
            found.append((entry, os.stat(entry or ".").st_mtime_ns))  # noqa: PTH116 - for every entry of every call
        except (OSError, ValueError, TypeError):
            continue
    return tuple(found)


def find_packages(*, cache: Path | None = None) -> Packages:
    """The installed distributions on sys.path; the first of a name is the one that is imported.

    What is known of an unchanged folder is read from the folder `cache`, which is made if it is not there.
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
    """The distribution and everything that it requires, as far as it is installed."""
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
    """The distributions in one folder of sys.path."""
    key = digest_json("packages", [_SCAN, folder, mtime_ns])
    file = None if cache is None else cache / f"packages-{digest_json('folder', folder)[-16:]}.json"
    known = None if file is None else _read(file, key)
    if known is not None:
        return known
    now_ns = time.time_ns()
    found = scan(folder)
    # A folder without any is quickly seen to be one, and a store has many such: each replay's workspace.
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
    """For the next process; a cache that cannot be written costs it no more than its own scan."""
    staged = file.with_name(f"{file.name}.{os.getpid()}.{time.time_ns()}")
    try:
        file.parent.mkdir(exist_ok=True)
        staged.write_bytes(msgspec.json.encode(known))
        staged.replace(file)  # another process's is as good, and nobody reads a half of it
    except OSError:
        staged.unlink(missing_ok=True)


# What was imported


def imported(packages: Packages, modules: Mapping[str, Any]) -> list[str]:
    """The distributions to which any of the loaded `modules` (sys.modules) belongs, sorted.

    A module of the same name that lies elsewhere, as a script's neighbour does, is none of a distribution's.
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
            if any(file.startswith(beginnings) and not _is_installed(file) for file in files):
                found.add(owner)
    return sorted(found)


@lru_cache(maxsize=64)
def _beginnings(folder: str) -> tuple[str, str]:
    """What the paths of the files in the folder begin with: as sys.path has it, and without symbolic links."""
    return folder + os.sep, os.path.realpath(folder) + os.sep


def module_file(module: object) -> str:
    """Where the module was loaded from, "" where it does not say; a lazy module is not woken up by asking."""
    try:
        said = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return ""
    file = said.get("__file__")
    if isinstance(file, str):
        return file
    path = said.get("__path__") if isinstance(module, ModuleType) else None
    first = next(iter(path), "") if isinstance(path, Iterable) else ""
    return first if isinstance(first, str) else ""


def _is_installed(file: str) -> bool:
    """A virtual environment in the folder of an editable install is no part of that."""
    return f"{os.sep}site-packages{os.sep}" in file or f"{os.sep}dist-packages{os.sep}" in file
