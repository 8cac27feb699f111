"""TinyDB on an append-only file: its Storage and its Table, through TinyDB's own extension points.

TinyDB's stock JSONStorage rewrites the whole file for each insert, in place and without a lock. Here an
insert, an update and a removal append a line each (see `recorder.store.journal.lines`), in one write, under an
inter-process lock that is held for no more than that write. ``TinyDB(path, storage=JournalStorage)`` works for
anybody; `Journal` has besides a table that never reads more than it needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from .file import JournalFile
from .lines import Line, make_line, read_keys
from .view import TableView

_ID = re.compile(r"-?[1-9][0-9]*|0")  # an id as text, written in the one way


class JournalStorage(Storage):
    """The journal in the file at `path`, which is made if it is not there.

    With `sync` every write is on the disk when it returns. As with TinyDB's own storage, the folders above it are
    made with `create_dirs`, and `access_mode` "r" is for reading only: no file is made, a write is an OSError.

    Threads may share one storage; processes have one each and see what the others append. (TinyDB's own table does
    not ask again what it has cached: give it ``cache_size=0`` where others write, or use `Journal`.)
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
            raise ValueError(f"access_mode is {access_mode!r}: it may be 'r' or 'r+'")
        self.path = Path(path)
        self.sync = sync
        if create_dirs and access_mode != "r":
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = JournalFile(self.path, read_only=access_mode == "r")
        self._known: dict[str, set[int]] | None = None  # the ids that were last read

    def read(self) -> dict[str, Any] | None:
        """The tables by name, each a mapping of ids (as text) to documents, decoded when asked for."""
        with self.file.shared():
            self.file.refresh()
            views = {name: self.file.view(name) for name in self.file.tables}
            self._known = {name: set(view.ids()) for name, view in views.items()}
        return {name: Documents(view) for name, view in views.items()} or None

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Make the tables those in `data`; only what differs from what was read is appended.

        What another process has inserted since the last `read` stays. Raises ValueError where it has taken an
        id that `data` gives to another document: nothing is written then.
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
    """The documents of a table under their ids as text, each decoded when it is asked for."""

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
        """The ids and documents of this moment, one after the other."""
        return ((str(id), document) for id, document in self._view.items())


