"""The paths that runs have written to, so that a snapshot can tell them from code.

A run that leaves ``model.npz`` in the project would else change the code of the next one. The file ``outputs`` in
the store has a JSON string a line, a path relative to the root of its project; it is only ever appended to, and
may be deleted at the price of such files being taken for code again until they are next written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from .disk import write_all


class KnownOutputs:
    """The known output paths in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None
        self._names: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        """The paths; read again only when the file has changed."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return frozenset()
        if self._read != (status.st_ino, status.st_size):
            lines = self._path.read_bytes().split(b"\n")
            self._names = frozenset(_parse(line) for line in lines) - {""}
            self._read = status.st_ino, status.st_size
        return self._names

    def add(self, names: Iterable[str]) -> None:
        """Note the paths that are not there yet, in one append, which needs no lock."""
        lines = [json.dumps(name) + "\n" for name in sorted(set(names) - self.read())]
        if lines:
            with self._path.open("ab+", buffering=0) as file:
                # Behind a last line that was cut short, which would else take the next one with it.
                start = "" if _ends_a_line(file) else "\n"
                write_all(file.fileno(), (start + "".join(lines)).encode())


def _ends_a_line(file: IO[bytes]) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _parse(line: bytes) -> str:
    """The path of a line, "" for one that was cut short."""
    try:
        name = json.loads(line)
    except ValueError:
        return ""
    return name if isinstance(name, str) else ""
