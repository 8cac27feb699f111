"""Check the objects: the content of each, and that all objects that the runs refer to exist."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ....digest import digest_file, is_digest
from ....errors import DamageError, ObjectNotFoundError
from ....records import Record
from ...filesystem.disk import is_regular
from ...references import Reference, kept_inputs, objects_of, references
from ...store import RunStore
from ..gc import unexplained_objects
from .finding import Finding, StaleFindingError, Unplaced

_OWN_MODE = 0o444


class Holder(NamedTuple):
    """A run that refers to an object, and the role of the object."""

    record: Record
    what: str


class Wanted:
    """The objects that the runs refer to, and the places where other copies may be."""

    def __init__(self, store: RunStore, records: Iterable[Record], unplaced: Unplaced) -> None:
        self._store = store
        self._unplaced = unplaced
        self.holders: dict[str, list[Holder]] = {}
        for record in records:
            inputs = (r for r in kept_inputs(record) if not self._is_in_snapshot(record, r))
            for reference in objects_of((*references(record), *inputs), store.objects):
                holder = Holder(record, reference.what)
                self.holders.setdefault(reference.name, []).append(holder)

    def _is_in_snapshot(self, record: Record, reference: Reference) -> bool:
        if self._store.objects.has(reference.name) or record.code is None:
            return False
        snapshot = record.code.snapshot
        paths = {item.path for item in record.inputs if item.digest == reference.name}
        # A snapshot that cannot be read is a separate finding.
        return snapshot is not None and any(
            self._store.snapshots.may_hold(snapshot, path) for path in paths
        )

    def runs(self, digest: str) -> tuple[int, ...]:
        """Return the numbers of the runs that refer to the object."""
        return tuple(sorted({holder.record.number for holder in self.holders.get(digest, ())}))

    def what(self, digest: str) -> str:
        """Describe the references to the object."""
        holders = self.holders.get(digest, [])
        if not holders:
            return "no run refers to it"
        first = holders[0]
        more = f", and {len(holders) - 1} more" if len(holders) > 1 else ""
        return f"{first.what} of run {first.record.number}{more}"

    def find_again(self, digest: str) -> Path | None:
        """Return a file elsewhere with the content of the object, None if there is none."""
        return next((path for path in self._places(digest) if _is(path, digest)), None)

    def _places(self, digest: str) -> Iterator[Path]:
        for holder in self.holders.get(digest, ()):
            yield from _own_places(holder.record, digest)
        staging = self._store.path / "staging"
        yield from sorted(staging.iterdir()) if staging.is_dir() else ()
        yield from self._unplaced.files()


def _own_places(record: Record, digest: str) -> Iterator[Path]:
    """Yield the paths at which the run had the file."""
    root = Path(record.code.root) if record.code is not None else None
    folders = [Path(record.process.cwd)] if record.process is not None else []
    folders += [root] if root is not None else []
    for output in record.outputs:
        if output.digest == digest and output.path is not None:
            yield from (folder / output.path for folder in folders)
    for item in record.inputs:
        if item.digest == digest:
            yield from (folder / item.path for folder in folders)


def _is(path: Path, digest: str) -> bool:
    try:
        return is_regular(path) and digest_file(path) == digest
    except OSError:
        return False


def check_objects(store: RunStore, wanted: Wanted, unplaced: Unplaced) -> Iterator[Finding]:
    """Check the content and the mode of each object."""
    objects = store.objects
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # BLAKE3 releases the GIL
        for digest, state in _verified(pool, store):
            if isinstance(state, OSError):
                yield _unreadable(store, digest, wanted, state)
            elif not state:
                yield _damaged(store, digest, wanted, unplaced)
            elif os.name != "nt" and _is_writable(objects.path(digest)):
                yield _writable(store, digest)
    yield from (_foreign(store, path, unplaced) for path in objects.foreign())


def _verified(pool: ThreadPoolExecutor, store: RunStore) -> Iterator[tuple[str, bool | OSError]]:
    digests = list(store.objects)

    def verify(digest: str) -> bool | OSError:
        try:
            return store.objects.verify(digest)
        except ObjectNotFoundError:
            return True  # collected meanwhile; a missing object is a separate finding
        except OSError as error:
            return error

    return zip(digests, pool.map(verify, digests, chunksize=1), strict=True)


def _damaged(store: RunStore, digest: str, wanted: Wanted, unplaced: Unplaced) -> Finding:
    path, copy = store.objects.path(digest), wanted.find_again(digest)

    def mend() -> str:
        # Verified again: it may have been read while the disk failed, or been repaired since.
        if store.objects.verify(digest):
            raise StaleFindingError(_place(store, path))
        kept = unplaced.move(path, name=digest)
        return f"moved to lost+found/{kept.name}{_put_again(store, digest, copy)}"

    return Finding(
        kind="damaged object",
        place=_place(store, path),
        what=f"the content of an object does not match its digest ({wanted.what(digest)})",
        runs=wanted.runs(digest),
        repair="moves it to lost+found" + (f", and restores it from {copy}" if copy else ""),
        mend=mend,
    )


def _unreadable(store: RunStore, digest: str, wanted: Wanted, error: OSError) -> Finding:
    # Not moved: the error may be temporary, and the bytes intact.
    return Finding(
        kind="unreadable object",
        place=_place(store, store.objects.path(digest)),
        what=f"the disk cannot read an object: {error.strerror} ({wanted.what(digest)})",
        runs=wanted.runs(digest),
    )


def _put_again(store: RunStore, digest: str, copy: Path | None) -> str:
    if copy is None:
        return ""
    put, _ = store.objects.put_file(copy)
    return f"; restored from {copy}" if put == digest else f"; {copy} has changed meanwhile"


def _is_writable(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & 0o222)
    except FileNotFoundError:  # collected meanwhile
        return False


def _writable(store: RunStore, digest: str) -> Finding:
    path = store.objects.path(digest)

    def mend() -> str:
        path.chmod(_OWN_MODE)
        return "made read-only"

    return Finding(
        kind="writable object",
        place=_place(store, path),
        what="an object is writable",
        repair="makes it read-only",
        is_damage=False,
        mend=mend,
    )


def _foreign(store: RunStore, path: Path, unplaced: Unplaced) -> Finding:
    def mend() -> str:
        return f"moved to lost+found/{unplaced.move(path, name=path.name).name}"

    return Finding(
        kind="foreign file",
        place=_place(store, path),
        what="it is not an object",
        repair="moves it to lost+found",
        mend=mend,
    )


def check_references(store: RunStore, wanted: Wanted) -> Iterator[Finding]:
    """Check that the objects exist that runs refer to."""
    for digest in sorted(wanted.holders):
        if not store.objects.has(digest):
            yield _missing(store, digest, wanted)


def check_unmentioned(store: RunStore) -> Iterator[Finding]:
    """Check that the journal has mentioned most of the objects: else it is not the journal of this store."""
    try:
        what = unexplained_objects(store)
    except (DamageError, OSError):
        return  # damaged objects are findings of `check_objects`
    if what:
        yield Finding(kind="lost lines", place="runs.jsonl, objects", what=what)


def _missing(store: RunStore, digest: str, wanted: Wanted) -> Finding:
    copy = wanted.find_again(digest) if is_digest(digest) else None

    def mend() -> str:
        return _put_again(store, digest, copy).removeprefix("; ")

    return Finding(
        kind="missing object",
        place=_place(store, store.objects.path(digest)) if is_digest(digest) else digest,
        what=f"an object is missing: {wanted.what(digest)}",
        runs=wanted.runs(digest),
        repair=f"restores it from {copy}" if copy else "",
        mend=mend if copy else None,
    )


def _place(store: RunStore, path: Path) -> str:
    return path.relative_to(store.path).as_posix()
