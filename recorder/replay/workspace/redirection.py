"""Redirect reads of moved inputs while the program keeps its recorded paths.

Python's functions that open, list, or stat files are wrapped, and the readers of the libraries that
`recorder.capture.files.library_hooks` knows. Other C code and child processes still use the recorded paths. Writes are
not redirected, except those to an SQLite database, which is opened for reading and writing at once.
"""

# ruff: noqa: PTH117, PTH118, PTH109
# Paths are strings here: this runs for every file that the program opens.

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

# Functions of `os` that read the path in their first argument and change nothing.
_LOOKING = ("stat", "lstat", "access", "listdir", "scandir", "readlink")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Redirection:
    """Redirects reads from each path in `moves`, a file or a folder, to the path that it maps to."""

    def __init__(self, moves: Mapping[str, str]) -> None:
        self._moves = dict(moves)

    def find(self, path: str) -> str:
        """Return the path to read in place of `path`; `path` itself where nothing was moved."""
        whole = os.path.normpath(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))
        below = ""
        while whole not in self._moves:
            parent, _, name = whole.rpartition(os.sep)
            if not name or not parent:
                return path
            whole, below = parent, f"{os.sep}{name}{below}"
        return self._moves[whole] + below

    def install(self) -> None:
        """Wrap the functions that read files, for the rest of this process."""
        audit_hook.see_through(__file__)
        library_hooks.lead(self.find)
        original = builtins.open
        opened = self._wrap_open(original)
        builtins.open = io.open = opened
        # Some modules of the standard library have bound `open` to other names.
        for module in list(sys.modules.values()):
            for name in ("open", "_builtin_open", "bltn_open"):
                if vars(module).get(name) is original:
                    setattr(module, name, opened)
        os.open = self._wrap_os_open(os.open)
        # Python 3.10's pathlib has bound them, too.
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
    """Add the wrapper to the sets in `os` that list the function's abilities, which `shutil` consults."""
    for able in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
        if original in able:
            able.add(wrapper)
    return wrapper
