"""The store: open or make one, begin and finish runs in it, find and read them.

::

    .recorder/
      FORMAT        {"format": 1, "digest": "blake3", "store": "<id>"}
      .gitignore    *
      runs.jsonl    the journal of the records
      objects/      immutable bytes by digest
      code.git      the snapshots
      staging/ live/<id>/ workspaces/ envs/
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import DamageError, RunNotFoundError, StoreFormatError, StoreNotFoundError
from ..records import FORMAT, JSON, Content, Record, new_id
from .address import Entry, resolve
from .disk import sync_folder, write_durably
from .journal import Journal, JournalTable
from .live import Live, is_alive
from .names import KnownOutputs
from .objects import Objects
from .snapshots import Snapshots

FOLDER = ".recorder"
VARIABLE = "RECORDER_STORE"
# Content up to this size lives in the record's own line; a synced object costs a file and two syncs.
INLINE_BYTES = 4096
_FOLDERS = ("objects", "staging", "live")
# Everything that may stand in a store's folder.
NAMES = (
    *_FOLDERS, "FORMAT", ".gitignore", "runs.jsonl", "runs.jsonl.lock", "outputs", "objects.gate", "code.git",
    "code.gate", "workspaces", "envs", "lost+found",
)  # fmt: skip


def find_store(start: Path | None = None) -> Path:
    """The store's folder: what RECORDER_STORE names, else the first one from `start` upwards.

    `start` is the working directory by default. Raises StoreNotFoundError.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return store_folder(Path(named))
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / FOLDER / "FORMAT").is_file():
            return folder / FOLDER
    raise StoreNotFoundError(
        f"no store in {start} or above it: record a run first, or name one with --store"
        f" or {VARIABLE}",
        path=start,
    )


def store_folder(path: Path) -> Path:
    """The store's own folder for a path that a person gave: it, or the `.recorder` inside it."""
    path = path.expanduser().absolute()
    inside = path / FOLDER
    if (inside / "FORMAT").is_file() and not (path / "FORMAT").is_file():
        return inside
    return path


class Store:
    """The store in the folder `path`, or the one found from the working directory upwards.

    Raises StoreNotFoundError where there is none (unless `create`), StoreFormatError where the folder is
    something else or a store of a newer format.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, create: bool = False) -> None:
        self.path = find_store() if path is None else store_folder(Path(path))
        if create:
            _create(self.path)
        self.id = _read_format(self.path)["store"]
        self.objects = Objects(self.path / "objects", staging=self.path / "staging")
        self.snapshots = Snapshots(self.path / "code.git")
        self.known_outputs = KnownOutputs(self.path / "outputs")

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.runs())

    @functools.cached_property
    def journal(self) -> Journal:
        """The TinyDB database of the records; its table "runs" has them under their numbers."""
        return Journal(self.path / "runs.jsonl")

    @property
    def _table(self) -> JournalTable:
        return self.journal.table("runs")

    # Runs in progress

    def reserve(self) -> Live:
        """The live folder, its lock held, of a run that is about to begin.

        It comes before anything else that the run puts into the store: what is put while a run is in progress
        is not collected, and nobody takes the run for a lost one.
        """
        live = Live(self.path / "live" / new_id())
        live.begin()
        return live

    def begin(self, record: Record) -> Record:
        """Give the record its number, and write it as running; its live folder was reserved."""
        number = self._table.insert_with(
            lambda number: _document(record, number=number), sync=False
        )
        return msgspec.structs.replace(record, number=number)

    def finish(self, record: Record) -> None:
        """Write the record, durably: everything that it names is in the store by now.

        Tags and a note that were set since it began stay.
        """

        def finished(begun: Mapping[str, JSON] | None) -> dict[str, JSON]:
            said = {key: begun[key] for key in ("tags", "note") if key in begun} if begun else {}
            return {**record.to_document(), **said}

        self._table.change(record.number, finished, sync=True)

    def keep(self, data: bytes) -> Content:
        """Content for a record: inline where it is small text, else an object."""
        if len(data) <= INLINE_BYTES:
            text = _utf8(data)
            if text is not None:
                from ..digest import digest_bytes

                return Content(digest=digest_bytes(data), size_bytes=len(data), text=text)
        return Content(digest=self.objects.put_bytes(data), size_bytes=len(data))

    def keep_file(self, path: Path) -> Content | None:
        """The same for a file that nobody will write to any more; None where it is empty or missing."""
        size = path.stat().st_size if path.exists() else 0
        if size == 0:
            return None
        if size <= INLINE_BYTES:
            return self.keep(path.read_bytes())
        digest, size = self.objects.put_file(path)
        return Content(digest=digest, size_bytes=size)

    def read_content(self, content: Content | None) -> bytes:
        """The bytes of a record's content, none for None."""
        if content is None:
            return b""
        return content.text.encode() if content.text is not None else self.read(content.digest)

    # Reading

    def read(self, digest: str) -> bytes:
        """The bytes of an object; raises ObjectNotFoundError."""
        return self.objects.read(digest)

    def runs(self) -> list[Record]:
        """Every record, in the order of their numbers."""
        return [self._record(document) for document in self._documents()]

    def get(self, number: int) -> Record:
        """The record of that number; raises RunNotFoundError."""
        document = self._table.get(doc_id=number)
        if document is None:
            raise self._no_run(number)
        return self._record(document)

    def _no_run(self, number: int) -> RunNotFoundError:
        return RunNotFoundError(f"no run {number} in {self.path}", ref=str(number))

    def find(self, ref: str | int) -> Record:
        """The record that `ref` names: see `recorder.store.address`. Raises RunNotFoundError."""
        ref = str(ref).strip()
        if ref.isdecimal() and self._table.contains(doc_id=int(ref)):
            return self.get(int(ref))
        return self.get(resolve(ref, entries=self._entries))

    def find_id(self, id: str) -> Record | None:
        """The record of the run with exactly this global id, None where this store has none."""
        for document in self._documents():
            if document.get("id") == id:
                return self._record(document)
        return None

    def annotate(self, number: int, **changes: Any) -> Record:
        """Set what may be set after a run: `tags`, `note`, `verdict`. The new record."""
        refused = set(changes) - {"tags", "note", "verdict"}
        if refused:
            raise TypeError(f"a record is frozen but for tags, note and verdict: {sorted(refused)}")

        def annotated(document: Mapping[str, JSON] | None) -> dict[str, JSON]:
            if document is None:
                raise self._no_run(number)
            return {**document, **msgspec.to_builtins(changes)}

        self._table.change(number, annotated, sync=True)
        return self.get(number)

    def _documents(self) -> Iterator[Mapping[str, JSON]]:
        return iter(sorted(self._table, key=lambda document: document.doc_id))

    def _entries(self) -> list[Entry]:
        return [
            Entry(d["number"], d["id"], d["experiment"], tuple(d.get("tags", ())))
            for d in self._documents()
        ]

    def _record(self, document: Mapping[str, JSON]) -> Record:
        try:
            record = Record.from_document(document)
        except msgspec.ValidationError as error:
            number = document.get("number", "?")
            raise DamageError(
                f"the record of run {number} is not one that this version can read: {error}",
                path=self.path / "runs.jsonl",
            ) from error
        if record.status == "running" and not is_alive(self.path / "live" / record.id):
            return self._reread_or_lost(record)
        return record

    def _reread_or_lost(self, record: Record) -> Record:
        # The run may have finished between the reading of its line and the look at its lock.
        document = self._table.get(doc_id=record.number)
        if document is not None:
            fresh = Record.from_document(document)
            if fresh.status != "running":
                return fresh
        return msgspec.structs.replace(record, status="lost")


