"""Reading the file of the journal: the open file, the positions of documents in it, and snapshots of a table."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from ...errors import DamageError
from ..filesystem.disk import sync_folder
from .lines import NEWLINE, Line, is_line, read_document, read_lines, read_part

_CHUNK_BYTES = 1 << 22
_Part = TypeVar("_Part")
_AHEAD_BYTES = 1 << 18


class OpenFile:
    """The open file at `path`, created if it does not exist, unless `read_only`.

    It is closed when it is garbage collected, not by a method: another thread may read it while it is replaced.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.is_writable = not read_only
        self._seeking = threading.Lock()
        self.fd = -1
        flags = os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        # A journal may come from somebody else: no link to another file, and no FIFO, which would block.
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        self.fd = self._open(flags)
        if not stat.S_ISREG(self.state().st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))

    def _open(self, flags: int) -> int:
        if not self.is_writable:
            return os.open(self.path, os.O_RDONLY | flags)
        try:
            return os.open(self.path, os.O_RDWR | flags)
        except FileNotFoundError:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o666)
            sync_folder(self.path.parent)
            return fd
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            self.is_writable = False
            return os.open(self.path, os.O_RDONLY | flags)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def state(self) -> os.stat_result:
        """Return the current status of the file."""
        return os.fstat(self.fd)

    def read(self, size: int, at: int) -> bytes:
        """Read up to `size` bytes at offset `at`."""
        if hasattr(os, "pread"):
            return os.pread(self.fd, size, at)
        with self._seeking:  # Windows has no pread
            os.lseek(self.fd, at, os.SEEK_SET)
            return os.read(self.fd, size)

    def lines(self, start: int, end: int) -> Iterator[Line]:
        """Yield the lines from `start` to `end`, the damaged ones included; ignore an incomplete last one."""
        at, rest, read_to = start, [b""], start
        while read_to < end and (more := self.read(min(_CHUNK_BYTES, end - read_to), read_to)):
            read_to += len(more)
            cut = more.rfind(b"\n") + 1
            rest.append(more[:cut] if cut else more)
            if cut:
                yield from read_lines(b"".join(rest), start=at)
                at, rest = read_to - len(more) + cut, [more[cut:]]
        tail = b"".join(rest)
        # A line is written together with its newline: if one other byte follows it, that byte is the damaged newline.
        if is_line(tail[:-1]):
            yield from read_lines(tail[:-1] + b"\n", start=at)
            yield Line(read_to - 1, 1, damage=NEWLINE)

    def document(self, at: int, size: int) -> dict[str, Any]:
        """Return the document of the line at offset `at`. Raises DamageError."""
        return self.decode(self.read(size, at), at)

    def part(self, at: int, size: int, kind: type[_Part]) -> _Part:
        """Return only the fields of the struct `kind` of that document. Raises DamageError."""
        try:
            return read_part(self.read(size, at), kind)
        except ValueError as error:
            raise self._damaged(at, error) from error

    def decode(self, line: bytes, at: int) -> dict[str, Any]:
        """Return the document of a line that was read at offset `at`. Raises DamageError."""
        try:
            return read_document(line)
        except ValueError as error:
            raise self._damaged(at, error) from error

    def _damaged(self, at: int, error: ValueError) -> DamageError:
        message = f"the line at byte {at} of {self.path} is damaged: {error}"
        return DamageError(message, path=self.path, offset=at)


class _ReadAhead:
    """A reader of mostly consecutive lines, many at once: a system call for each takes as long as decoding it."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._start = self._end = 0
        self._held = b""

    def read(self, size: int, at: int) -> bytes:
        """Read `size` bytes at offset `at`."""
        if self._start <= at and at + size <= self._end:
            return self._held[at - self._start : at - self._start + size]
        # A line elsewhere, such as that of a run annotated later, is read separately.
        if self._end and not self._end < at + size <= self._end + _AHEAD_BYTES:
            return self._file.read(size, at)
        self._held = self._file.read(max(size, _AHEAD_BYTES), at)
        self._start, self._end = at, at + len(self._held)
        return self._held[:size]


class TableIndex:
    """The positions of the documents of a table, (offset, size) of a line by id, and the highest id ever used."""

    __slots__ = ("last_id", "places")

    def __init__(self) -> None:
        self.places: dict[int, tuple[int, int]] = {}
        self.last_id = 0


class TableView:
    """The documents of a table in the file at the time of the view, decoded on access.

    Lines appended later may or may not be visible; a document that was replaced or removed since is still readable.
    """

    def __init__(self, file: OpenFile, index: TableIndex) -> None:
        self._file = file
        self._places = index.places
        self.last_id = index.last_id

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def ids(self) -> list[int]:
        """Return the ids in the order of their first lines."""
        return list(self._places)

    def read(self, id: int) -> dict[str, Any]:
        """Return a document. Raises KeyError, DamageError."""
        return self._file.document(*self._places[id])

    def read_part(self, id: int, kind: type[_Part]) -> _Part:
        """Return only the fields of the struct `kind` of a document. Raises KeyError, DamageError."""
        return self._file.part(*self._places[id], kind)

    def raw(self, id: int) -> bytes:
        """Return the line of a document, damaged or not. Raises KeyError."""
        at, size = self._places[id]
        return self._file.read(size, at)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the documents that can be read."""
        for id in self.ids():
            try:
                yield self.read(id)
            except DamageError:
                continue  # opening the journal has warned about it

    def items(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield ids and documents; changes during the iteration do not affect it."""
        for id, at, line in self.lines():
            yield id, self._file.decode(line, at)

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield (id, offset, line) for each document; changes during the iteration do not affect it."""
        ahead = _ReadAhead(self._file)
        for id, (at, size) in list(self._places.items()):
            yield id, at, ahead.read(size, at)

    def is_written(self, id: int, line: bytes) -> bool:
        """Return whether the line of the document is `line`, byte for byte: 1, 1.0 and True are equal in Python."""
        at, size = self._places[id]
        return size == len(line) and self._file.read(size, at) == line
