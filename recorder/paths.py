"""Paths as text, and where they lie.

A recorded call asks for them several times, and a Path costs ten times as much.
"""

# ruff: noqa: PTH118

from __future__ import annotations

import os
import re

# The folder of this package, with a separator at the end: frames whose file lies below it are recorder's own.
PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120

# ``*.log`` and its rotations, and TensorBoard's event files, whose names have the time in them.
_LOG = re.compile(r"\.log(\.[\w-]+)?$|(^|/)events\.out\.tfevents\.[^/]*$")


def make_absolute(path: str, *, cwd: str) -> str:
    """The path from the root, without ``..``: what goes up goes up from where a link leads."""
    whole = os.path.join(cwd, path)
    return os.path.realpath(whole) if ".." in path else os.path.normpath(whole)


def place_in(absolute: str, *roots: str | os.PathLike[str] | None) -> str | None:
    """The path relative to the first of `roots` that holds it, with slashes; None where none does."""
    for root in roots:
        if root is not None:
            folder = os.fspath(root)
            found = _place_below(absolute, folder)
            if found is None:
                found = _place_below(os.path.realpath(absolute), os.path.realpath(folder))
            if found is not None:
                return found
    return None


def _place_below(path: str, folder: str) -> str | None:
    if path == folder or not is_within(path, folder):
        return None
    return path[len(folder) :].lstrip(os.sep).replace(os.sep, "/") or None


def is_within(path: str, folder: str) -> bool:
    """Whether the path is the folder's own, or one below it; both absolute."""
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def is_log_name(path: str) -> bool:
    """Whether a file of that name is a log: what happened when, as the console has it, and no result."""
    return _LOG.search(path) is not None
