"""Export runs to a zip file, and import runs from a zip file or from another store.

An import is atomic: everything is staged, and every digest and record is verified, before the objects, the snapshots
and, in one write, the records become visible.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Protocol

import msgspec

from ...digest import Hasher, is_digest
from ...errors import (
    DamageError,
    ObjectNotFoundError,
    RunInUseError,
    SnapshotError,
    StoreNotFoundError,
    TransferError,
)
from ...records import Record
from ..format import store_folder
from ..objects.trees import TreeEntry, leads_out
from ..query.catalogue import RUNS
from ..references import Reference, kept_inputs, members, references
from ..store import TRASH, RunStore
from .archive import ArchiveReader, ArchiveWriter

_TREE = re.compile("[0-9a-f]{40}")
_CHUNK_BYTES = 1 << 20


class Exported(NamedTuple):
    """The result of an export: the numbers of the runs, the counts of objects and snapshots, and the file size."""

    runs: tuple[int, ...]
    objects: int
    snapshots: int
    size_bytes: int


class Imported(NamedTuple):
    """The result of an import: the new records, and the ids of runs already in the store or in its trash."""

    records: tuple[Record, ...]
    present: tuple[str, ...]
    in_trash: tuple[str, ...]


# Export


def export_runs(
    store: RunStore, records: Sequence[Record], file: Path, *, overwrite: bool = False
) -> Exported:
    """Write the runs, with everything that they refer to, to the zip file `file`.

    The file appears when it is complete. Raises FileExistsError unless `overwrite`, RunInUseError for a run in
    progress, TransferError if an object of a run is missing, DamageError if it is damaged.
    """
    if file.exists() and not overwrite:
        raise FileExistsError(17, "the file already exists", str(file))
    for record in records:
        _check_complete(store, record)
    objects, trees = _everything(store, records)
    fd, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    staged = Path(name)
    try:
        with os.fdopen(fd, "wb") as out:
            with contextlib.closing(ArchiveWriter(out)) as archive:
                _write(store, records, objects, trees, archive)
            out.flush()
            os.fsync(out.fileno())
        staged.chmod(0o644)
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)
    numbers = tuple(record.number for record in records)
    return Exported(numbers, len(objects), len(trees), file.stat().st_size)


def _check_complete(store: RunStore, record: Record) -> None:
    if record.status == "running":
        raise RunInUseError(f"run {record.number} is still running", number=record.number)
    if store.is_unfinished(record):
        raise TransferError(
            f"run {record.number} was killed and its record is incomplete; try: recorder check --repair"
        )


def _everything(store: RunStore, records: Iterable[Record]) -> tuple[list[str], list[str]]:
    """Return the digests of all objects, including those in folders, and the snapshots."""
    objects: set[str] = set()
    trees: set[str] = set()
    for record in records:
        for reference in references(record):
            if reference.kind == "snapshot":
                trees.add(reference.name)
                is_there = store.snapshots.has(reference.name)
            else:
                objects.add(reference.name)
                is_there = store.objects.has(reference.name)
            if not is_there:
                raise TransferError(
                    f"{reference.what} of run {record.number} is missing ({reference.name}); try: recorder check"
                )
            if reference.kind == "tree":
                entries = store.objects.read_tree(reference.name).entries
                objects.update(member.name for member in members(reference, entries))
        objects.update(r.name for r in kept_inputs(record) if store.objects.has(r.name))
    return sorted(objects), sorted(trees)


def _write(
    store: RunStore,
    records: Sequence[Record],
    objects: Iterable[str],
    trees: Sequence[str],
    archive: ArchiveWriter,
) -> None:
    archive.add_manifest(store=store.id, runs=len(records))
    archive.add_records(records)
    for digest in objects:
        hasher = Hasher()
        try:
            with store.objects.open(digest) as stream:
                for chunk in archive.add_object(digest, stream):
                    hasher.update(chunk)
        except ObjectNotFoundError as error:
            raise TransferError(f"{error}; try: recorder check") from error
        if hasher.digest() != digest:
            raise DamageError(
                f"the object {digest} is damaged; try: recorder check",
                path=store.objects.path(digest),
            )
    if trees:
        archive.add_code(store.snapshots.pack(trees))
    archive.close()


# Import


class RunSource(Protocol):
    """A source of runs: an archive, or another store."""

    @property
    def store_id(self) -> str:
        """The id of the store that the runs were exported from."""

    def records(self) -> list[Record]:
        """Return the records."""

    def has(self, digest: str) -> bool:
        """Return whether the source has the object."""

    def open(self, digest: str) -> IO[bytes]:
        """Open the object."""

    def pack(self, trees: Sequence[str]) -> IO[bytes] | None:
        """Open a git pack with at least these snapshots."""


class StoreSource:
    """The folder of another store as a source of runs."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.store_id = store.id
        self.has = store.objects.has
        self.open = store.objects.open

    def records(self) -> list[Record]:
        """Return the records of the runs that have ended."""
        return [
            r
            for r in self._store.runs()
            if r.status != "running" and not self._store.is_unfinished(r)
        ]

    def pack(self, trees: Sequence[str]) -> IO[bytes] | None:
        """Open a git pack with these snapshots."""
        return io.BytesIO(self._store.snapshots.pack(trees))


