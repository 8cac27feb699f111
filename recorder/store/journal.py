"""TinyDB on an append-only file: its Storage and its Table, through TinyDB's own extension points.

TinyDB's stock JSONStorage rewrites the whole file for each insert, in place and without a lock. Here an
insert, an update and a removal append a line each (see `recorder.store.lines`), in one write, under an
inter-process lock that is held for no more than that write. ``TinyDB(path, storage=JournalStorage)`` works for
anybody; `Journal` has besides a table that never reads more than it needs.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from ..errors import DamageError, RecorderWarning
from .disk import sync_folder, write_all
from .lines import Line, decode_document, encode_document, make_line, read_lines

_CHUNK_BYTES = 1 << 23


class _Place(NamedTuple):
    """Where a document's JSON stands in the file."""

    at: int
    size_bytes: int


class JournalStorage(Storage):
    """The journal in the file at `path`, which is made if it is not there.

    With `sync` every write is on the disk when it returns. Threads share one storage; processes have one each
    and see what the others append.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        self.path = Path(path)
        self.sync = sync
        self.generation = 0  # counts the changes that this storage has seen
        self._fd: int | None = None
        self._forget()
        self._renew_locks()
        self._open()

    def _forget(self) -> None:
        self._tables: dict[str, dict[int, _Place]] = {}
        self._last_ids: dict[str, int] = {}
        self._end = 0
        self._damaged: list[Line] = []
        self._read: dict[str, set[int]] = {}

    def _renew_locks(self) -> None:
        # A fork copies a lock that another thread holds, and nobody in the child would ever let go of it.
        self._pid = os.getpid()
        self._threads = threading.RLock()
        self._processes = FileLock(f"{self.path}.lock", thread_local=False)

    # TinyDB's contract

    def read(self) -> dict[str, Any] | None:
        """The tables by name, each a mapping of ids (as text) to documents, decoded when asked for."""
        with self._shared():
            self.refresh()
            self._read = {name: set(places) for name, places in self._tables.items()}
            tables = {name: Documents(self, name) for name in self._tables}
            return dict(tables) or None

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Make the tables those in `data`; only what differs from what was read is appended."""
        with self.locked():
            lines = [make_line(name, None, None) for name in self._tables if name not in data]
            for name, documents in data.items():
                if not isinstance(documents, Documents):
                    lines += self._changed_lines(
                        name, {int(id): dict(d) for id, d in documents.items()}
                    )
            self.append(lines)

    def _changed_lines(
        self, name: str, documents: Mapping[int, Mapping[str, Any]]
    ) -> Iterator[bytes]:
        places = self._tables.get(name, {})
        # What another process has appended since `read` is no removal.
        gone = [id for id in self._read.get(name, places) if id not in documents and id in places]
        if name not in self._tables and not documents:
            yield make_line(name, None, {})
        yield from (make_line(name, id, None) for id in gone)
        for id, document in documents.items():
            if id not in places or not self.is_same(name, id, document):
                yield make_line(name, id, document)

    def close(self) -> None:
        """Close the file."""
        with self._shared():
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    # What the table is built on

    @contextmanager
    def _shared(self) -> Iterator[None]:
        if self._pid != os.getpid():
            self._renew_locks()
        with self._threads:
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes meanwhile, and everything that was written is known. May be nested."""
        with self._shared(), self._processes:
            self.refresh()
            yield

    def ids(self, table: str) -> dict[int, _Place]:
        """The ids of the table's documents, in the order of their first appearance."""
        return self._tables.get(table, {})

    def document(self, table: str, id: int) -> Any:
        """The document, decoded; KeyError where there is none."""
        place = self._tables[table][id]
        return decode_document(self._pread(place.size_bytes, place.at))

    def is_same(self, table: str, id: int, document: Any) -> bool:
        """Whether the document is written already, to the byte: 1, 1.0 and True are equal but not the same."""
        place = self._tables[table][id]
        return self._pread(place.size_bytes, place.at) == encode_document(document)

    def last_id(self, table: str) -> int:
        """The largest id that the table has ever had, 0 for none: ids are not used again."""
        return self._last_ids.get(table, 0)

    def damage(self) -> list[Line]:
        """The lines that are damaged; each says what is wrong, and whose it was where that can be read."""
        with self._shared():
            self.refresh()
            return list(self._damaged)

    def append(self, lines: Iterable[bytes]) -> None:
        """Append the lines in one write; to be called under `locked`. After an OSError the file is as before."""
        data = b"".join(lines)
        if not data:
            return
        fd = self._writable()
        start = self._repair(fd)
        try:
            write_all(fd, data)
        except OSError:
            os.ftruncate(fd, start)
            raise
        self._index(data, start)

    def flush(self) -> None:
        """Wait until everything written is on the disk.

        This is done without the lock. A line may be seen by others before it is durable, but it is durable
        before the one who wrote it says so; and who appends behind it syncs it too.
        """
        with self._shared():
            fd = os.dup(self._writable())
        try:
            getattr(os, "fdatasync", os.fsync)(fd)
        finally:
            os.close(fd)

    def refresh(self) -> None:
        """Take note of what has been appended, or of the new file where the journal was compacted."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            now = None
        if self._fd is None or now is None or not os.path.samestat(now, os.fstat(self._fd)):
            self._open()
            now = self.path.stat()
        if now.st_size < self._end:
            raise DamageError(f"{self.path} has become shorter while it was open", path=self.path)
        if now.st_size > self._end:
            self._read_on(now.st_size)

    def _open(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._forget()
        self.generation += 1
        flags = os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o666)
            self._is_writable = True
        except PermissionError:
            self._fd = os.open(self.path, os.O_RDONLY | flags)
            self._is_writable = False
        self._read_on(os.fstat(self._fd).st_size)

    def _writable(self) -> int:
        if self._fd is None or not self._is_writable:
            raise PermissionError(f"{self.path} may only be read")
        return self._fd

    def _read_on(self, size: int) -> None:
        """Index the whole lines between what is known and `size`."""
        data, at = b"", self._end
        while at < size:
            more = self._pread(min(_CHUNK_BYTES, size - at), at)
            if not more:
                break
            at += len(more)
            data, start = data + more, self._end
            self._index(data, start)
            data = data[self._end - start :]

    def _pread(self, size: int, at: int) -> bytes:
        assert self._fd is not None
        if hasattr(os, "pread"):
            return os.pread(self._fd, size, at)
        with self._threads:  # Windows has no pread
            os.lseek(self._fd, at, os.SEEK_SET)
            return os.read(self._fd, size)

    def _index(self, data: bytes, start: int) -> None:
        for line in read_lines(data, start=start):
            self._end = line.offset + line.size_bytes
            if line.damage:
                self._damaged.append(line)
                warnings.warn(
                    f"the line at byte {line.offset} of {self.path} is damaged ({line.damage}):"
                    " what it said is lost, every other line is read",
                    RecorderWarning,
                    stacklevel=2,
                )
            else:
                self._apply(line)
        self.generation += 1

    def _apply(self, line: Line) -> None:
        if line.id is None:
            self._tables.pop(line.table, None)
            self._last_ids.pop(line.table, None)
            if not line.gone:
                self._tables[line.table] = {}
            return
        places = self._tables.setdefault(line.table, {})
        if line.id > self._last_ids.get(line.table, 0):
            self._last_ids[line.table] = line.id
        if line.gone:
            places.pop(line.id, None)
        else:
            places[line.id] = _Place(line.doc_at, line.doc_bytes)

    def _repair(self, fd: int) -> int:
        """Cut off a last line that was never finished: nobody writes now, so its writer is gone."""
        size = os.fstat(fd).st_size
        if size > self._end:
            warnings.warn(
                f"the last {size - self._end} bytes of {self.path} were a write cut short, and are dropped",
                RecorderWarning,
                stacklevel=2,
            )
            os.ftruncate(fd, self._end)
        return self._end

    def compact(self) -> int:
        """Rewrite the file without its history, safe while others read and write; the bytes saved.

        The new file is written beside, synced and renamed; the others notice that it is another one.
        """
        with self.locked():
            staged = self.path.with_name(f"{self.path.name}.compact")
            before = os.fstat(self._writable()).st_size
            with staged.open("wb") as file:
                for data in self._compacted():
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
                after = file.tell()
            staged.replace(self.path)
            sync_folder(self.path.parent)
            self._open()
            return before - after

    def _compacted(self) -> Iterator[bytes]:
        for name, places in self._tables.items():
            if not places:
                yield make_line(name, None, {})
            last = self.last_id(name)
            if last and last not in places:
                yield make_line(name, last, None)
            for id in places:
                yield make_line(name, id, self.document(name, id))


class Documents(Mapping[str, Any]):
    """The documents of a table under their ids as text, each decoded when it is asked for."""

    def __init__(self, storage: JournalStorage, table: str) -> None:
        self._storage = storage
        self._table = table

    def __getitem__(self, id: str) -> Any:
        return self._storage.document(self._table, int(id))

    def __iter__(self) -> Iterator[str]:
        return iter([str(id) for id in self._storage.ids(self._table)])

    def __len__(self) -> int:
        return len(self._storage.ids(self._table))

    def __contains__(self, id: object) -> bool:
        return int(str(id)) in self._storage.ids(self._table)


class _Changes(MutableMapping[int, Any]):
    """A table while it is updated: documents are decoded when touched, and what becomes of them is noted."""

    def __init__(self, storage: JournalStorage, table: str) -> None:
        self._storage = storage
        self._table = table
        self._places = storage.ids(table)
        self._touched: dict[int, Any] = {}
        self._gone: dict[int, None] = {}
        self._cleared = False

    def __getitem__(self, id: int) -> Any:
        if id in self._touched:
            return self._touched[id]
        if not self._is_kept(id):
            raise KeyError(id)
        document = self._touched[id] = self._storage.document(self._table, id)
        return document

    def __setitem__(self, id: int, document: Any) -> None:
        self._touched[id] = document

    def __delitem__(self, id: int) -> None:
        if id not in self:
            raise KeyError(id)
        self._touched.pop(id, None)
        if id in self._places:
            self._gone[id] = None

    def __contains__(self, id: object) -> bool:
        return id in self._touched or self._is_kept(id)

    def _is_kept(self, id: object) -> bool:
        return id in self._places and id not in self._gone and not self._cleared

    def __iter__(self) -> Iterator[int]:
        kept = [id for id in self._places if self._is_kept(id)]
        return iter(
            [
                *kept,
                *(id for id in self._touched if id not in self._places or not self._is_kept(id)),
            ]
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Remove every document."""
        self._touched.clear()
        self._cleared = True

    def lines(self) -> list[bytes]:
        """What is to be appended for all that."""
        lines = [make_line(self._table, None, {})] if self._cleared else []
        lines += [make_line(self._table, id, None) for id in self._gone if id not in self._touched]
        for id, document in self._touched.items():
            if not self._is_kept(id) or not self._storage.is_same(self._table, id, document):
                lines.append(make_line(self._table, id, document))
        return lines