class _Changes(MutableMapping[int, Any]):
    """A table while it is updated: documents are decoded when touched, and what becomes of them is noted."""

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
        """What is to be appended for all that."""
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
    """TinyDB's table on a `JournalStorage`: it reads and appends no more than what an operation is about.

    Ids are given under the lock: dense, unique, and never used again (until the table is truncated).
    """

    _storage: JournalStorage
    _seen = -1

    def ids(self) -> list[int]:
        """The ids of the documents, in order; no document is decoded."""
        return sorted(self._view().ids())

    def insert_with(
        self, make: Callable[[int], Mapping[str, Any]], *, sync: bool | None = None
    ) -> int:
        """Insert the document that `make` makes of its id; the id. Without `sync` a power cut may lose it."""
        return self.insert_all_with([make], sync=sync)[0]

    def put(self, id: int, document: Mapping[str, Any], *, sync: bool | None = None) -> None:
        """Write the document under its id, in place of the one that is there."""
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
        """Write what `make` makes of the document under that id (None for none), nobody else writing meanwhile."""
        with self._writing(sync):
            view = self._view()
            document = make(view.read(id) if id in view else None)
            self._storage.file.append([make_line(self.name, id, document)])

    def change_all(
        self, ids: Iterable[int], make: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        """Write what `make` makes of each of the documents, in one write. Raises KeyError."""
        with self._writing():
            view = self._view()
            lines = [make_line(self.name, id, make(view.read(id))) for id in ids]
            self._storage.file.append(lines)

    def insert_all_with(
        self, makes: Iterable[Callable[[int], Mapping[str, Any]]], *, sync: bool | None = None
    ) -> list[int]:
        """Insert what each of `makes` makes of its id, in one write: all of them or none. The ids."""
        with self._writing(sync):
            first = self._view().last_id + 1
            lines = [make_line(self.name, id, make(id)) for id, make in enumerate(makes, first)]
            self._storage.file.append(lines)
        return list(range(first, first + len(lines)))

    def move(self, ids: Iterable[int], *, to: str) -> None:
        """Give the documents to the table `to`, under the same ids, in one write. Raises KeyError."""
        with self._writing():
            view = self._view()
            lines = []
            for id in ids:
                lines.append(make_line(to, id, view.read(id)))
                lines.append(make_line(self.name, id, None))
            self._storage.file.append(lines)

    def insert(self, document: Mapping[str, Any]) -> int:
        """TinyDB's, with the id given under the lock."""
        return self.insert_multiple([document])[0]

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """TinyDB's, with the ids given under the lock, in one write."""
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
        """TinyDB's, with nobody else writing between the update and the insert."""
        with self._writing():
            return super().upsert(document, cond)

    def get(
        self,
        cond: QueryLike | None = None,
        doc_id: int | None = None,
        doc_ids: list[int] | None = None,
    ) -> Any:
        """TinyDB's; of several ids only those documents are decoded, and they come in the table's order."""
        if doc_ids is None or doc_id is not None:
            return super().get(cond, doc_id)  # type: ignore[arg-type]
        documents, wanted = self._read_table(), {str(id) for id in doc_ids}
        return [self.document_class(documents[id], int(id)) for id in documents if id in wanted]

    def search(self, cond: QueryLike) -> list[Document]:
        """TinyDB's; what a query gave before is forgotten when anybody has written."""
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
    """A TinyDB whose storage is a journal: ``Journal(path, sync=True)``."""

    table_class = JournalTable
    default_storage_class = JournalStorage  # type: ignore[assignment]

    storage: JournalStorage

    def table(self, name: str, **kwargs: Any) -> JournalTable:
        """TinyDB's, with its type."""
        table = super().table(name, **kwargs)
        assert isinstance(table, JournalTable)
        return table

    def compact(self, *, drop: Collection[bytes] = ()) -> int:
        """Rewrite the file without its history; the bytes saved. Damaged lines stay, but for those in `drop`."""
        return self.storage.file.compact(drop=drop)

    def compact_if_wasteful(self) -> int:
        """Compact when more than half of the file, and more than 1 MiB, is history; the bytes saved."""
        return self.compact() if self.storage.file.is_wasteful else 0

    def history_bytes(self) -> int:
        """What compacting would save."""
        return self.storage.file.history_bytes

    def current_lines(self, *, without: str | None = None) -> Iterator[bytes]:
        """The line of each document as it stands, those of a table `without` left out, and the damaged lines."""
        return self.storage.file.current_lines(without=without)

    def damage(self) -> list[Line]:
        """The damaged lines, each with its place, what is wrong, and whose it was where that can be read."""
        return self.storage.file.damage()

    def view(self, table: str) -> TableView:
        """The documents of the table as they are now, each decoded when it is read."""
        return self.storage.file.view(table)

    def raw_document(self, table: str, id: int) -> bytes:
        """The line of a document as it stands, readable or not; b"" where there is none of that id."""
        view = self.storage.file.view(table)
        return view.raw(id) if id in view else b""

    def is_superseded(self, line: Line) -> bool:
        """Whether a later line says what has become of the document that `line` is about."""
        return self.storage.file.is_superseded(line)

    def put_back(self, line: bytes, *, instead_of: bytes) -> bool:
        """Append a line that was put right, if that of the same document is still `instead_of`."""
        table, id = read_keys(line)
        with self.storage.file.writing(sync=True):
            if id is None or self.raw_document(table, id) != instead_of:
                return False
            self.storage.file.append([line])
        return True

    def raw(self, line: Line) -> bytes:
        """The bytes of a line that `damage` gave, to be kept before it is dropped."""
        return self.storage.file.raw(line)
