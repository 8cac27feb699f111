"""The store: open or create it, begin, finish, annotate and remove runs. `Catalogue` finds and reads them.

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

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..digest import digest_bytes
from ..errors import RunInUseError, RunNotFoundError
from ..records import JSON, Record, StoredBytes, new_id
from .filesystem.disk import is_regular, read_regular
from .format import create_store, find_store, read_format, refuse_links, store_folder
from .known_outputs import KnownOutputs
from .live.live import Live
from .objects.objects import Objects
from .query.catalogue import RUNS, Catalogue
from .query.refs import check_tag
from .signature import sign, signer, standing
from .snapshots import Snapshots

# The journal's table of removed runs.
TRASH = "trash"
# Content up to this size is stored in the record; an object costs a file and two syncs.
INLINE_BYTES = 4096


class RunStore(Catalogue):
    """The store in the folder `path`, or the first one from the working directory upwards.

    Raises StoreNotFoundError if there is none (unless `create`), StoreFormatError if the folder contains other files,
    one of its entries is a symbolic link, or the store has a newer format.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, create: bool = False) -> None:
        super().__init__(find_store() if path is None else store_folder(Path(path)))
        if create:
            create_store(self.path)
        refuse_links(self.path)
        self.id = read_format(self.path)["store"]
        self.objects = Objects(self.path / "objects", staging=self.path / "staging")
        self.snapshots = Snapshots(self.path / "code.git")
        self.known_outputs = KnownOutputs(self.path / "outputs")

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[RunStore], tuple[Path]]:
        return RunStore, (self.path,)  # another process opens it

    # Runs in progress

    def reserve(self) -> Live:
        """Create and lock the live folder of a run that is about to begin.

        Call it before the run puts anything into the store: garbage collection keeps what is put while a run is in
        progress, and the lock keeps the run from being taken for lost.
        """
        live = Live(self.path / "live" / new_id())
        live.begin()
        return live

    def begin(self, record: Record) -> Record:
        """Assign a number to the record and write it as running; its live folder must be reserved."""
        number = self._table.insert_with(
            lambda number: sign(_renumbered(record, number)), sync=False
        )
        return msgspec.structs.replace(record, number=number)

    def finish(self, record: Record) -> None:
        """Write the record durably; everything that it refers to must be in the store.

        Tags and a note that were set since the run began are kept.
        """

        def finished(begun: Mapping[str, JSON] | None) -> dict[str, JSON]:
            begun = begun or {}
            document = record.to_document()
            tags = begun.get("tags", document["tags"])
            return sign({**document, "tags": tags, "note": begun.get("note") or record.note})

        self._table.change(record.number, finished, sync=True)
        self._tidy()

    def finish_lost(self, record: Record) -> bool:
        """Write the record of a killed run durably, unless the run has finished meanwhile; return whether it did so.

        The caller holds the lock of the run's live folder, so that only another repair can write the record. Raises
        DamageError if a line of the journal is damaged, since it may be the final record of the run.
        """
        with self.journal.storage.file.writing(sync=True):
            self.journal.verify()
            if not self.is_unfinished(record):
                return False
            self.finish(record)
        return True

    def keep(self, data: bytes) -> StoredBytes:
        """Store content for a record: small text inline, anything else as an object."""
        if len(data) <= INLINE_BYTES:
            text = _utf8(data)
            if text is not None:
                return StoredBytes(digest=digest_bytes(data), size_bytes=len(data), text=text)
        return StoredBytes(digest=self.objects.put_bytes(data), size_bytes=len(data))

    def keep_file(self, path: Path) -> StoredBytes | None:
        """Store a file that nobody writes to any more; return None if it is empty or missing."""
        # Not a link: in a store from somebody else it could lead to any file of this user.
        size = path.stat().st_size if is_regular(path) else 0
        if size == 0:
            return None
        if size <= INLINE_BYTES:
            return self.keep(read_regular(path))
        digest, size = self.objects.put_file(path)
        return StoredBytes(digest=digest, size_bytes=size)

    def read_content(self, content: StoredBytes | None) -> bytes:
        """Return the bytes of content of a record, b"" for None. Raises ObjectNotFoundError, DamageError."""
        if content is None:
            return b""
        return content.text.encode() if content.text is not None else self.read(content.digest)

    # Reading

    def read(self, digest: str) -> bytes:
        """Return the bytes of an object. Raises ObjectNotFoundError, DamageError."""
        return self.objects.read(digest)

    def adopt(self, records: Iterable[Record]) -> list[Record]:
        """Write records of another store durably under new numbers, all or none, keeping their signatures.

        Everything that they refer to must be in the store.
        """
        makes = [functools.partial(_renumbered, record) for record in records]
        return [self.get(number) for number in self._table.insert_all_with(makes, sync=True)]

    def trust(self, record: Record) -> list[int]:
        """Sign the run, and all runs of the same origin and signer, as this user's; return their numbers.

        From then on, their code is executed and their pickles are loaded without asking, which can do anything that
        their author wanted. A record that was changed after it was signed is trusted alone.
        """
        kind = standing(record)
        same = [
            other.number
            for other in (self.runs() if kind in ("foreign", "unsigned") else [record])
            if standing(other) == kind
            and (other.origin, signer(other)) == (record.origin, signer(record))
        ]
        self._table.change_all(same, lambda document: sign(document))
        return same

    # Removing

    def remove(self, numbers: Iterable[int]) -> list[Record]:
        """Move the runs to the trash and return their records.

        Their numbers are never reused; everything that they refer to stays until the next garbage collection (see
        `recorder.store.maintenance.gc`). Raises RunNotFoundError, or RunInUseError for a run in progress.
        """
        records = [self.get(number) for number in dict.fromkeys(numbers)]
        for record in records:
            if record.status == "running":
                raise RunInUseError(f"run {record.number} is still running", number=record.number)
        self._table.move([record.number for record in records], to=TRASH)
        return records

    def restore(self, numbers: Iterable[int] | None = None) -> list[Record]:
        """Restore runs from the trash, by default all; return their records. Raises RunNotFoundError."""
        trash = self.journal.table(TRASH)
        wanted = (
            sorted(d.doc_id for d in trash) if numbers is None else list(dict.fromkeys(numbers))
        )
        for number in wanted:
            if not trash.contains(doc_id=number):
                raise RunNotFoundError(f"no run {number} in the trash", ref=str(number))
        trash.move(wanted, to=RUNS)
        return [self.get(number) for number in wanted]

    def find(self, ref: str | int) -> Record:
        """Return the record that `ref` names, see `recorder.store.query.refs`.

        Raises RunNotFoundError, for a run in the trash with the command that takes it out.
        """
        try:
            return super().find(ref)
        except RunNotFoundError as error:
            name = str(ref).strip()
            for number in self._in_trash(name):
                message = (
                    f"run {number} is in the trash; to take it out: recorder remove --undo {number}"
                )
                raise RunNotFoundError(message, ref=error.ref) from None
            raise

    def _in_trash(self, name: str) -> Iterator[int]:
        """Yield the number of a run in the trash that has this number or id."""
        for document in self.journal.table(TRASH):
            if name == str(document.doc_id) or name == document.get("id"):
                yield document.doc_id

    def trash(self) -> list[Record]:
        """Return the records of the runs in the trash."""
        documents = sorted(self.journal.table(TRASH), key=lambda document: document.doc_id)
        return [self._record(document) for document in documents]

    def annotate(self, number: int, **changes: Any) -> Record:
        """Set the `tags`, `note` or `verdict` of a run; return the new record. Raises RunNotFoundError."""
        refused = set(changes) - {"tags", "note", "verdict"}
        if refused:
            raise TypeError(
                f"a record is frozen except for tags, note and verdict: {sorted(refused)}"
            )
        self._rewrite([number], lambda document: changes)
        return self.get(number)

    def retag(
        self, numbers: Iterable[int], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[Record]:
        """Add tags to the runs and remove others, in one write; return the new records.

        Concurrent changes of the same tags do not undo each other. Raises RunNotFoundError, TagError.
        """
        added, removed = list(add), set(remove)
        for tag in added:
            check_tag(tag)

        def tags(document: Mapping[str, JSON]) -> Mapping[str, JSON]:
            kept = [tag for tag in document.get("tags", ()) if tag not in removed]
            return {"tags": list(dict.fromkeys([*kept, *added]))}

        numbers = list(dict.fromkeys(numbers))
        self._rewrite(numbers, tags)
        return [self.get(number) for number in numbers]

    def _rewrite(
        self,
        numbers: Iterable[int],
        changes: Callable[[Mapping[str, JSON]], Mapping[str, Any]],
    ) -> None:
        """Rewrite each run with the fields that `changes` returns for its document, in one write under the lock."""

        def changed(document: Mapping[str, JSON]) -> dict[str, JSON]:
            new = {**document, **msgspec.to_builtins(changes(document))}
            # Annotating a foreign record must not sign it.
            return sign(new) if standing(Record.from_document(document)) == "own" else new

        try:
            self._table.change_all(numbers, changed)
        except KeyError as error:
            raise self._no_run(error.args[0]) from None
        self._tidy()

    def _tidy(self) -> None:
        """Compact the journal if most of it is history; on a full disk it stays unchanged."""
        with contextlib.suppress(OSError):
            self.journal.compact_if_wasteful()


def _renumbered(record: Record, number: int) -> dict[str, JSON]:
    return msgspec.structs.replace(record, number=number).to_document()


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
