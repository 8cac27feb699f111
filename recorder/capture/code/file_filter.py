"""Selection of the files for a snapshot.

Byte code and files that runs wrote are not code. Credentials, large files, and special files are left out and listed
with the reason.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ...records import Skipped
from ...secrets.filenames import is_secret_file

MAX_FILE_BYTES = 10 * 1024 * 1024

DERIVED = ("__pycache__", ".recorder", ".git")


def is_output(path: str, outputs: frozenset[str]) -> bool:
    """Return True if an untracked file was written by a run. A program written by a run still counts as code."""
    if path.endswith((".py", ".sh", ".toml", ".yaml", ".yml")):
        return False
    return path in outputs or any(parent in outputs for parent in _parents(path))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def is_derived(path: str) -> bool:
    """Return True if the path is byte code or belongs to a store or to git."""
    return any(part in DERIVED for part in path.rstrip("/").split("/")) or path.endswith(".pyc")


def sift(
    root: Path, listed: Collection[str], exclude: Sequence[Path]
) -> tuple[tuple[str, ...], tuple[Skipped, ...]]:
    """Split the listed paths into files for the snapshot and files to skip, each with the reason."""
    files: list[str] = []
    skipped: list[Skipped] = []
    prefix = f"{root}{os.sep}"
    outside = tuple(f"{path}{os.sep}" for path in exclude)
    for path in listed:
        full = prefix + path
        if is_derived(path) or full.startswith(outside):
            continue
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            continue  # deleted, but not in the index
        reason = _reason_to_skip(path, status)
        if reason:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            skipped.append(Skipped(path=shown, reason=reason, size_bytes=status.st_size))
        elif not stat.S_ISDIR(status.st_mode):
            files.append(path)
    return tuple(files), tuple(skipped)


def _reason_to_skip(path: str, status: os.stat_result) -> str:
    if is_secret_file(path):
        return "its name suggests a secret"
    if stat.S_ISREG(status.st_mode) and status.st_size > MAX_FILE_BYTES:
        return f"larger than {MAX_FILE_BYTES // 1024**2} MB"
    if not (
        stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) or stat.S_ISDIR(status.st_mode)
    ):
        return "not a regular file or a symbolic link"
    return ""
