"""TinyDB on an append-only file: a Storage and a Table, through TinyDB's own extension points.

TinyDB's JSONStorage rewrites the whole file for each insert, in place and without a lock. Here each insert, update
and removal appends a line (see `recorder.store.journal.lines`) in one write, under an inter-process lock that is held
only for that write. `JournalStorage` works with any TinyDB: ``TinyDB(path, storage=JournalStorage)``. `Journal` is a
TinyDB with a table that reads only the documents it needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from ...errors import DamageError
from .file import JournalFile
from .lines import Line, make_line
from .view import TableView

_ID = re.compile(r"-?[1-9][0-9]*|0")  # the canonical form of an id


class JournalStorage(Storage):
    """A TinyDB storage in the journal file at `path`, which is created if it does not exist.

    With `sync`, each write is on the disk when it returns. As in TinyDB's own storage, `create_dirs` creates the
    parent folders, and `access_mode` "r" opens for reading: no file is created, and a write raises OSError.

    Threads may share a storage; each process needs its own and sees what the others append. TinyDB's own table caches
    the results of queries: pass it ``cache_size=0`` if other processes write, or use `Journal`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create_dirs: bool = False,
        access_mode: Literal["r", "r+"] = "r+",
        sync: bool = True,
    ) -> None:
        if access_mode not in ("r", "r+"):
            raise ValueError(f"access_mode is {access_mode!r}; it must be 'r' or 'r+'")
        self.path = Path(path)
        self.sync = sync
        if create_dirs and access_mode != "r":
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = JournalFile(self.path, read_only=access_mode == "r")
        self._known: dict[str, set[int]] | None = None  # the ids at the last read

    def read(self) -> dict[str, Any] | None:
        """Return the tables by name, each a mapping of ids (as strings) to documents that are decoded on access."""
        with self.file.shared():
            self.file.refresh()
            views = {name: self.file.view(name) for name in self.file.tables}
            self._known = {name: set(view.ids()) for name, view in views.items()}
        return {name: Documents(view) for name, view in views.items()} or None

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Make the tables equal to `data`, appending only the differences from the last `read`.

        Documents that another process inserted since the last `read` stay. Raises ValueError, with nothing written,
        if one of them has the id of a different document in `data`.
        """
        with self.file.writing(sync=self.sync):
            known = self._known or {}
            lines = [make_line(name, None, None) for name in self.file.tables if name not in data]
            for name, documents in data.items():
                if not isinstance(documents, Documents):
                    lines += self._changes(name, {int(id): dict(d) for id, d in documents.items()})
                    known = {**known, name: {int(id) for id in documents}}
            self.file.append(lines)
            self._known = known

    def _changes(self, name: str, documents: Mapping[int, Mapping[str, Any]]) -> Iterator[bytes]:
        view = self.file.view(name)
        known = None if self._known is None else self._known.get(name, set())
        if name not in self.file.tables and not documents:
            yield make_line(name, None, {})
        for id in view.ids() if known is None else known:
            if id in view and id not in documents:
                yield make_line(name, id, None)
        for id, document in documents.items():
            line = make_line(name, id, document)
            if id not in view:
                yield line
            elif not view.is_written(id, line):
                if known is not None and id not in known:
                    raise ValueError(f"Document with ID {id} already exists")
                yield line

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Documents(Mapping[str, Any]):
    """The documents of a table by their ids as strings, decoded on access."""

    def __init__(self, view: TableView) -> None:
        self._view = view

    def __getitem__(self, id: str) -> Any:
        if id not in self:
            raise KeyError(id)
        return self._view.read(int(id))

    def __iter__(self) -> Iterator[str]:
        return iter([str(id) for id in self._view.ids()])

    def __len__(self) -> int:
        return len(self._view)

    def __contains__(self, id: object) -> bool:
        text = str(id)
        return _ID.fullmatch(text) is not None and int(text) in self._view

    def items(self) -> Any:
        """Yield ids and documents; changes during the iteration do not affect it."""
        return ((str(id), document) for id, document in self._view.items())


class _Changes(MutableMapping[int, Any]):
    """A table during an update: documents are decoded on access, and their changes are recorded."""

    def __init__(self, view: TableView, table: str) -> None:
        self._view = view
        self._table = table
        self._touched: dict[int, Any] = {}
        self._gone: dict[int, None] = {}
        self._cleared = False

    def __getitem__(self, id: int) -> Any:
        if id in self._touched:
            return self._touched[id]
        if not self._is_kept(id):
            raise KeyError(id)
        document = self._touched[id] = self._view.read(id)
        return document

    def __setitem__(self, id: int, document: Any) -> None:
        self._touched[id] = document

    def __delitem__(self, id: int) -> None:
        if id not in self:
            raise KeyError(id)
        self._touched.pop(id, None)
        if id in self._view:
            self._gone[id] = None

    def __contains__(self, id: object) -> bool:
        return id in self._touched or self._is_kept(id)

    def _is_kept(self, id: object) -> bool:
        return id in self._view and id not in self._gone and not self._cleared

    def __iter__(self) -> Iterator[int]:
        kept = [id for id in self._view.ids() if self._is_kept(id)]
        return iter([*kept, *(id for id in self._touched if not self._is_kept(id))])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Remove every document."""
        self._touched.clear()
        self._cleared = True

    def lines(self) -> Iterator[bytes]:
        """Yield the lines to append for the recorded changes."""
        if self._cleared:
            yield make_line(self._table, None, {})
        for id in self._gone:
            if id not in self._touched and not self._cleared:
                yield make_line(self._table, id, None)
        for id, document in self._touched.items():
            line = make_line(self._table, id, document)
            if not self._is_kept(id) or not self._view.is_written(id, line):
                yield line


