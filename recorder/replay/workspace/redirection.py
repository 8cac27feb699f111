"""Files that a replay reads from another place than the run did, under the path that the program knows them by.

The program's paths stay as they are, in its config and in its text, and so does what it makes of them. What Python
opens, lists or looks at below such a path is taken from the other place: Python's own functions are wrapped for it,
and those of libraries that `recorder.capture.files.library_hooks` knows. What opens files in C otherwise, and
child processes, go
to the old place. What is written goes where it always did, but for a database of SQLite's, which is opened for both.
"""

# ruff: noqa: PTH117, PTH118, PTH109
# Paths are text here: this is asked for every file that the run opens.

from __future__ import annotations

import builtins
import functools
import io
import os
import pathlib
import sqlite3
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ...capture.files import audit_hook, library_hooks

# Those of `os` that look at the path that is their first argument, and change nothing.
_LOOKING = ("stat", "lstat", "access", "listdir", "scandir", "readlink")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Redirection:
    """Leads reading from each path of `moves`, a file or a folder, to the one that it maps to."""

    def __init__(self, moves: Mapping[str, str]) -> None:
        self._moves = dict(moves)

    def find(self, path: str) -> str:
        """Where to read what the program calls `path`; the same where nothing was moved."""
        whole = os.path.normpath(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))
        below = ""
        while whole not in self._moves:
            parent, _, name = whole.rpartition(os.sep)
            if not name or not parent:
                return path
            whole, below = parent, f"{os.sep}{name}{below}"
        return self._moves[whole] + below

    def install(self) -> None:
        """Wrap what reads, for the rest of this process."""
        audit_hook.see_through(__file__)
        library_hooks.lead(self.find)
        original = builtins.open
        opened = self._wrap_open(original)
        builtins.open = io.open = opened
        # Some modules of the standard library have taken `open` over under a name of their own.
        for module in list(sys.modules.values()):
            for name in ("open", "_builtin_open", "bltn_open"):
                if vars(module).get(name) is original:
                    setattr(module, name, opened)
        os.open = self._wrap_os_open(os.open)
        # Python 3.10's pathlib has taken them over as well.
        held = getattr(pathlib, "_NormalAccessor", None)
        if held is not None:
            held.open = staticmethod(opened)
        for name in _LOOKING:
            wrapped = self._wrap(getattr(os, name))
            setattr(os, name, wrapped)
            if hasattr(held, name):
                setattr(held, name, staticmethod(wrapped))
        sqlite3.connect = sqlite3.dbapi2.connect = self._wrap(sqlite3.connect)

    def _lead(self, path: Any) -> Any:
        if isinstance(path, str | os.PathLike):
            text = os.fspath(path)
            if isinstance(text, str):
                found = self.find(text)
                return path if found is text else found
        return path

    def _wrap_open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            reads = isinstance(mode, str) and mode[:1] == "r" and "+" not in mode
            return original(self._lead(file) if reads else file, mode, *args, **kwargs)

        return open

    def _wrap_os_open(self, original: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(original)
        def open(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            stays = flags & _WRITES or kwargs.get("dir_fd") is not None
            return original(path if stays else self._lead(path), flags, *args, **kwargs)

        return _supporting(open, original)

    def _wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def look(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            stays = kwargs.get("dir_fd") is not None
            return original(path if stays else self._lead(path), *args, **kwargs)

        return _supporting(look, original)


def _supporting(wrapper: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """What `os` says of the function, it says of the wrapper: `shutil` asks."""
    for able in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
        if original in able:
            able.add(wrapper)
    return wrapper
