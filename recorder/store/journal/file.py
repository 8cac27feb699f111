"""The journal's file: what is known of it, and how it grows.

It is only ever appended to, in one write for each change, under an inter-process lock that is held for no more
than that write. Reading takes no lock: what is known is brought up to date when the file's status has changed.
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
_MARK_BYTES = 18  # as much of a line as tells it from any other: its checksum


class JournalFile:
    """The journal in the file at `path`, which is made if it is not there, unless `read_only`.

    Threads may share one; processes have one each. `generation` counts the changes that were noticed.
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
        """Take over what the index beside the journal says, so that only what was appended since is read."""
        self._indexed = 0
        if is_worth_it(self._file.state().st_size, 0) and (known := read_index(self._file)):
            self.tables = known.tables
            self._indexed = self._end = known.end
            self._last_at = known.last_at
            self._mark = self._file.read(_MARK_BYTES, self._last_at)
            self._live_bytes = known.live_bytes

    def _index(self) -> None:
        """Write the index if it would spare the next to open the journal enough."""
        if self._read_only or self._damaged or not is_worth_it(self._end, self._indexed):
            return
        write_index(self._file, Known(self._end, self._last_at, self._live_bytes, self.tables))
        self._indexed = self._end

    def close(self) -> None:
        """To read or write from now on is a ValueError."""
        with self.shared():
            self._is_closed = True

    # Threads and processes

    def _renew_locks(self) -> None:
        self._pid = os.getpid()
        self._threads = threading.RLock()
        self._processes = ProcessLock(f"{self.path}.lock")

    def _go_on_after_fork(self) -> None:
        # Where another thread of the parent's held the lock at that moment, nobody here would ever let go of it,
        # and what it was changing may be half changed.
        is_whole = self._threads.acquire(blocking=False)
        self._renew_locks()
        self._depth, self._sync_wanted = 0, False
        if not is_whole:
            self._open()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """No other thread uses this meanwhile."""
        if self._pid != os.getpid():
            self._go_on_after_fork()
        with self._threads:
            yield

    @contextlib.contextmanager
    def writing(self, *, sync: bool) -> Iterator[None]:
        """Nobody else writes meanwhile, and all that was written is known. May be nested.

        With `sync` what was written is on the disk at the end of the outermost. That is waited for without the
        locks, so that those who wait at once share a sync. Others may see a line before it is durable, but the
        one who wrote it does not say so before it is, and whoever appends behind it syncs it too. Should the
        file be compacted meanwhile, then the new one has the line, and was synced before it took its place.
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
            raise PermissionError(errno.EACCES, "the journal may only be read", str(self.path))
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
        """Take note of what has been appended, or of the new file where the journal was compacted."""
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
        # A write that failed half-way is taken back; another process may have read a part of it by then.
        is_continued = self._file.read(_MARK_BYTES, self._last_at) == self._mark
        if self._end and not (state[2] >= self._end and is_continued):
            self._forget()
        self._read_on(state[2])
        self._state = state

    def _read_on(self, size: int) -> None:
        """Note the lines between what is known and `size`."""
        for line in self._file.lines(self._end, size):
            # A last line that seems damaged may be one that is just being written, unless nobody else writes.
            if self._depth or not line.damage or line.offset + line.size_bytes < size:
                self._note(line)
        self._mark = self._file.read(_MARK_BYTES, self._last_at)

    def _note(self, line: Line) -> None:
        if line.damage:
            self._damaged = (
                True  # and is to be said by whoever opens the journal: no index passes over it
            )
            self._warn(line)
        elif line.id is None:
            self._note_table(line)
        else:
            self._note_document(line, line.id)
        # Last, so that a line is noted again rather than never when Ctrl-C comes in between.
        self._last_at, self._end = line.offset, line.offset + line.size_bytes
        self.generation += 1

    def _warn(self, line: Line) -> None:
        lost = (
            "nothing is lost"
            if line.size_bytes == 1
            else "what it said is lost, every other line is read"
        )
        warnings.warn(
            f"the line at byte {line.offset} of {self.path} is damaged ({line.damage}): {lost}",
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
        """The table as it is now."""
        with self.shared():
            self.refresh()
            return TableView(self._file, self.tables.get(table) or TableIndex())

    def damage(self) -> list[Line]:
        """The lines that are damaged, every line being read again; each says where it stands and what is wrong.

        A last line that was cut short is among them, until the next write drops it.
        """
        # Under the lock where that can be had: then no line is just being written.
        lock = self._alone if self._file.is_writable else contextlib.nullcontext
        with self.shared(), lock():
            self.refresh()
            file, end, size = self._file, self._end, self._file.state().st_size
        found = [line for line in file.lines(0, end) if line.damage]
        if size > end:
            found.append(Line(end, size - end, damage="its writing was cut short"))
        return found

    def raw(self, line: Line) -> bytes:
        """The bytes of a line that `damage` gave."""
        with self.shared():
            return self._file.read(line.size_bytes, line.offset)

    # Writing

    def append(self, lines: Iterable[bytes]) -> None:
        """Append the lines in one write; to be called under `writing`. After an OSError the file is as before."""
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
        """Cut off a last line that was never finished: nobody else writes now, so its writer is gone."""
        size = self._file.state().st_size
        if size > self._end:
            warnings.warn(
                f"the last {size - self._end} bytes of {self.path} were a write cut short, and are dropped",
                RecorderWarning,
                stacklevel=2,
            )
            os.ftruncate(self._file.fd, self._end)

    @property
    def history_bytes(self) -> int:
        """The bytes of the lines that others have taken the place of, or that say that something is gone."""
        with self.shared():
            self.refresh()
            return self._end - self._live_bytes

    @property
    def is_wasteful(self) -> bool:
        """Whether more than half of the file, and more than 1 MiB, is history."""
        waste = self.history_bytes
        return waste > _WASTE_FROM_BYTES and 2 * waste > self._end

    def current_lines(self, *, without: str | None = None) -> Iterator[bytes]:
        """The line of each document as it stands, those of a table `without` left out, and the damaged lines."""
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
        """Whether a later line says what has become of the document that `line` is about."""
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
        """Rewrite the file without its history, safe while others read and write; the bytes saved.

        The new file is written beside, synced and renamed; the others notice that it is another one. Damaged
        lines are kept as they are, but for those whose bytes are in `drop`.
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
        # As they are, to the byte: a line does not say where it stands.
        read = self._file.read
        lines = self._file.lines(0, self._end)
        # (A single byte is one that stood in place of a newline: the newline is put back below.)
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
                # The newline may be the byte that is damaged.
                yield read(size - 1, at) + b"\n"


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