class JournalTable(Table):
    """A TinyDB table on a `JournalStorage` that reads and appends only the documents that an operation concerns.

    Ids are assigned under the lock: consecutive, unique, and never reused until the table is truncated.
    """

    _storage: JournalStorage
    _seen = -1

    def ids(self) -> list[int]:
        """Return the sorted ids of the documents, without decoding any document."""
        return sorted(self._view().ids())

    def insert_with(
        self, make: Callable[[int], Mapping[str, Any]], *, sync: bool | None = None
    ) -> int:
        """Insert the document that `make` returns for its id; return the id. Without `sync` a power cut may lose it."""
        return self.insert_all_with([make], sync=sync)[0]

    def put(self, id: int, document: Mapping[str, Any], *, sync: bool | None = None) -> None:
        """Write the document under its id, replacing an earlier one."""
        line = make_line(self.name, id, document)
        with self._writing(sync):
            self._storage.file.append([line])

    def change(
        self,
        id: int,
        make: Callable[[Mapping[str, Any] | None], Mapping[str, Any]],
        *,
        sync: bool | None = None,
    ) -> None:
        """Replace a document by `make(document)` (`make(None)` if there is none), under the lock."""
        with self._writing(sync):
            view = self._view()
            document = make(view.read(id) if id in view else None)
            self._storage.file.append([make_line(self.name, id, document)])

    def change_all(
        self, ids: Iterable[int], make: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        """Replace each of the documents by `make(document)`, in one write under the lock. Raises KeyError."""
        with self._writing():
            view = self._view()
            lines = [make_line(self.name, id, make(view.read(id))) for id in ids]
            self._storage.file.append(lines)

    def insert_all_with(
        self, makes: Iterable[Callable[[int], Mapping[str, Any]]], *, sync: bool | None = None
    ) -> list[int]:
        """Insert the documents that `makes` return for their ids, in one write, all or none; return the ids."""
        with self._writing(sync):
            first = self._view().last_id + 1
            lines = [make_line(self.name, id, make(id)) for id, make in enumerate(makes, first)]
            self._storage.file.append(lines)
        return list(range(first, first + len(lines)))

    def move(self, ids: Iterable[int], *, to: str) -> None:
        """Move the documents to the table `to`, with the same ids, in one write. Raises KeyError."""
        with self._writing():
            view = self._view()
            lines = []
            for id in ids:
                lines.append(make_line(to, id, view.read(id)))
                lines.append(make_line(self.name, id, None))
            self._storage.file.append(lines)

    def insert(self, document: Mapping[str, Any]) -> int:
        """Insert a document as TinyDB does, with its id assigned under the lock."""
        return self.insert_multiple([document])[0]

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """Insert documents as TinyDB does, with their ids assigned under the lock, in one write."""
        documents = list(documents)
        if not all(isinstance(document, Mapping) for document in documents):
            raise ValueError("Document is not a Mapping")
        with self._writing():
            new = self._numbered(documents)
            self._storage.file.append(make_line(self.name, id, doc) for id, doc in new.items())
        return list(new)

    def _numbered(self, documents: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        view, new = self._view(), dict[int, dict[str, Any]]()
        last_id = view.last_id
        for document in documents:
            id = document.doc_id if isinstance(document, self.document_class) else last_id + 1
            if id in view or id in new:
                raise ValueError(f"Document with ID {id} already exists")
            last_id = max(last_id, id)
            new[id] = dict(document)
        return new

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[int]:
        """Update or insert as TinyDB does, with the lock held from the update to the insert."""
        with self._writing():
            return super().upsert(document, cond)

    def get(
        self,
        cond: QueryLike | None = None,
        doc_id: int | None = None,
        doc_ids: list[int] | None = None,
    ) -> Any:
        """Get documents as TinyDB does; `doc_ids` decodes only those documents, and keeps the table's order."""
        if doc_ids is None or doc_id is not None:
            return super().get(cond, doc_id)  # type: ignore[arg-type]
        documents, wanted = self._read_table(), {str(id) for id in doc_ids}
        return [self.document_class(documents[id], int(id)) for id in documents if id in wanted]

    def search(self, cond: QueryLike) -> list[Document]:
        """Search as TinyDB does; cached results are dropped when any process has written."""
        with self._storage.file.shared():
            view = self._view()
            generation = self._forget_older()
            cached: list[Document] | None = self._query_cache.get(cond)
        if cached is not None:
            return cached[:]
        found = [self.document_class(doc, id) for id, doc in view.items() if cond(doc)]
        if getattr(cond, "is_cacheable", lambda: True)():
            with self._storage.file.shared():
                # Another thread may have written since.
                if self._forget_older() == generation:
                    self._query_cache[cond] = found[:]
        return found

    def _forget_older(self) -> int:
        generation = self._storage.file.generation
        if self._seen != generation:
            self.clear_cache()
            self._seen = generation
        return generation

    def _view(self) -> TableView:
        return self._storage.file.view(self.name)

    def _writing(self, sync: bool | None = None) -> AbstractContextManager[None]:
        return self._storage.file.writing(sync=self._storage.sync if sync is None else sync)

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return Documents(self._view())  # type: ignore[return-value]

    def _update_table(self, updater: Callable[[dict[int, Any]], None]) -> None:
        with self._writing():
            changes = _Changes(self._view(), self.name)
            updater(changes)  # type: ignore[arg-type]
            lines = list(changes.lines())
            if not lines and self.name not in self._storage.file.tables:
                lines = [make_line(self.name, None, {})]
            self._storage.file.append(lines)


class Journal(TinyDB):
    """A TinyDB stored in a journal: ``Journal(path, sync=True)``."""

    table_class = JournalTable
    default_storage_class = JournalStorage  # type: ignore[assignment]

    storage: JournalStorage

    def table(self, name: str, **kwargs: Any) -> JournalTable:
        """Return the table of that name, as TinyDB does."""
        table = super().table(name, **kwargs)
        assert isinstance(table, JournalTable)
        return table

    def compact(self) -> int:
        """Rewrite the file without its history; return the bytes saved. Raises DamageError if a line is damaged."""
        return self.storage.file.compact()

    def compact_if_wasteful(self) -> int:
        """Compact if more than half of the file, and more than 1 MiB, is history; return the bytes saved.

        A damaged journal is left unchanged.
        """
        if not self.storage.file.is_wasteful:
            return 0
        try:
            return self.compact()
        except DamageError:
            return 0  # opening the journal warns about it, and `recorder check` reports it

    def history_bytes(self) -> int:
        """Return the number of bytes that compacting would save."""
        return self.storage.file.history_bytes

    def current_lines(self, *, without: str | None = None) -> Iterator[bytes]:
        """Yield the current line of each document, except in the table `without`. Raises DamageError."""
        return self.storage.file.current_lines(without=without)

    def all_bytes(self) -> Iterator[bytes]:
        """Yield the whole file, history included, in parts that end with a line."""
        return self.storage.file.all_bytes()

    def verify(self) -> None:
        """Read every line. Raises DamageError if the document of one cannot be read."""
        self.storage.file.verify()

    def lost_lines(self) -> str:
        """Describe the loss if the journal lacks lines that it once had; "" if it does not."""
        return self.storage.file.lost_lines()

    def accept_loss(self) -> None:
        """Take the current lines of the journal for all of its lines. Raises OSError."""
        self.storage.file.accept_loss()

    def damage(self) -> list[Line]:
        """Return the damaged lines with their positions, their damage, and their documents' ids if readable."""
        return self.storage.file.damage()

    def view(self, table: str) -> TableView:
        """Return the documents of the table in its current state, each decoded when it is read."""
        return self.storage.file.view(table)

    def raw_document(self, table: str, id: int) -> bytes:
        """Return the line of a document, damaged or not; b"" if there is no document of that id."""
        view = self.storage.file.view(table)
        return view.raw(id) if id in view else b""

    def replace_bytes(self, offset: int, old: bytes, new: bytes) -> bool:
        """Replace the bytes at `offset` of the file if they are still `old`; return whether they were."""
        return self.storage.file.replace_bytes(offset, old, new)

    def raw(self, line: Line) -> bytes:
        """Return the bytes of a line that `damage` returned."""
        return self.storage.file.raw(line)