@contextlib.contextmanager
def open_source(path: Path, *, most_bytes: int | None = None) -> Iterator[RunSource]:
    """Open the archive or the store at `path`. Raises TransferError, StoreNotFoundError, StoreFormatError."""
    if path.is_dir():
        yield StoreSource(RunStore(store_folder(path)))
    elif not path.exists():
        raise StoreNotFoundError(f"no export and no store at {path}", path=path)
    else:
        with ArchiveReader(path, most_bytes=most_bytes) as archive:
            yield archive


def import_runs(
    store: RunStore, source: RunSource, *, say: Callable[[str], None] = lambda line: None
) -> Imported:
    """Import the runs of `source` that the store does not have.

    The runs keep their ids and get new numbers, in the order of the old ones. Raises TransferError, with nothing
    imported, if anything is missing, damaged or invalid.
    """
    there = {str(document["id"]) for document in store.journal.view(RUNS).documents()}
    trashed = {str(document["id"]) for document in store.journal.view(TRASH).documents()}
    records = sorted(source.records(), key=lambda record: record.number)
    new = [record for record in records if record.id not in there | trashed]
    for record in new:
        check_record(record)
    if not new:
        added: list[Record] = []
    else:
        say(f"importing {len(new)} runs")
        with _Import(store, source) as transfer:
            added = transfer.run(new)
    return Imported(
        tuple(added),
        present=tuple(record.id for record in records if record.id in there),
        in_trash=tuple(record.id for record in records if record.id in trashed),
    )


def check_record(record: Record) -> None:
    """Raise TransferError for a record with a path that leads out of its folder, or of a run that has not ended."""
    if record.status == "running":
        raise TransferError(f"run {record.number} was still running when it was exported")
    places = [item.path for item in record.inputs if item.in_root]
    places += [output.name for output in record.outputs]
    places += [record.function.file] if record.function.file is not None else []
    if record.process is not None:
        places += [*record.process.path_in_root, record.process.cwd_in_root or "."]
    for place in places:
        path = PurePosixPath(place)
        if path.is_absolute() or ".." in path.parts or "\0" in place:
            raise TransferError(
                f"run {record.number} has a path that leads out of its folder: {place!r}"
            )
    for reference in (*references(record), *kept_inputs(record)):
        if reference.kind == "snapshot" and not _TREE.fullmatch(reference.name):
            raise TransferError(f"run {record.number} has an invalid snapshot: {reference.name!r}")
        if reference.kind != "snapshot" and not is_digest(reference.name):
            raise TransferError(f"run {record.number} has an invalid digest: {reference.name!r}")


