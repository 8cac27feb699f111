"""Functions on paths held as strings.

Each recorded call uses them several times, and a `Path` is ten times slower.
"""

# ruff: noqa: PTH118

from __future__ import annotations

import os
import re

# The folder of this package, with a trailing separator. Frames whose file is below it are recorder's own.
PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120

# ``*.log`` with its rotations, and TensorBoard event files, whose names contain the time.
_LOG = re.compile(r"\.log(\.[\w-]+)?$|(^|/)events\.out\.tfevents\.[^/]*$")


def make_absolute(path: str, *, cwd: str) -> str:
    """Return the absolute path without ``..``. A path with ``..`` is resolved through symbolic links."""
    whole = os.path.join(cwd, path)
    return os.path.realpath(whole) if ".." in path else os.path.normpath(whole)


def place_in(absolute: str, *roots: str | os.PathLike[str] | None) -> str | None:
    """Return the path relative to the first of `roots` that contains it, with forward slashes, or None."""
    for root in roots:
        if root is not None:
            folder = os.fspath(root)
            place = _place_below(absolute, folder)
            if place is None:
                place = _place_below(os.path.realpath(absolute), os.path.realpath(folder))
            if place is not None:
                return place
    return None


def _place_below(path: str, folder: str) -> str | None:
    if path == folder or not is_within(path, folder):
        return None
    return path[len(folder) :].lstrip(os.sep).replace(os.sep, "/") or None


def is_within(path: str, folder: str) -> bool:
    """Return True if the path is the folder itself or is below it. Both must be absolute."""
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def is_log_name(path: str) -> bool:
    """Return True if a file with this name is a log: a report of events like the console, not a result."""
    return _LOG.search(path) is not None
