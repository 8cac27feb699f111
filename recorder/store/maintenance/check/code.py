"""Check the repository of the snapshots: its settings, its refs, and every git object in it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ....errors import SnapshotError
from ....git import run_git
from ....records import Code, EditableProject, Record
from ...code_repository import HARMLESS, ISOLATED, SETTINGS
from ...filesystem.disk import is_regular, read_regular, write_durably
from ...signature import is_trusted
from ...snapshots import Snapshots
from ...store import RunStore
from .finding import Finding, StaleFindingError, Unplaced


def _places(record: Record) -> tuple[tuple[str, Path], ...]:
    """Return the snapshots of the run's code, each with the folder that it was taken of."""
    if record.code is None:
        return ()
    parts: tuple[Code | EditableProject, ...] = (record.code, *record.code.projects)
    return tuple((part.snapshot, Path(part.root)) for part in parts if part.snapshot is not None)


class CodeCheck:
    """A check of the snapshots of a store; `records` are the runs that refer to them."""

    def __init__(self, store: RunStore, records: Iterable[Record], unplaced: Unplaced) -> None:
        self._store = store
        self._snapshots: Snapshots = store.snapshots
        self._git_dir = store.snapshots.git_dir
        self._unplaced = unplaced
        self._records: dict[str, list[Record]] = {}
        for record in records:
            for tree, _ in _places(record):
                self._records.setdefault(tree, []).append(record)

    def run(self) -> Iterator[Finding]:
        """Yield everything that is wrong."""
        if not self._git_dir.exists():
            yield from (self._missing_snapshot(tree) for tree in sorted(self._records))
            return
        settings = list(self._settings())
        yield from settings
        yield from self._indexes()
        if settings:
            return  # git would not work, or work differently: repair the settings first
        damaged: dict[Path, str] = {}
        try:
            for path, id in self._damaged_files():
                damaged[path] = id
                yield self._damaged(path, id)
            yield from self._packs()
        except OSError as error:
            if isinstance(error, SnapshotError):
                raise
            # Nothing is moved: the error may be temporary, and the bytes intact.
            yield Finding(
                kind="unreadable git object",
                place="code.git/objects",
                what=f"the disk cannot read a file of git objects: {error}",
                runs=self._runs(self._records),
            )
            return
        yield from self._refs()
        missing = self._missing()
        yield from (self._missing_object(id) for id in sorted(missing - set(damaged.values())))

    # Settings, the same in every store

    def _settings(self) -> Iterator[Finding]:
        for path in self._snapshots.repository.irregular():
            yield self._irregular(path)
        for name, text in SETTINGS.items():
            path = self._git_dir / name
            if path.exists() and not is_regular(path):
                continue  # reported above
            if not path.exists() or read_regular(path) != text.encode():
                yield Finding(
                    kind="changed setting",
                    place=f"code.git/{name}",
                    what="a setting of the snapshot repository was changed",
                    repair="restores it, and keeps the changed file in lost+found",
                    mend=self._rewriter(path, text),
                )

    def _irregular(self, path: Path) -> Finding:
        place = f"code.git/{path.relative_to(self._git_dir).as_posix()}"

        def mend() -> str:
            if is_regular(path) or (path.is_dir() and not path.is_symlink()):
                raise StaleFindingError(place)
            return f"moved to lost+found/{self._unplaced.move(path, name=f'git-{path.name}').name}"

        return Finding(
            kind="foreign file",
            place=place,
            what="it is a link, a FIFO or a device, which git would follow or wait for",
            repair="moves it to lost+found",
            mend=mend,
        )

    def _rewriter(self, path: Path, text: str) -> Callable[[], str]:
        def mend() -> str:
            kept = (
                self._unplaced.move(path, name=f"code.git-{path.name}") if path.exists() else None
            )
            path.parent.mkdir(exist_ok=True)
            write_durably(path, text.encode())
            return "restored" + (f"; the changed file is lost+found/{kept.name}" if kept else "")

        return mend

    def _indexes(self) -> Iterator[Finding]:
        """Verify the SHA-1 at the end of each index, which git writes but does not verify (`verify_hdr`)."""
        for path in self._snapshots.indexes():
            data = read_regular(path) if is_regular(path) else b""
            if hashlib.sha1(data[:-20]).digest() != data[-20:]:

                def mend(path: Path = path) -> str:
                    path.unlink(missing_ok=True)
                    return "removed; the next snapshot creates it again"

                yield Finding(
                    kind="damaged index",
                    place=f"code.git/{path.name}",
                    what="the index of a working tree is damaged",
                    repair="removes it, since it is only a cache",
                    mend=mend,
                )

    # Refs

    def _refs(self) -> Iterator[Finding]:
        there = set()
        for tree, _ in self._snapshots.refs():
            path = self._git_dir / "refs" / "snapshots" / tree
            if read_regular(path) == tree.encode() + b"\n":
                there.add(tree)
            else:
                yield self._bad_ref(path)
        for tree in sorted(self._records.keys() - (there & self._existing())):
            yield self._missing_snapshot(tree)

    def _bad_ref(self, path: Path) -> Finding:
        def mend() -> str:
            if read_regular(path) == path.name.encode() + b"\n":
                raise StaleFindingError(f"code.git/refs/snapshots/{path.name}")
            kept = self._unplaced.move(path, name=f"ref-{path.name}")
            return f"moved to lost+found/{kept.name}{self._set_ref(path.name)}"

        return Finding(
            kind="damaged ref",
            place=f"code.git/refs/snapshots/{path.name}",
            what="the ref of a snapshot does not match its name",
            runs=self._runs([path.name]),
            repair="moves it to lost+found, and sets it again if the snapshot exists",
            mend=mend,
        )

    def _set_ref(self, tree: str) -> str:
        try:
            self._snapshots.give_ref(tree)
        except SnapshotError:
            return ""
        return "; set again"

    def _missing_snapshot(self, tree: str) -> Finding:
        is_there = self._git_dir.exists() and self._has(tree)

        def mend() -> str:
            return self._set_ref(tree).removeprefix("; ")

        return Finding(
            kind="missing snapshot",
            place=f"code.git/refs/snapshots/{tree}",
            what="a snapshot of the code is missing" if not is_there else "a snapshot has no ref",
            runs=self._runs([tree]),
            repair="sets the ref again" if is_there else "",
            mend=mend if is_there else None,
        )

    # Git objects

    def _damaged_files(self) -> Iterator[tuple[Path, str]]:
        """Yield the loose objects whose content does not match their name."""
        for folder in sorted((self._git_dir / "objects").iterdir()):
            if len(folder.name) != 2 or not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                id = folder.name + path.name
                if len(id) == 40 and _loose_id(path) != id:
                    yield path, id

    def _damaged(self, path: Path, id: str) -> Finding:
        source = self._source(id)

        def mend() -> str:
            if _loose_id(path) == id:
                raise StaleFindingError(f"code.git object {id}")
            kept = self._unplaced.move(path, name=f"git-{id}")
            return f"moved to lost+found/{kept.name}{self._put_again(id, source)}"

        return Finding(
            kind="damaged git object",
            place=f"code.git/{path.relative_to(self._git_dir).as_posix()}",
            what="the content of a git object does not match its name",
            runs=self._runs(self._trees_with(id)),
            repair="moves it to lost+found"
            + (f", and restores it from {source.place}" if source else ""),
            mend=mend,
        )

    def _packs(self) -> Iterator[Finding]:
        for path in sorted((self._git_dir / "objects" / "pack").glob("*.pack")):
            index = path.with_suffix(".idx")
            read_regular(path)  # git reports a disk that fails as damage; Python raises OSError
            try:
                self._git("verify-pack", str(index))
            except SnapshotError as error:
                yield self._bad_pack(path, str(error))

    def _bad_pack(self, path: Path, error: str) -> Finding:
        def mend() -> str:
            read_regular(path)  # git reports a disk that fails as damage; Python raises OSError
            try:
                self._git("verify-pack", str(path.with_suffix(".idx")))
            except SnapshotError:
                pass
            else:
                raise StaleFindingError(f"code.git/objects/pack/{path.name}")
            kept = self._unplaced.move(path, name=path.name)
            for other in path.parent.glob(f"{path.stem}.*"):
                self._unplaced.move(other, name=other.name)
            try:
                self._git("unpack-objects", "-q", "-r", said=kept.read_bytes())
            except SnapshotError as lost:
                return f"moved to lost+found/{kept.name}; unpacked the readable objects: {lost}"
            return f"moved to lost+found/{kept.name}; unpacked all of its objects"

        return Finding(
            kind="damaged pack",
            place=f"code.git/objects/pack/{path.name}",
            what=f"a pack of git objects is damaged: {error}",
            runs=self._runs(self._records),
            repair="moves it to lost+found, and unpacks the readable objects; check again after that",
            mend=mend,
        )

    def _missing(self) -> set[str]:
        """Return the ids of objects that snapshots refer to and that do not exist."""
        trees = self._existing()
        if not trees:
            return set()
        try:
            said = "\n".join(trees).encode() + b"\n"
            out = self._git("rev-list", "--objects", "--missing=print", "--stdin", said=said)
        except SnapshotError:
            return set()  # an object is damaged, and reported as such
        return {line[1:].decode() for line in out.splitlines() if line.startswith(b"?")}

    def _existing(self) -> set[str]:
        """Return the snapshots of the runs whose tree exists."""
        said = "".join(f"{tree}\n" for tree in self._records).encode()
        try:
            lines = self._git("cat-file", "--batch-check", said=said).decode().splitlines()
        except SnapshotError:
            return set(self._records)  # an object is damaged, and reported as such
        return {line.split()[0] for line in lines if not line.endswith("missing")}

    def _missing_object(self, id: str) -> Finding:
        source = self._source(id)

        def mend() -> str:
            return self._put_again(id, source).removeprefix("; ")

        return Finding(
            kind="missing git object",
            place=f"code.git, {id}",
            what="a git object of a snapshot is missing",
            runs=self._runs(self._trees_with(id)),
            repair=f"restores it from {source.place}" if source else "",
            mend=mend if source else None,
        )

    # Other copies

    def _source(self, id: str) -> _Source | None:
        """Return the object from the user's repository or the working tree, None if neither has it any more."""
        places = [
            (record, tree, root)
            for records in self._records.values()
            for record in records
            for tree, root in _places(record)
        ]
        for record, tree, root in places:
            if not root.is_dir() or not is_trusted(record):
                continue
            for kind in ("blob", "tree"):
                try:
                    # A foreign record may name any folder: git must not run what its configuration names.
                    data = run_git([*HARMLESS, "cat-file", kind, id], cwd=root, variables=ISOLATED)
                except SnapshotError:
                    continue
                if _id(kind, data) == id:
                    return _Source(kind, data, f"the repository {root}")
            for path in self._paths(record, tree, id):
                if (root / path).is_file() and _id("blob", (root / path).read_bytes()) == id:
                    return _Source("blob", (root / path).read_bytes(), str(root / path))
        return None

    def _paths(self, record: Record, tree: str, id: str) -> list[str]:
        try:
            files = self._snapshots.files(tree)
        except SnapshotError:
            # The files that the user's repository lacks.
            return list(record.code.changed) if record.code is not None else []
        return [path for path, blob in files.items() if blob == id]

    def _put_again(self, id: str, source: _Source | None) -> str:
        if source is None:
            return ""
        written = self._git("hash-object", "-w", "--stdin", "-t", source.kind, said=source.data)
        is_same = written.decode().strip() == id
        return f"; restored from {source.place}" if is_same else ""

    def _trees_with(self, id: str) -> list[str]:
        """Return the snapshots that contain the object, or that cannot be listed completely."""
        trees = []
        for tree in self._records:
            try:
                listed = self._git("ls-tree", "-r", "-t", "-z", tree)
            except SnapshotError:
                trees.append(tree)
            else:
                if tree == id or id.encode() in listed:
                    trees.append(tree)
        return trees

    def _runs(self, trees: Iterable[str]) -> tuple[int, ...]:
        return tuple(sorted({r.number for tree in trees for r in self._records.get(tree, ())}))

    def _has(self, id: str) -> bool:
        try:
            self._git("cat-file", "-e", id)
        except SnapshotError:
            return False
        return True

    def _git(self, *args: str, said: bytes = b"") -> bytes:
        return self._snapshots.run_git(args, said=said)


class _Source(NamedTuple):
    kind: str
    data: bytes
    place: str


def _id(kind: str, data: bytes) -> str:
    """Return the name of a git object: the SHA-1 of ``kind size NUL`` and its bytes."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


def _loose_id(path: Path) -> str:
    """Return the name that a loose object should have, "" if the file is not one zlib stream. Raises OSError."""
    content = read_regular(path)
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(content)
    except zlib.error:
        return ""
    if not inflate.eof or inflate.unused_data:
        return ""
    return hashlib.sha1(data).hexdigest()