class _Import:
    """An import in progress: a staging folder that is removed at the end, and a reserved live folder."""

    def __init__(self, store: RunStore, source: RunSource) -> None:
        self._store = store
        self._source = source
        self._sizes: dict[str, int] = {}  # of the staged objects

    def __enter__(self) -> _Import:
        # Garbage collection keeps what is younger than a locked live folder.
        self._live = self._store.reserve()
        self._folder = self._store.path / "staging" / f"import-{self._live.id}"
        self._folder.mkdir()
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._live.close()

    def run(self, records: Sequence[Record]) -> list[Record]:
        for record in records:
            self._stage_objects(record)
        trees = sorted(
            {r.name for record in records for r in references(record) if r.kind == "snapshot"}
        )
        wanted = [tree for tree in trees if not self._store.snapshots.keep(tree)]
        pack = self._stage_code(wanted) if wanted else None
        for digest in sorted(self._sizes):
            self._store.objects.take_staged(self._folder / digest, digest, self._sizes[digest])
        if pack is not None:
            self._store.snapshots.take_pack(pack, wanted)
        return self._store.adopt(
            [msgspec.structs.replace(record, origin=self._origin(record)) for record in records]
        )

    def _origin(self, record: Record) -> str | None:
        origin = record.origin or self._source.store_id
        return None if origin == self._store.id else origin

    def _stage_objects(self, record: Record) -> None:
        for reference in references(record):
            if reference.kind == "snapshot":
                continue
            self._stage(record, reference)
            if reference.kind == "tree":
                self._stage_members(record, reference)
        for reference in kept_inputs(record):
            if self._source.has(reference.name):
                self._stage(record, reference)

    def _stage_members(self, record: Record, reference: Reference) -> None:
        entries = self._read_tree(record, reference)
        out = next(filter(leads_out, entries), None)
        if out is not None:
            raise TransferError(
                f"{reference.what} of run {record.number} contains a link that leads out of it:"
                f" {out.path!r}"
            )
        for member in members(reference, entries):
            self._stage(record, member)

    def _read_tree(self, record: Record, reference: Reference) -> tuple[TreeEntry, ...]:
        try:
            if reference.name in self._sizes:
                return self._store.objects.parse_tree((self._folder / reference.name).read_bytes())
            return self._store.objects.read_tree(reference.name).entries
        except ValueError as error:
            raise TransferError(
                f"{reference.what} of run {record.number} is not a tree: {error}"
            ) from error

    def _stage(self, record: Record, reference: Reference) -> None:
        """Copy the object to the staging folder, unless the store has it, and verify its digest and size."""
        digest, what = reference.name, f"{reference.what} of run {record.number}"
        if digest not in self._sizes and not self._store.objects.keep(digest):
            if not self._source.has(digest):
                raise TransferError(f"{what} is missing ({digest})")
            self._sizes[digest] = self._copy(digest, what)
        size = self._sizes.get(digest)
        if size is None:
            size = self._store.objects.size(digest)
        if reference.size_bytes is not None and reference.size_bytes != size:
            raise TransferError(
                f"{what} has {size} bytes, but its record states {reference.size_bytes}"
            )

    def _copy(self, digest: str, what: str) -> int:
        hasher, size = Hasher(), 0
        try:
            with self._source.open(digest) as stream, (self._folder / digest).open("xb") as file:
                while chunk := stream.read(_CHUNK_BYTES):
                    hasher.update(chunk)
                    size += file.write(chunk)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise TransferError(f"{what} cannot be read: {error}") from error
        if hasher.digest() != digest:
            raise TransferError(f"{what} does not match its digest ({digest})")
        return size

    def _stage_code(self, trees: Sequence[str]) -> Path:
        """Copy the pack to the staging folder, and have git verify it in a scratch repository."""
        stream = self._source.pack(trees)
        if stream is None:
            raise TransferError(f"the code snapshot {trees[0]} is missing")
        path = self._folder / "pack"
        try:
            with stream, path.open("xb") as file:
                shutil.copyfileobj(stream, file, _CHUNK_BYTES)
            self._store.snapshots.verify_pack(path, trees, scratch=self._folder / "code.git")
        except (SnapshotError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise TransferError(f"the code snapshots cannot be read: {error}") from error
        return path
