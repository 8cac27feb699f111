"""Which files below a folder were written: two looks at it, before and after, and the difference.

A look is one walk with a ``stat`` for each file; no file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# What tools leave behind beside the work, and nobody calls an output.
PRIVATE_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", "__pycache__", ".recorder", ".venv", "venv", ".tox", ".nox", "node_modules",
        ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints", ".cache", ".idea",
    }
)  # fmt: skip
# Above this many files a look ends: a home folder is no working directory to be searched on every run.
MOST_FILES = 200_000


class Stamp(NamedTuple):
    """What tells one state of a file from another without reading it."""

    size_bytes: int
    mtime_ns: int
    inode: int


def scan(folder: Path, *, exclude: Collection[str | os.PathLike[str]] = ()) -> Mapping[str, Stamp]:
    """The stamps of the regular files below `folder`, by their paths relative to it, with slashes.

    `exclude` are folders, absolute, that are not looked into, beside `PRIVATE_FOLDERS` of any depth. Links are
    neither followed nor listed; what vanishes meanwhile, or may not be read, is left out. A folder with more
    than `MOST_FILES` files is looked at no further.
    """
    shut = {os.path.realpath(path) for path in exclude}
    found: dict[str, Stamp] = {}
    for path, stamp in _walk(os.path.realpath(folder), "", shut):
        found[path] = stamp
        if len(found) >= MOST_FILES:
            break
    return found


def look_at(path: Path) -> Mapping[str, Stamp]:
    """The stamps below a folder, or that of a file; {} where there is neither. A folder itself has one, too."""
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
        return []  # removed since, or not ours to read


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        stat = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def written(before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> list[str]:
    """The files of `after` that are new, or not as they were `before`, sorted."""
    return sorted(path for path, stamp in after.items() if before.get(path) != stamp)
