"""Garbage collection: remove what no run refers to, while other processes go on recording.

An object or a snapshot may be deleted if no document in the journal mentions it, and it is older than every run in
progress. A run in progress relies on objects that it has put, or found in the store, before its record refers to them;
putting an object that exists sets its ctime to now (see `recorder.store.objects.publish.touch`). Both that and the
deletion hold a gate, so that no object is deleted between the test for it and the reliance on it.

The journal decides what is deleted, so a damaged journal must decide nothing: garbage collection refuses to run while
the document of any line cannot be read, and asks for confirmation if the journal has lost lines, or if more than half
of the objects would be deleted that no line of the journal, not even a superseded one, has ever mentioned.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ...digest import is_digest
from ...errors import DamageError, RecorderError
from ...records import new_id
from ..filesystem.disk import is_regular, read_regular, remove_all
from ..filesystem.folder_lock import FolderLock, remove_folder
from ..format import NAMES, STAGED
from ..live.live import Live, is_alive
from ..live.recovery import noted_outputs
from ..query.catalogue import RUNS
from ..references import TREE_HEAD, mentioned_objects, mentioned_snapshots, references
from ..store import TRASH, RunStore

_BATCH = 256  # objects deleted while the gate is held, about 5 ms

Kind = Literal[
    "run in the trash", "object", "snapshot", "staged file", "live folder", "workspace", "interrupted replays",
    "environment", "journal",
]  # fmt: skip


class UnexplainedError(RecorderError, RuntimeError):
    """The journal does not explain most of what garbage collection would delete, so it must be confirmed."""


class Freed(NamedTuple):
    """The number of items of one kind that were or would be freed, and their size on disk (of snapshots estimated)."""

    kind: Kind
    items: int
    size_bytes: int


def collect(store: RunStore, *, dry_run: bool = False, confirmed: bool = False) -> list[Freed]:
    """Remove everything that no run refers to, and the trash; return what was freed, by kind.

    `dry_run` removes nothing. Other processes may record meanwhile: what a run in progress needs stays. ``lost+found``
    is never touched. Raises OSError if the store cannot be written; DamageError, with nothing removed, if a line of
    the journal is damaged; UnexplainedError, with nothing removed, if the journal has lost lines or most objects were
    never mentioned in it, unless `confirmed`.
    """
    freed = list(_Collection(store, dry_run).run(confirmed=confirmed))
    return [one for one in freed if one.items or one.size_bytes]


def unexplained_objects(store: RunStore) -> str:
    """Describe the objects that the journal never mentioned if they are more than half of all, else return "".

    Objects that a run in progress may rely on do not count. Raises DamageError if a folder's list is damaged.
    """
    return _Collection(store, dry_run=True).unexplained()


class _Collection:
    """A garbage collection; `_before` is the time, in ns, from which on objects are kept."""

    def __init__(self, store: RunStore, dry_run: bool) -> None:
        self._store = store
        self._dry = dry_run
        self._before = sys.maxsize
        self._alive = self._live_folders()
        self._folders: set[str] = set()

    def run(self, *, confirmed: bool) -> Iterator[Freed]:
        self._refuse_damage()
        # Order matters: first the time, then the runs in progress, then the journal. A run that begins after the live
        # folders are read puts nothing older than `before`; one that ends after that is in the journal, or counted.
        self._before = self._now()
        self._alive = self._live_folders()
        records = [*self._store.runs(), *self._store.trash()]
        self._folders = {o.digest for r in records for o in r.outputs if o.kind == "folder"}
        if not confirmed:
            self._refuse_unexplained()
        elif not self._dry and self._store.journal.lost_lines():
            self._store.journal.accept_loss()
        trashed = {record.id for record in self._store.trash()}
        yield self._trash(len(trashed))
        yield self._journal()
        mentions = b"".join(self._mentions(trashed))
        yield self._objects(mentions)
        yield self._snapshots(mentions)
        yield self._live(trashed)
        yield self._staged()
        yield self._cache("live folder", "spare")
        yield self._cache("workspace", "workspaces")
        yield self._cache("interrupted replays", "replays")
        yield self._cache("environment", "envs")

    def _refuse_damage(self) -> None:
        try:
            self._store.journal.verify()
        except DamageError as error:
            raise DamageError(
                f"{error}; it may refer to any object, so nothing was removed; try: recorder check"
                " --repair",
                path=error.path,
                offset=error.offset,
            ) from error
        foreign = self._store.snapshots.repository.irregular()
        if foreign:
            raise DamageError(
                f"{foreign[0]} is neither a file nor a folder, so nothing was removed; try:"
                " recorder check --repair",
                path=foreign[0],
            )

    def _refuse_unexplained(self) -> None:
        """Raise UnexplainedError if the journal is not the one that the objects belong to."""
        if lost := self._store.journal.lost_lines():
            raise UnexplainedError(f"{lost}; restore it from a backup, or confirm with --yes")
        if unexplained := self.unexplained():
            raise UnexplainedError(
                f"{unexplained}; restore it from a backup, or confirm with --yes"
            )

    def unexplained(self) -> str:
        """Describe the objects that no line has ever mentioned if they are more than half of all, else return ""."""
        objects = self._store.objects
        digests = list(objects)
        if not digests:
            return ""
        mentions = b"".join((*self._store.journal.all_bytes(), *self._notes()))
        explained = self._with_members(mentions)
        count = sum(
            digest not in explained and self._is_old(objects.path(digest)) for digest in digests
        )
        if 2 * count <= len(digests):
            return ""
        return (
            f"{count} of {len(digests)} objects were never mentioned in"
            f" {self._store.journal.storage.path}, which may have lost lines"
        )

    def _is_old(self, path: Path) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return path.lstat().st_ctime_ns < self._before
        return False

    def _now(self) -> int:
        """Return the time by the clock of the store's filesystem, in ns: a network share has another clock."""
        path = self._store.path / "staging" / new_id()
        path.touch()
        try:
            return path.stat().st_ctime_ns
        finally:
            path.unlink()

    def _live_folders(self) -> set[Path]:
        found = set()
        for path in _entries(self._store.path / "live"):
            if is_alive(path):
                found.add(path)
                born = _born_ns(path)
                self._before = self._before if born is None else min(self._before, born)
        return found

    def _trash(self, count: int) -> Freed:
        if count and not self._dry:
            self._store.journal.table(TRASH).truncate()
        return Freed("run in the trash", count, 0)

    def _journal(self) -> Freed:
        journal = self._store.journal
        saved = journal.history_bytes() if self._dry else journal.compact()
        return Freed("journal", 0, max(saved, 0))

    def _mentions(self, trashed: set[str]) -> Iterator[bytes]:
        """Yield everything that may refer to an object: the journal's lines, and the notes of `_notes`."""
        yield from self._store.journal.current_lines(without=TRASH if self._dry else None)
        yield from self._notes(trashed)

    def _notes(self, trashed: Collection[str] = ()) -> Iterator[bytes]:
        """Yield the saved outputs of lost runs, and the damaged lines and records in ``lost+found``."""
        for path in _entries(self._store.path / "live"):
            live = Live(path)
            if path.name not in trashed and live.is_there():
                yield from (f'"{output.digest}"\n'.encode() for output in noted_outputs(live))
        for path in _entries(self._store.path / "lost+found"):
            if path.name.startswith(("runs.jsonl-", "run-")) and is_regular(path):
                yield read_regular(path) + b"\n"

    # Objects

    def _objects(self, mentions: bytes) -> Freed:
        objects = self._store.objects
        wanted = self._with_members(mentions)
        unwanted = [digest for digest in objects if digest not in wanted]
        count = size = 0
        for start in range(0, len(unwanted), _BATCH):
            with objects.gate.alone():
                for digest in unwanted[start : start + _BATCH]:
                    freed = self._delete(objects.path(digest))
                    count, size = count + (freed is not None), size + (freed or 0)
        return Freed("object", count, size)

    def _with_members(self, mentions: bytes) -> set[str]:
        """Return the mentioned objects, and those in mentioned folders."""
        wanted = mentioned_objects(mentions)
        for digest in list(wanted):
            wanted |= self._members(digest)
        return wanted

    def _members(self, digest: str) -> set[str]:
        """Return the objects in a folder. Raises DamageError if its list is damaged, which may lack some of them."""
        objects = self._store.objects
        if not is_digest(digest) or not objects.has(digest):
            return set()
        with objects.open(digest) as file:
            if file.read(len(TREE_HEAD)) != TREE_HEAD and digest not in self._folders:
                return set()
        return mentioned_objects(objects.read(digest))

    def _delete(self, path: Path) -> int | None:
        """Delete the file if it is old enough; return its size on disk, None if it stays."""
        try:
            status = path.lstat()
        except FileNotFoundError:
            return None
        if status.st_ctime_ns >= self._before:
            return None
        if not self._dry:
            path.unlink()
        return _on_disk(status)

    # The rest

    def _snapshots(self, mentions: bytes) -> Freed:
        snapshots, wanted = self._store.snapshots, mentioned_snapshots(mentions)
        if not snapshots.git_dir.exists():
            return Freed("snapshot", 0, 0)
        needed = {
            reference.name
            for record in self._store.runs()
            for reference in references(record)
            if reference.kind == "snapshot"
        }
        with snapshots.gate.alone():
            if not self._dry:
                snapshots.restore_refs(needed)
            old = [
                tree
                for tree, ctime_ns in snapshots.refs()
                if tree not in wanted and ctime_ns < self._before
            ]
            if self._dry:
                return Freed("snapshot", len(old), snapshots.own_bytes(old))
            before = tree_bytes(snapshots.git_dir)
            snapshots.drop(old)
            return Freed("snapshot", len(old), max(before - tree_bytes(snapshots.git_dir), 0))

    def _live(self, trashed: set[str]) -> Freed:
        """Remove the live folders of removed runs, and of runs that were killed before they wrote anything."""
        return self._sweep("live folder", self._left_behind(trashed))

    def _left_behind(self, trashed: set[str]) -> Iterator[Path]:
        """Yield each with its lock held here: a folder that is not locked may be that of a run just beginning."""
        known = {document["id"] for document in self._store.journal.table(RUNS)}
        for path in _entries(self._store.path / "live"):
            if path in self._alive or is_alive(path) or (path.name in known - trashed):
                continue
            live = Live(path)
            if not live.is_there():
                continue  # a file or a link, which a check reports
            if self._dry or live.seize():
                try:
                    if path.name in trashed or _is_empty(path):
                        yield path
                finally:
                    live.close(keep=True)

    def _staged(self) -> Freed:
        paths = staged_paths(self._store)
        old = (path for path in paths if path.lstat().st_ctime_ns < self._before)
        return self._sweep("staged file", old)

    def _cache(self, kind: Kind, name: str) -> Freed:
        return self._sweep(kind, self._unused(self._store.path / name), remove=remove_folder)

    def _unused(self, folder: Path) -> Iterator[Path]:
        """Yield each with its lock held here: users hold the lock, and test that the folder exists after taking it."""
        for path in _entries(folder):
            lock = FolderLock(path)
            if path.is_file() or path.is_symlink() or (self._dry and not lock.is_there()):
                yield path
                continue
            if not lock.is_there():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)  # a read-only folder has no place for a lock file
            if lock.seize():
                try:
                    yield path
                finally:
                    lock.release()

    def _sweep(
        self, kind: Kind, paths: Iterable[Path], *, remove: Callable[[Path], None] = remove_all
    ) -> Freed:
        count = size = 0
        for path in paths:
            count, size = count + 1, size + tree_bytes(path)
            if not self._dry:
                remove(path)
        return Freed(kind, count, size)


def staged_paths(store: RunStore) -> list[Path]:
    """Return the staged files, which are being written, or were when their process was killed."""
    beside = [
        path
        for path in _entries(store.path)
        if path.name.startswith(STAGED) and path.name not in NAMES
    ]
    return [*_entries(store.path / "staging"), *beside]


def tree_bytes(path: Path) -> int:
    """Return the size on disk of a file, or of everything in a folder; vanished files count as 0."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISDIR(status.st_mode):
        return _on_disk(status)
    return sum(tree_bytes(entry) for entry in _entries(path))


def _on_disk(status: os.stat_result) -> int:
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _born_ns(path: Path) -> int | None:
    """Return the time at which the live folder was created, in ns, None if the run has ended meanwhile."""
    times = []
    for entry in (path, path / "lock"):
        with contextlib.suppress(FileNotFoundError):
            times.append(entry.lstat().st_mtime_ns)
    return min(times, default=None)


def _is_empty(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # vanished meanwhile: empty
        return all(
            e.name == "lock" or (is_regular(e) and not e.stat().st_size) for e in _entries(path)
        )
    return True
