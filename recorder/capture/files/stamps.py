"""Discovery of written files below a folder by comparing its state before and after.

A scan is one walk with a ``stat`` per file. No file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# Folders that tools create next to the work, and that are not outputs.
PRIVATE_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", "__pycache__", ".recorder", ".venv", "venv", ".tox", ".nox", "node_modules",
        ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints", ".cache", ".idea",
    }
)  # fmt: skip
# A scan stops after this many files: a whole home folder is too large to scan for each run.
MOST_FILES = 200_000


class Stamp(NamedTuple):
    """The facts that distinguish two states of a file without reading it."""

    size_bytes: int
    mtime_ns: int
    inode: int


def scan(folder: Path, *, exclude: Collection[str | os.PathLike[str]] = ()) -> Mapping[str, Stamp]:
    """Return the stamps of the regular files below `folder`, by relative path with forward slashes.

    `exclude` are absolute paths of folders to skip, in addition to `PRIVATE_FOLDERS` at any depth. Links are neither
    followed nor listed. Files that vanish or cannot be read are left out. The scan stops after `MOST_FILES` files.
    """
    shut = {os.path.realpath(path) for path in exclude}
    found: dict[str, Stamp] = {}
    for path, stamp in _walk(os.path.realpath(folder), "", shut):
        found[path] = stamp
        if len(found) >= MOST_FILES:
            break
    return found


def look_at(path: Path) -> Mapping[str, Stamp]:
    """Return the stamps below a folder, including its own, or that of a file, or {} if there is neither."""
    try:
        stat = path.stat()
    except OSError:
        return {}
    if not path.is_dir():
        return {"": Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ino)}
    return {**scan(path), "": Stamp(0, 0, stat.st_ino)}


def _walk(folder: str, prefix: str, shut: Collection[str]) -> Iterator[tuple[str, Stamp]]:
    waiting = [(folder, prefix)]
    while waiting:
        folder, prefix = waiting.pop()
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in PRIVATE_FOLDERS and entry.path not in shut:
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.is_file(follow_symlinks=False):
                stamp = _stamp(entry)
                if stamp is not None:
                    yield prefix + entry.name, stamp


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # deleted since, or not readable for this user


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        stat = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def written(before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> list[str]:
    """Return the sorted files of `after` that are new or differ from `before`."""
    return sorted(path for path, stamp in after.items() if before.get(path) != stamp)
