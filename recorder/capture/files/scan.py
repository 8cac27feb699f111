"""Discovery of the files below a folder that were written after a given moment, by any process.

The filesystem sets a file's ctime when the file is written, created, or moved, and no program can set it. So no list
of the earlier files is needed: after the run, each file's ctime is compared with that of a file that recorder wrote
just before the run. This costs one stat per file, except for the files in `unread`.
"""

# ruff: noqa: PTH118
# Paths are strings here: this runs for each file of a project, and a Path costs as much as the check.

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

# The limit on the number of files in a scan.
MAX_SCANNED = 50_000

_JUNK_FOLDERS = frozenset((
    "__pycache__", ".git", ".hg", ".svn", ".recorder", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
    ".ipynb_checkpoints", ".tox", ".nox", ".venv", "venv", "node_modules", "site-packages", "dist-packages", ".cache",
    ".idea", ".vscode", ".vs",
))  # fmt: skip
_JUNK_ENDS = (".pyc", ".pyo", "~", ".swp", ".swo", ".swx", "#", ".lock")
_JUNK_STARTS = (".#", ".nfs", ".coverage", ".DS_Store", ".~lock")
# Files that people edit while a run is in progress.
_EDITED = (
    ".py", ".pyi", ".pyx", ".ipynb", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".md", ".rst", ".tex",
    ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".rs", ".jl", ".r", ".R", ".js", ".ts", ".html", ".css",
)  # fmt: skip


class TooManyError(Exception):
    """The folder contains more than MAX_SCANNED files."""


def is_junk(path: str) -> bool:
    """Return True if the path, relative to the folder, belongs to a cache, an editor, or version control."""
    *folders, name = path.split("/")
    return not _JUNK_FOLDERS.isdisjoint(folders) or _is_junk_name(name)


def is_edited(path: str) -> bool:
    """Return True if a file with this name is usually edited by a person."""
    return path.endswith(_EDITED)


def stamp(path: str | os.PathLike[str]) -> int:
    """Return the ctime (ns) of the file or folder at `path`. Files written from now on have a later one."""
    return os.stat(path).st_ctime_ns  # noqa: PTH116


def scan(
    folder: str, *, since_ns: int, exclude: Collection[str] = (), unread: Collection[str] = ()
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files below `folder` with a ctime after `since_ns`, by relative path.

    `exclude` are absolute paths of folders to skip. `unread` are relative paths of files known to be unwritten.
    Raises TooManyError.
    """
    count = 0
    folders = [""]
    while folders:
        inside = folders.pop()
        for entry in _entries(os.path.join(folder, inside)):
            path = inside + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _JUNK_FOLDERS and entry.path not in exclude:
                    folders.append(path + "/")
                continue
            count += 1
            if path not in unread and not _is_junk_name(entry.name):
                found = _look_at(entry, since_ns)
                if found is not None:
                    yield path, found
        if count > MAX_SCANNED:
            raise TooManyError(folder)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return []  # deleted since, or not readable for this user
    return [] if any(entry.name == "pyvenv.cfg" for entry in found) else found


def _look_at(entry: os.DirEntry[str], since_ns: int) -> os.stat_result | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return status if status.st_ctime_ns > since_ns and stat.S_ISREG(status.st_mode) else None


def _is_junk_name(name: str) -> bool:
    return name.endswith(_JUNK_ENDS) or name.startswith(_JUNK_STARTS)


def open_files() -> frozenset[tuple[int, int]]:
    """Return the device and inode of each regular file that this process has open, if the system lists them."""
    found = set()
    try:
        names = os.listdir("/proc/self/fd")  # noqa: PTH208
    except OSError:
        names = ["0", "1", "2"]
    for name in names:
        try:
            status = os.fstat(int(name))
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)
