"""The files below a folder that were written since a moment, whoever wrote them.

A file's ctime is its filesystem's own word for when it was last written, made or moved, and no program can set it.
So what was there before needs no list: a file is looked at once, after the run, against the ctime of a file that
recorder wrote just before. That costs a stat a file, and less where `unread` names files that need none.
"""

# ruff: noqa: PTH118
# Paths are text here: this is asked for every file of a project, and a Path costs as much as the answer.

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

# Larger trees are not looked through.
MAX_SCANNED = 50_000

_JUNK_FOLDERS = frozenset((
    "__pycache__", ".git", ".hg", ".svn", ".recorder", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
    ".ipynb_checkpoints", ".tox", ".nox", ".venv", "venv", "node_modules", "site-packages", "dist-packages", ".cache",
    ".idea", ".vscode", ".vs",
))  # fmt: skip
_JUNK_ENDS = (".pyc", ".pyo", "~", ".swp", ".swo", ".swx", "#", ".lock")
_JUNK_STARTS = (".#", ".nfs", ".coverage", ".DS_Store", ".~lock")
# What people edit while a run is in progress.
_EDITED = (
    ".py", ".pyi", ".pyx", ".ipynb", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".md", ".rst", ".tex",
    ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".rs", ".jl", ".r", ".R", ".js", ".ts", ".html", ".css",
)  # fmt: skip


class TooManyError(Exception):
    """The folder holds more than MAX_SCANNED files."""


def is_junk(path: str) -> bool:
    """Whether a file at that path, relative to the folder, is a cache's, an editor's or a version control's."""
    *folders, name = path.split("/")
    return not _JUNK_FOLDERS.isdisjoint(folders) or _is_junk_name(name)


def is_edited(path: str) -> bool:
    """Whether a file of that name is rather a person's than a program's."""
    return path.endswith(_EDITED)


def stamp(path: str | os.PathLike[str]) -> int:
    """The ctime (ns) of the file or folder at `path`: what is written from now on has a later one."""
    return os.stat(path).st_ctime_ns  # noqa: PTH116


def scan(
    folder: str, *, since_ns: int, exclude: Collection[str] = (), unread: Collection[str] = ()
) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files below `folder` whose ctime is later than `since_ns`, by their paths relative to it.

    `exclude` are absolute paths of folders that are left out, `unread` relative ones of files that were not
    written. Raises TooManyError.
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
        return []  # gone meanwhile, or not ours to read
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
    """The device and inode of each regular file that this process has open, where the system lists them."""
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
