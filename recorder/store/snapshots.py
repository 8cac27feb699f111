"""Snapshots: the files of a working tree as a git tree in a repository of the store, byte for byte.

``code.git`` is a bare repository with an index for each working tree, so that a warm snapshot costs one stat per file,
and with attributes that disable every conversion. It is independent of the user's repository. Each distinct tree has
a ref, ``refs/snapshots/<tree>``, which keeps git from pruning it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from ..digest import digest_bytes
from ..errors import DamageError, SnapshotError
from .code_repository import CodeRepository, create
from .filesystem.disk import Gate, read_regular, sync_folder
from .git_objects import publish, staging, sync_names
from .objects.publish import touch


class FileChange(NamedTuple):
    """A file that differs between two snapshots."""

    path: str
    change: Literal["added", "removed", "changed"]


class Snapshots:
    """The snapshots in the bare repository `git_dir`, which is created with the first one."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self.repository = CodeRepository(git_dir)
        # Garbage collection holds it exclusively: see `recorder.store.maintenance.gc`.
        self.gate = Gate(git_dir.with_name("code.gate"))
        self._last: tuple[Sequence[str], Path, str] | None = None
        self._listed: dict[str, dict[str, str]] = {}

    def take(self, root: Path, files: Sequence[str]) -> str:
        """Snapshot `files`, given relative to `root`, and return the id of the tree. Raises SnapshotError.

        Passing the same `files` object as in the last call asserts that the content is unchanged too, and returns the
        last tree. A file that has vanished meanwhile is left out.
        """
        with self.gate.shared():
            last = self._last
            if last is not None and last[0] is files and last[1] == root and self._keep(last[2]):
                return last[2]
            tree = self._take(root, files)
        self._last = (files, root, tree)
        return tree

    def _take(self, root: Path, files: Sequence[str]) -> str:
        self.repository.make()
        name = digest_bytes(os.fsencode(root))[-16:]
        index = self.git_dir / f"index-{name}"
        with self.repository.alone(index) as held, staging(self.git_dir) as staged:
            try:
                tree = self._write_tree(root, files, index, held, staged)
            except SnapshotError:
                if not index.exists():
                    raise
                # The index lists objects that do not exist. It is only a cache.
                index.unlink()
                tree = self._write_tree(root, files, index, held, staged)
        if not self._keep(tree):
            self.give_ref(tree)
            refs = self.git_dir / "refs"
            for folder in (refs / "snapshots", refs):
                sync_folder(folder)
        return tree

    def _write_tree(
        self, root: Path, files: Sequence[str], index: Path, held: tuple[int, ...], staged: Path
    ) -> str:
        """Write the tree of `files`, first its objects and then the index, which must not list missing objects."""
        import shutil

        private = staged / "index"
        private.unlink(missing_ok=True)
        if index.exists():
            shutil.copy2(
                index, private
            )  # git compares the times of the files with that of the index
        self._update_index(root, files, private, held, staged)
        tree = self.repository.git(["write-tree"], index=private, held=held, objects=staged)
        publish(staged, self.git_dir)
        private.replace(index)
        return tree.decode().strip()

    def _update_index(
        self,
        root: Path,
        files: Sequence[str],
        index: Path,
        held: tuple[int, ...],
        objects: Path,
    ) -> None:
        known = self.repository.git(["ls-files", "-z"], index=index) if index.exists() else b""
        wanted = {os.fsencode(path) for path in files}
        gone = [path for path in known.split(b"\0") if path and path not in wanted]
        # Removals first: a folder may have replaced a file.
        if gone:
            self.repository.git(
                ["update-index", "--force-remove", "-z", "--stdin"],
                index=index,
                tree=root,
                said=b"\0".join(gone),
                held=held,
            )
        paths = b"".join(path + b"\0" for path in sorted(wanted))
        self.repository.git(
            ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"],
            index=index,
            tree=root,
            said=paths,
            held=held,
            objects=objects,
        )

    def keep(self, tree: str) -> bool:
        """Return whether the snapshot exists; if so, it is not dropped before the runs in progress have ended."""
        with self.gate.shared():
            return self._keep(tree)

    def pack(self, trees: Sequence[str]) -> bytes:
        """Return a git pack with the snapshots. Raises SnapshotError."""
        said = "\n".join(trees).encode() + b"\n"
        return self.repository.git(["pack-objects", "--revs", "--stdout", "--quiet"], said=said)

    def verify_pack(self, pack: Path, trees: Sequence[str], *, scratch: Path) -> None:
        """Verify in a new repository at `scratch` that the pack is intact, complete and safe to check out.

        Raises SnapshotError.
        """
        create(scratch)
        Snapshots(scratch).take_pack(pack, trees, strict=True)

    def take_pack(self, pack: Path, trees: Sequence[str], *, strict: bool = False) -> None:
        """Add the objects of the pack, and set the refs of the snapshots. Raises SnapshotError."""
        self.repository.make()
        with self.gate.shared():
            # strict: fsck's checks of every object, names such as `..` and `.git` among them.
            check = ["--strict"] if strict else []
            started, durably = time.time(), ["-c", "core.fsync=objects,pack-metadata"]
            self.repository.git([*durably, "index-pack", "--stdin", *check], said=pack.read_bytes())
            for tree in trees:
                self.give_ref(tree)
            sync_names(self.git_dir, started)
            if strict:
                # rev-list walks all objects of the snapshots, and fails if one is missing.
                self.repository.git(["rev-list", "--objects", "--quiet", *trees])

    def _keep(self, tree: str) -> bool:
        """Return whether the tree has its ref; if so, set its ctime to now, so that the running run keeps it."""
        return touch(self.git_dir / self._ref(tree)) is not None

    def give_ref(self, tree: str) -> None:
        """Set the ref of the snapshot, which keeps it. Raises SnapshotError if its tree does not exist."""
        with self.repository.alone(self.git_dir / self._ref(tree), name="refs") as held:
            self.repository.git(["update-ref", self._ref(tree), tree], held=held)

    @staticmethod
    def _ref(tree: str) -> str:
        return f"refs/snapshots/{tree}"

    def lay_out(self, tree: str, dest: Path) -> None:
        """Write the files of the tree to the folder `dest`, with their modes and links. Raises SnapshotError."""
        dest.mkdir(parents=True, exist_ok=True)
        with self._own_index() as index:
            self.repository.git(["read-tree", tree], index=index)
            self.repository.git(
                ["checkout-index", "--all", "--force", f"--prefix={dest}{os.sep}"],
                index=index,
                tree=dest,
            )

    @contextmanager
    def _own_index(self) -> Iterator[Path]:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="index-", dir=self.git_dir) as folder:
            yield Path(folder) / "index"

    def has(self, tree: str) -> bool:
        """Return whether the snapshot exists."""
        return (self.git_dir / self._ref(tree)).exists()

    def files(self, tree: str) -> Mapping[str, str]:
        """Return the blob of each file by its path. Raises SnapshotError."""
        if tree not in self._listed:
            blobs = {}
            for line in self.repository.git(["ls-tree", "-r", "-z", tree]).split(b"\0"):
                head, _, path = line.partition(b"\t")
                if path:
                    blobs[os.fsdecode(path)] = head.split()[2].decode()
            self._listed[tree] = blobs
        return self._listed[tree]

    def read(self, tree: str, path: str) -> bytes:
        """Return the bytes of a file. Raises SnapshotError if the tree has no file of that path."""
        blob = self.files(tree).get(path)
        if blob is None:
            raise SnapshotError(f"no file {path} in the snapshot {tree}")
        return self.repository.git(["cat-file", "blob", blob])

    def refs(self) -> list[tuple[str, int]]:
        """Return the snapshots, each with the time (ctime, in ns) at which it was last taken."""
        folder = self.git_dir / "refs" / "snapshots"
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        return [(path.name, path.stat().st_ctime_ns) for path in entries if path.suffix != ".lock"]

    def restore_refs(self, trees: Collection[str]) -> None:
        """Set the missing refs of needed snapshots, without which git would prune their objects.

        Raises DamageError if the content of any ref does not match its name: git would take another tree for it.
        """
        for tree, _ in self.refs():
            path = self.git_dir / self._ref(tree)
            if read_regular(path) != tree.encode() + b"\n":
                raise DamageError(
                    f"the ref {path} is damaged, so no snapshot was removed; try: recorder check"
                    " --repair",
                    path=path,
                )
        for tree in sorted(trees):
            if not self.has(tree):
                with suppress(SnapshotError):  # its tree is missing, which a check reports
                    self.give_ref(tree)

    def own_bytes(self, trees: Collection[str]) -> int:
        """Return the compressed size, in bytes, of the objects that only these snapshots contain."""
        if not trees:
            return 0
        others = [f"^{tree}" for tree, _ in self.refs() if tree not in trees]
        said = "\n".join([*trees, *others]).encode() + b"\n"
        return int(
            self.repository.git(["rev-list", "--objects", "--disk-usage", "--stdin"], said=said)
        )

    def drop(self, trees: Collection[str]) -> None:
        """Remove the snapshots and the objects of no other snapshot; call it with `gate` held exclusively."""
        for tree in trees:
            with self.repository.alone(self.git_dir / self._ref(tree), name="refs") as held:
                self.repository.git(["update-ref", "-d", self._ref(tree)], held=held)
            self._listed.pop(tree, None)
        if trees:
            self.repository.git(["repack", "-a", "-d", "-n", "--quiet"])
        self.repository.git(["prune", "--expire=now"])
        for index in self.indexes():
            self._drop_if_broken(index)

    def indexes(self) -> list[Path]:
        """Return the index files of the working trees, which are caches."""
        return sorted(p for p in self.git_dir.glob("index-*") if p.is_file() and not p.suffix)

    def _drop_if_broken(self, index: Path) -> None:
        # git assumes that the blobs in an index exist, and would not add pruned ones again.
        try:
            self.repository.git(["write-tree"], index=index)
        except SnapshotError:
            index.unlink()

    def may_hold(self, tree: str, path: str) -> bool:
        """Return whether the snapshot has a file of that path, or cannot be read."""
        try:
            return path in self.files(tree)
        except SnapshotError:
            return True

    def run_git(self, args: Sequence[str], *, said: bytes = b"") -> bytes:
        """Run git on the repository and return its output. Raises SnapshotError."""
        return self.repository.git(args, said=said)

    def changes(self, a: str, b: str) -> tuple[FileChange, ...]:
        """Return the changes of files from snapshot `a` to snapshot `b`, sorted by path. Raises SnapshotError."""
        left, right = self.files(a), self.files(b)
        changes = []
        for path in sorted({*left, *right}):
            if path not in right:
                changes.append(FileChange(path, "removed"))
            elif path not in left:
                changes.append(FileChange(path, "added"))
            elif left[path] != right[path]:
                changes.append(FileChange(path, "changed"))
        return tuple(changes)