class JournalTable(Table):
    """TinyDB's table on a `JournalStorage`: it reads and appends no more than what an operation is about.

    Ids are given under the lock: dense, unique, and never used again (until the table is truncated).
    """

    _storage: JournalStorage
    _seen = -1

    def insert_with(
        self, make: Callable[[int], Mapping[str, Any]], *, sync: bool | None = None
    ) -> int:
        """Insert the document that `make` makes of its id; the id. Without `sync` a power cut may lose it."""
        with self._storage.locked():
            id = self._storage.last_id(self.name) + 1
            self._storage.append([make_line(self.name, id, make(id))])
        self._finish(sync)
        return id

    def put(self, id: int, document: Mapping[str, Any], *, sync: bool | None = None) -> None:
        """Write the document under its id, in place of the one that is there."""
        with self._storage.locked():
            self._storage.append([make_line(self.name, id, document)])
        self._finish(sync)

    def insert(self, document: Mapping[str, Any]) -> int:
        """TinyDB's, with the id given under the lock."""
        with self._storage.locked():
            self._next_id = None
            return super().insert(document)

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """TinyDB's, with the ids given under the lock, in one write."""
        with self._storage.locked():
            self._next_id = None
            return super().insert_multiple(documents)

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[int]:
        """TinyDB's, with nobody else writing between the update and the insert."""
        with self._storage.locked():
            return super().upsert(document, cond)

    def search(self, cond: QueryLike) -> list[Document]:
        """TinyDB's; the query cache is dropped when anybody has written."""
        self._refresh()
        return super().search(cond)

    def _refresh(self) -> None:
        with self._storage._shared():
            self._storage.refresh()
        if self._seen != self._storage.generation:
            self.clear_cache()
            self._seen = self._storage.generation

    def _get_next_id(self) -> int:
        following: int | None = self._next_id
        id = self._storage.last_id(self.name) + 1 if following is None else following
        self._next_id = id + 1  # type: ignore[assignment]
        return id

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        self._refresh()
        return Documents(self._storage, self.name)  # type: ignore[return-value]

    def _update_table(self, updater: Callable[[dict[int, Any]], None]) -> None:
        with self._storage.locked():
            changes = _Changes(self._storage, self.name)
            updater(changes)  # type: ignore[arg-type]
            lines = changes.lines()
            if not lines and self.name not in self._storage._tables:
                lines = [make_line(self.name, None, {})]
            self._storage.append(lines)
        self._finish(None)

    def _finish(self, sync: bool | None) -> None:
        self.clear_cache()
        if self._storage.sync if sync is None else sync:
            self._storage.flush()


class Journal(TinyDB):
    """A TinyDB whose storage is a journal: ``Journal(path)``."""

    table_class = JournalTable
    default_storage_class = JournalStorage  # type: ignore[assignment]

    storage: JournalStorage

    def table(self, name: str, **kwargs: Any) -> JournalTable:
        """TinyDB's, with its type."""
        table = super().table(name, **kwargs)
        assert isinstance(table, JournalTable)
        return table

    def compact(self) -> int:
        """Rewrite the file without its history; the bytes saved."""
        return self.storage.compact()

    def damage(self) -> list[Line]:
        """The damaged lines."""
        return self.storage.damage()
