"""The file of the journal: reading what others append, and appending to it.

The file is only appended to, in one write for each change, under an inter-process lock that is held only for that
write. Readers take no lock: they read on when the status of the file has changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ...errors import RecorderWarning
from ..filesystem.disk import ProcessLock, sync_folder, write_all
from .index import Known, is_worth_it, read_index, write_index
from .lines import Line, make_line, read_lines
from .view import OpenFile, TableIndex, TableView

_WASTE_FROM_BYTES = 1 << 20
_MARK_BYTES = 18  # the beginning of a line up to the end of its checksum, which identifies it


class JournalFile:
    """The journal in the file at `path`, which is created if it does not exist, unless `read_only`.

    Threads may share an instance; each process needs its own. `generation` counts the changes noticed so far.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self.generation = 0
        self._is_closed = False
        self._depth = 0
        self._sync_wanted = False
        self._renew_locks()
        self._open()
        self._start_from_index()
        self.refresh()
        self._index()

    def _open(self) -> None:
        self._file = OpenFile(self.path, read_only=self._read_only)
        self._forget()

    def _forget(self) -> None:
        self.tables: dict[str, TableIndex] = {}
        self.generation += 1
        self._end = 0
        self._last_at = 0
        self._mark = b""
        self._live_bytes = 0
        self._damaged = False
        self._state: tuple[int, ...] = ()

    def _start_from_index(self) -> None:
        """Load the index file of the journal, so that only lines appended since are read."""
        self._indexed = 0
        if is_worth_it(self._file.state().st_size, 0) and (known := read_index(self._file)):
            self.tables = known.tables
            self._indexed = self._end = known.end
            self._last_at = known.last_at
            self._mark = self._file.read(_MARK_BYTES, self._last_at)
            self._live_bytes = known.live_bytes

    def _index(self) -> None:
        """Write the index file if it would save the next reader enough work."""
        if self._read_only or self._damaged or not is_worth_it(self._end, self._indexed):
            return
        write_index(self._file, Known(self._end, self._last_at, self._live_bytes, self.tables))
        self._indexed = self._end

    def close(self) -> None:
        """Close the journal; reading and writing raise ValueError from now on."""
        with self.shared():
            self._is_closed = True

    # Threads and processes

    def _renew_locks(self) -> None:
        self._pid = os.getpid()
        self._threads = threading.RLock()
        self._processes = ProcessLock(f"{self.path}.lock")

    def _go_on_after_fork(self) -> None:
        # If another thread of the parent held the lock during the fork, nothing in this process would ever release it,
        # and the state that it protects may be half changed.
        is_whole = self._threads.acquire(blocking=False)
        self._renew_locks()
        self._depth, self._sync_wanted = 0, False
        if not is_whole:
            self._open()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Exclude the other threads of this process."""
        if self._pid != os.getpid():
            self._go_on_after_fork()
        with self._threads:
            yield

    @contextlib.contextmanager
    def writing(self, *, sync: bool) -> Iterator[None]:
        """Exclude all other writers, with everything that they have written known. May be nested.

        With `sync`, the written lines are durable when the outermost context ends. The sync happens after the locks
        are released, so that concurrent writers share it. Readers may see a line before it is durable, but its
        writer does not report it before, and whoever appends after it syncs it too. If the file is compacted in the
        meantime, the new file holds the line and was synced before it replaced the old one.
        """
        with self.shared():
            with self._alone():
                yield
            self._sync_wanted |= sync
            synced = self._file if self._sync_wanted and not self._depth else None
            self._sync_wanted &= self._depth > 0
        if synced is not None:
            getattr(os, "fdatasync", os.fsync)(synced.fd)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._file.is_writable:
            raise PermissionError(errno.EACCES, "the journal is read-only", str(self.path))
        if not self._depth:
            self._processes.acquire()
        self._depth += 1
        try:
            if self._depth == 1:
                self.refresh()
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._processes.release()

    # Reading

    def refresh(self) -> None:
        """Read the lines appended since the last call, or the new file if the journal was compacted."""
        if self._is_closed:
            raise ValueError(f"the journal {self.path} is closed")
        try:
            now = _state(self.path.stat())
        except FileNotFoundError:
            now = ()
        is_known = now and now == self._state
        if not is_known or (self._depth and now[2] != self._end):
            self._catch_up(now)

    def _catch_up(self, there: tuple[int, ...]) -> None:
        if there[:2] != _state(self._file.state())[:2]:
            self._open()
        state = _state(self._file.state())
        # A write that fails halfway is undone; this process may have read a part of it before that.
        is_continued = self._file.read(_MARK_BYTES, self._last_at) == self._mark
        if self._end and not (state[2] >= self._end and is_continued):
            self._forget()
        self._read_on(state[2])
        self._state = state

    def _read_on(self, size: int) -> None:
        """Note the lines between the known end and `size`."""
        for line in self._file.lines(self._end, size):
            # Without the lock, a last line that seems damaged may be one that is being written.
            if self._depth or not line.damage or line.offset + line.size_bytes < size:
                self._note(line)
        self._mark = self._file.read(_MARK_BYTES, self._last_at)

    def _note(self, line: Line) -> None:
        if line.damage:
            # No index is written over a damaged line, so that each process that opens the journal warns about it.
            self._damaged = True
            self._warn(line)
        elif line.id is None:
            self._note_table(line)
        else:
            self._note_document(line, line.id)
        # Last: if Ctrl-C interrupts this, the line is noted again instead of never.
        self._last_at, self._end = line.offset, line.offset + line.size_bytes
        self.generation += 1

    def _warn(self, line: Line) -> None:
        lost = "no record is lost" if line.size_bytes == 1 else "all other lines are readable"
        warnings.warn(
            f"the line at byte {line.offset} of {self.path} is damaged ({line.damage}); {lost};"
            " try: recorder check",
            RecorderWarning,
            stacklevel=2,
        )

    def _note_table(self, line: Line) -> None:
        old = self.tables.pop(line.table, None)
        if old is not None:
            self._live_bytes -= sum(size for _, size in old.places.values())
        if not line.gone:
            self.tables[line.table] = TableIndex()

    def _note_document(self, line: Line, id: int) -> None:
        index = self.tables.get(line.table)
        if index is None:
            index = self.tables[line.table] = TableIndex()
        if id > index.last_id:
            index.last_id = id
        old = index.places.get(id)
        if old is not None:
            self._live_bytes -= old[1]
        if line.gone:
            index.places.pop(id, None)
        else:
            index.places[id] = line.offset, line.size_bytes
            self._live_bytes += line.size_bytes

    def view(self, table: str) -> TableView:
        """Return the table in its current state."""
        with self.shared():
            self.refresh()
            return TableView(self._file, self.tables.get(table) or TableIndex())

    def damage(self) -> list[Line]:
        """Read every line again and return the damaged ones, each with its position and the kind of damage.

        An incomplete last line is among them, until the next write drops it.
        """
        # With the lock, if it can be taken, no line is being written.
        lock = self._alone if self._file.is_writable else contextlib.nullcontext
        with self.shared(), lock():
            self.refresh()
            file, end, size = self._file, self._end, self._file.state().st_size
        found = [line for line in file.lines(0, end) if line.damage]
        if size > end:
            found.append(Line(end, size - end, damage="it is incomplete"))
        return found

    def raw(self, line: Line) -> bytes:
        """Return the bytes of a line that `damage` returned."""
        with self.shared():
            return self._file.read(line.size_bytes, line.offset)

    # Writing

    def append(self, lines: Iterable[bytes]) -> None:
        """Append the lines in one write; call it under `writing`. An OSError leaves the file unchanged."""
        data = b"".join(lines)
        if not data:
            return
        self._drop_torn()
        fd, start = self._file.fd, self._end
        try:
            write_all(fd, data)
        except BaseException:
            os.ftruncate(fd, start)
            raise
        for line in read_lines(data, start=start):
            self._note(line)
        self._mark = data[self._last_at - start :][:_MARK_BYTES]

    def _drop_torn(self) -> None:
        """Remove an incomplete last line: under the lock, its writer cannot be alive."""
        size = self._file.state().st_size
        if size > self._end:
            warnings.warn(
                f"the last {size - self._end} bytes of {self.path} are an incomplete write and were removed",
                RecorderWarning,
                stacklevel=2,
            )
            os.ftruncate(self._file.fd, self._end)

    @property
    def history_bytes(self) -> int:
        """Size in bytes of the lines that are superseded, or that record a removal."""
        with self.shared():
            self.refresh()
            return self._end - self._live_bytes

    @property
    def is_wasteful(self) -> bool:
        """True if more than half of the file, and more than 1 MiB, is history."""
        waste = self.history_bytes
        return waste > _WASTE_FROM_BYTES and 2 * waste > self._end

    def current_lines(self, *, without: str | None = None) -> Iterator[bytes]:
        """Yield the current line of each document, except in the table `without`, and the damaged lines."""
        with self.shared():
            self.refresh()
            file, end = self._file, self._end
            places = [
                place
                for name, index in self.tables.items()
                if name != without
                for place in index.places.values()
            ]
        yield from (file.read(size, at) for at, size in places)
        yield from (
            file.read(line.size_bytes, line.offset) for line in file.lines(0, end) if line.damage
        )

    def is_superseded(self, line: Line) -> bool:
        """Return whether a later line supersedes `line`: it has the same document, or removes the whole table."""
        with self.shared():
            self.refresh()
            file, end = self._file, self._end
        later = file.lines(line.offset + line.size_bytes, end)
        return any(
            other.table == line.table and other.id in (line.id, None)
            for other in later
            if not other.damage
        )

    def compact(self, *, drop: Collection[bytes] = ()) -> int:
        """Rewrite the file without its history and return the bytes saved; safe while others read and write.

        The new file is written next to the old one, synced and renamed; readers notice the new inode. Damaged lines
        are kept unchanged, except those whose bytes are in `drop`.
        """
        with self.writing(sync=False):
            self._drop_torn()
            staged = self.path.with_name(f"{self.path.name}.compact")
            before, mode = self._end, self._file.state().st_mode
            try:
                with staged.open("wb") as file:
                    staged.chmod(mode & 0o777)
                    file.writelines(self._compacted(drop))
                    file.flush()
                    os.fsync(file.fileno())
                staged.replace(self.path)
            finally:
                staged.unlink(missing_ok=True)
            sync_folder(self.path.parent)
            self.refresh()
            return before - self._end

    def _compacted(self, drop: Collection[bytes]) -> Iterator[bytes]:
        # Copied byte for byte: a line does not hold its own position.
        read = self._file.read
        lines = self._file.lines(0, self._end)
        # A damaged line of one byte is a damaged newline, which is restored below.
        for line in (line for line in lines if line.damage and line.size_bytes > 1):
            raw = read(line.size_bytes, line.offset)
            if raw not in drop:
                yield raw if raw.endswith(b"\n") else raw + b"\n"
        for name, index in self.tables.items():
            if not index.places:
                yield make_line(name, None, {})
            if index.last_id and index.last_id not in index.places:
                yield make_line(name, index.last_id, None)
            for at, size in index.places.values():
                # The damaged byte may be the newline.
                yield read(size - 1, at) + b"\n"


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
