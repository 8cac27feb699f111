"""The file of the journal: reading what others append, and appending to it.

The file is only appended to, in one write for each change, under an inter-process lock that is held only for that
write. Readers take no lock: they read on when the status of the file has changed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...errors import DamageError, RecorderWarning
from ..filesystem.disk import ProcessLock, sync_folder, write_all
from .index import Known, is_worth_it, read_index, write_index
from .lines import INCOMPLETE, Line, is_line, make_line, read_lines
from .mark import Mark, read_mark, write_mark
from .view import OpenFile, TableIndex, TableView

_WASTE_FROM_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 22
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
        if lost := self.lost_lines():
            warnings.warn(f"{lost}; try: recorder check", RecorderWarning, stacklevel=2)

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
        self._unreadable: Line | None = None
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
            mark = self._current_mark()
        if synced is not None:
            getattr(os, "fdatasync", os.fsync)(synced.fd)
            self._advance_mark(synced, mark)

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

    # The mark

    def _current_mark(self) -> Mark:
        last_id = max((index.last_id for index in self.tables.values()), default=0)
        line = self._mark.decode("latin-1")
        return Mark(self._end, self._last_at, line, last_id) if self._end else Mark()

    def _advance_mark(self, file: OpenFile, mark: Mark) -> None:
        """Write the mark of lines that were just synced, unless another process has written a later one."""
        # The mark is evidence for later: failing to write it must not fail the write that it is about.
        with contextlib.suppress(OSError, ValueError), self.shared(), self._alone():
            old = read_mark(self.path) or Mark()
            # In a compacted file the positions differ. A mark that does not hold is kept as evidence of the loss.
            if file is self._file and old.end < mark.end and old.holds(file):
                write_mark(self.path, mark)

    def lost_lines(self) -> str:
        """Describe the loss if the journal lacks lines that it once had, by its mark; "" if it does not."""
        with self.shared():
            self.refresh()
            try:
                mark = read_mark(self.path) or Mark()
            except ValueError:
                return ""  # reported by a check
            size = self._file.state().st_size
            # A damaged line is a separate finding, and may be the line of the mark.
            if mark.holds(self._file) or (self._damaged and size >= mark.end):
                return ""
        how = "is shorter" if size < mark.end else "has other lines"
        return (
            f"{self.path} has lost lines: it had {mark.end} bytes and ids up to {mark.last_id}, and"
            f" now {how} ({size} bytes)"
        )

    def accept_loss(self) -> None:
        """Set the mark to the current state of the journal, after a loss of lines was accepted. Raises OSError."""
        with self.shared(), self._alone():
            write_mark(self.path, self._current_mark())

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
            self._unreadable = self._unreadable or (line if line.is_lost else None)
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
            found.append(Line(end, size - end, damage=INCOMPLETE))
        return found

    def verify(self) -> None:
        """Read every line again, from the first. Raises DamageError if the document of one cannot be read.

        Not only lines appended since the last read: a line that was damaged, and was restored in place since, may be
        the current one of a document.
        """
        lock = self._alone if self._file.is_writable else contextlib.nullcontext
        with self.shared(), lock():
            self.refresh()
            self._forget()
            self.refresh()
            line = self._unreadable
        if line is not None:
            raise DamageError(
                f"the line at byte {line.offset} of {self.path} is damaged: {line.damage}",
                path=self.path,
                offset=line.offset,
            )

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
        """Yield the current line of each document, except in the table `without`. Raises DamageError."""
        self.verify()
        with self.shared():
            self.refresh()
            file = self._file
            places = [
                place
                for name, index in self.tables.items()
                if name != without
                for place in index.places.values()
            ]
        yield from (self._intact(file, at, size) for at, size in places)

    def all_bytes(self) -> Iterator[bytes]:
        """Yield the whole file, history included, in parts that end with a line."""
        with self.shared():
            self.refresh()
            file, end = self._file, self._end
        rest = b""
        for chunk in _read_parts(file, 0, end):
            cut = chunk.rfind(b"\n") + 1
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        yield rest

    def _intact(self, file: OpenFile, at: int, size: int) -> bytes:
        """Return a line that was indexed, with its newline, which may be the damaged byte. Raises DamageError."""
        body = file.read(size - 1, at)
        if not is_line(body):
            raise DamageError(
                f"the line at byte {at} of {self.path} is damaged", path=self.path, offset=at
            )
        return body + b"\n"

    def compact(self) -> int:
        """Rewrite the file without its history and return the bytes saved; safe while others read and write.

        Raises DamageError, with nothing changed, if the document of any line cannot be read: that line may be the
        current one of a document whose history would be dropped.
        """
        with self.writing(sync=False):
            self.verify()
            self._drop_torn()
            return self._rewrite(self._compacted())

    def _rewrite(self, data: Iterable[bytes]) -> int:
        """Replace the file by `data`; the caller holds the lock. Readers notice the new inode."""
        staged = self.path.with_name(f"{self.path.name}.compact")
        before, mode = self._end, self._file.state().st_mode
        is_marked = not self.lost_lines()  # else the mark stays, as evidence of the loss
        try:
            with staged.open("wb") as file:
                staged.chmod(mode & 0o777)
                file.writelines(data)
                file.flush()
                os.fsync(file.fileno())
            if is_marked:  # the mark must hold whether the rename happens or not
                with contextlib.suppress(OSError):
                    write_mark(self.path, Mark())
            staged.replace(self.path)
        finally:
            staged.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self.refresh()
        if is_marked:
            with contextlib.suppress(OSError):
                write_mark(self.path, self._current_mark())
        return before - self._end

    def _compacted(self) -> Iterator[bytes]:
        # Copied byte for byte: a line does not hold its own position.
        for name, index in self.tables.items():
            if not index.places:
                yield make_line(name, None, {})
            if index.last_id and index.last_id not in index.places:
                yield make_line(name, index.last_id, None)
            for at, size in index.places.values():
                yield self._intact(self._file, at, size)

    def replace_bytes(self, offset: int, old: bytes, new: bytes) -> bool:
        """Replace the bytes at `offset` if they are still `old`; return whether they were.

        Everything before and after them keeps its order, so that later lines still supersede earlier ones.
        """
        with self.writing(sync=False):
            file, size, after = self._file, self._file.state().st_size, offset + len(old)
            if file.read(len(old), offset) != old:
                return False
            before = _read_parts(file, 0, offset)
            self._rewrite(itertools.chain(before, [new], _read_parts(file, after, size)))
            return True


def _read_parts(file: OpenFile, at: int, end: int) -> Iterator[bytes]:
    while at < end and (chunk := file.read(min(_CHUNK_BYTES, end - at), at)):
        at += len(chunk)
        yield chunk


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