def _document(record: Record, *, number: int) -> dict[str, JSON]:
    return msgspec.structs.replace(record, number=number).to_document()


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _create(path: Path) -> None:
    """Make the store's folder, however many processes do so at this moment."""
    if (path / "FORMAT").exists():
        return
    # Looked at before FORMAT is looked at again: another process may finish the store between the two looks.
    foreign = path.exists() and not _is_half_made(path)
    if (path / "FORMAT").exists():
        return
    if foreign:
        raise StoreFormatError(
            f"{path} holds something else: a store wants a folder of its own", path=path
        )
    made = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        (path / name).mkdir(exist_ok=True)
    (path / ".gitignore").write_text("*\n")
    text = json.dumps({"format": FORMAT, "digest": "blake3", "store": new_id()}) + "\n"
    # FORMAT comes last and whole: it is what makes the folder a store. The first maker's id stays.
    staged = path / "staging" / f"FORMAT.{new_id()}"
    write_durably(staged, text.encode())
    _place_format(staged, path / "FORMAT")
    # Before any run is: a folder with runs in it and without FORMAT is no store.
    for folder in (path, path.parent, *(folder.parent for folder in made)):
        sync_folder(folder)


def _place_format(staged: Path, final: Path) -> None:
    try:
        os.link(staged, final)
    except FileExistsError:
        pass
    except OSError:  # a filesystem without hard links
        if not final.exists():
            staged.replace(final)
    staged.unlink(missing_ok=True)


def _is_half_made(path: Path) -> bool:
    known = {*_FOLDERS, ".gitignore"}
    return all(entry.name in known for entry in path.iterdir())


def _read_format(path: Path) -> dict[str, Any]:
    file = path / "FORMAT"
    if not file.is_file():
        raise StoreNotFoundError(f"no store at {path}", path=path)
    try:
        said = json.loads(file.read_text())
        number = int(said["format"])
        str(said["store"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreFormatError(f"{file} is not a store's: {error}", path=path) from error
    if number > FORMAT:
        raise StoreFormatError(
            f"the store {path} has format {number}, this version of recorder reads up to {FORMAT}:"
            " upgrade with `pip install -U run-recorder`",
            path=path,
            format=number,
        )
    result: dict[str, Any] = said
    return result
