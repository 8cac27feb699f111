"""The paths that runs have written to, which snapshots exclude from the code.

Else a run that leaves ``model.npz`` in the project would change the code of the next run. The file ``outputs`` in the
store has a JSON array in each line: the CRC-32 of a path, and the path relative to the root of its project (in older
lines, only the path). It is only appended to. If it is deleted, such files count as code until they are written again.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from .filesystem.disk import is_regular, read_regular, write_all


class KnownOutputs:
    """The known output paths in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None
        self._names: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        """Return the paths; the file is read again only if it has changed."""
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return frozenset()
        if not stat.S_ISREG(status.st_mode):
            return frozenset()
        if self._read != (status.st_ino, status.st_size):
            self._names = self.parse(read_regular(self._path))
            self._read = status.st_ino, status.st_size
        return self._names

    @staticmethod
    def parse(data: bytes) -> frozenset[str]:
        """Return the paths in the content of such a file; damaged lines are skipped."""
        return frozenset(_parse(line) for line in data.split(b"\n")) - {""}

    def damaged(self) -> int:
        """Return the number of damaged lines; an incomplete last line does not count."""
        if not is_regular(self._path):
            return 0
        lines = read_regular(self._path).split(b"\n")[:-1]
        return sum(1 for line in lines if not _parse(line))

    def add(self, names: Iterable[str]) -> None:
        """Append the new ones of the paths, in one write, which needs no lock."""
        lines = [json.dumps([_crc(name), name]) + "\n" for name in sorted(set(names) - self.read())]
        if lines:
            with self._path.open("ab+", buffering=0) as file:
                # An incomplete last line must not swallow the next one.
                start = "" if _ends_a_line(file) else "\n"
                write_all(file.fileno(), (start + "".join(lines)).encode())


def _ends_a_line(file: IO[bytes]) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _crc(name: str) -> str:
    return f"{zlib.crc32(name.encode(errors='surrogatepass')):08x}"


def _parse(line: bytes) -> str:
    """Return the path in a line, "" if the line is damaged or incomplete."""
    try:
        content = json.loads(line)
    except ValueError:
        return ""
    match content:
        case str():
            return content
        case [str() as crc, str() as name] if crc == _crc(name):
            return name
    return ""
