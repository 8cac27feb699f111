"""The paths that runs have written to, so that a snapshot can tell them from code.

A run that leaves ``model.npz`` in the project would else change the code of the next one. The file ``outputs`` in
the store has a JSON array a line: the CRC-32 of a path, and the path, relative to the root of its project (older
lines: the path alone). It is only ever appended to, and may be deleted at the price of such files being taken for
code again until they are next written.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from .filesystem.disk import write_all


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
            self._names = self.parse(self._path.read_bytes())
            self._read = status.st_ino, status.st_size
        return self._names

    @staticmethod
    def parse(data: bytes) -> frozenset[str]:
        """The paths in the bytes of such a file; a damaged line is passed over."""
        return frozenset(_parse(line) for line in data.split(b"\n")) - {""}

    def damaged(self) -> int:
        """How many lines are damaged; a last one that was cut short is not among them."""
        if not self._path.exists():
            return 0
        lines = self._path.read_bytes().split(b"\n")[:-1]
        return sum(1 for line in lines if not _parse(line))

    def add(self, names: Iterable[str]) -> None:
        """Note the paths that are not there yet, in one append, which needs no lock."""
        lines = [json.dumps([_crc(name), name]) + "\n" for name in sorted(set(names) - self.read())]
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


def _crc(name: str) -> str:
    return f"{zlib.crc32(name.encode(errors='surrogatepass')):08x}"


def _parse(line: bytes) -> str:
    """The path of a line, "" for one that is damaged or was cut short."""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    match said:
        case str():
            return said
        case [str() as crc, str() as name] if crc == _crc(name):
            return name
    return ""
