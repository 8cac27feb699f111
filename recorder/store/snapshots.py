"""Snapshots: the files of a working tree as a git tree in a repository of the store, byte for byte.

``code.git`` is a bare repository with an index for each working tree, so that a warm snapshot costs one stat per file,
and with attributes that disable every conversion. It is independent of the user's repository. Each distinct tree has
a ref, ``refs/snapshots/<tree>``, which keeps git from pruning it.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from ..digest import digest_bytes
from ..errors import DamageError, RecorderWarning, SnapshotError
from ..git import run_git
from ..records import new_id
from .filesystem.disk import (
    Gate,
    ProcessLock,
    is_regular,
    read_regular,
    sync_files,
    sync_folder,
    write_durably,
)
from .objects.publish import touch

_CONFIG = {
    "core.repositoryformatversion": "0",
    "core.bare": "true",
    "core.autocrlf": "false",
    "core.symlinks": "true" if os.name != "nt" else "false",
    "core.fileMode": "true" if os.name != "nt" else "false",
    "core.ignoreCase": "false",
    "core.precomposeUnicode": "false",
    "core.protectHFS": "false",
    "core.protectNTFS": "false",
    "core.quotePath": "false",
    "core.untrackedCache": "false",
    "core.fsmonitor": "false",
    "core.splitIndex": "false",
    "core.fsync": "objects,index,reference",
    # (Overridden by `HARMLESS`; kept so that the file is the same in every store.)
    "core.fsyncMethod": "batch",
    "gc.auto": "0",
    "maintenance.auto": "false",
    # No files that could be made again, and that verify-pack does not verify.
    "pack.writeReverseIndex": "false",
    "repack.writeBitmaps": "false",
    "index.threads": "true",
}
# No configuration of the user: filters, excludes files, hooks. The store may come from somebody else, together with a
# configuration: do not fetch missing objects, which git would do by any command that the configuration names.
ISOLATED = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
HARMLESS = [
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.fsmonitor=false",
    "-c", f"core.attributesFile={os.devnull}",
    "-c", f"core.excludesFile={os.devnull}",
    # The batch method (one sync for all new objects of a command) loses objects in a power cut on btrfs. `take` syncs
    # its objects itself; the other commands write few.
    "-c", "core.fsyncMethod=fsync",
]  # fmt: skip
# Files by which a repository makes git read another configuration, or other objects.
_REDIRECTING = (
    "config.worktree", "commondir", "worktrees", "objects/info/alternates", "objects/info/http-alternates",
)  # fmt: skip
_ATTRIBUTES = "* -text -filter -ident -working-tree-encoding -export-subst\n"


def _config_text() -> str:
    lines = []
    for name, value in _CONFIG.items():
        section, _, key = name.partition(".")
        lines.append(f"[{section}]\n\t{key} = {value}\n")
    return "".join(lines)


# The files that are the same in every repository, whichever version of git has made it.
SETTINGS = {
    "HEAD": "ref: refs/heads/none\n",
    "config": _config_text(),
    "info/attributes": _ATTRIBUTES,
}


class FileChange(NamedTuple):
    """A file that differs between two snapshots."""

    path: str
    change: Literal["added", "removed", "changed"]


class Snapshots:
    """The snapshots in the bare repository `git_dir`, which is created with the first one."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        # Garbage collection holds it exclusively: see `recorder.store.maintenance.gc`.
        self.gate = Gate(git_dir.with_name("code.gate"))
        self._last: tuple[Sequence[str], Path, str] | None = None
        self._listed: dict[str, dict[str, str]] = {}
        self._is_ours = False
        # Whether changed settings are restored before git runs, or refused: a check changes nothing.
        self.restores_settings = True

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
        self._make()
        name = digest_bytes(os.fsencode(root))[-16:]
        index = self.git_dir / f"index-{name}"
        with self._alone(index) as held, self._staging() as staged:
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
        tree = self._git(["write-tree"], index=private, held=held, objects=staged)
        self._publish(staged)
        private.replace(index)
        return tree.decode().strip()

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        import shutil

        folder = self.git_dir.parent / "staging" / f"git-{new_id()}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, staged: Path) -> None:
        """Sync new git objects, and then move them to the repository.

        git takes the name of a loose object for its content, so the content must be on the disk first. With the batch
        method git names objects after one sync of another file, which makes them durable on ext4 and XFS, but not on
        btrfs. `sync_files` syncs each, or the whole filesystem if they are many.
        """
        paths = [path for path in staged.glob("??/*") if is_regular(path)]
        sync_files([str(path) for path in paths])
        objects = self.git_dir / "objects"
        for path in paths:
            target = objects / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        if paths and os.name != "nt":  # Windows cannot open a folder, and NTFS journals names
            sync_files({str(objects / path.parent.name) for path in paths})
            sync_folder(objects)

    @contextmanager
    def _alone(self, path: Path, *, name: str | None = None) -> Iterator[tuple[int, ...]]:
        """Lock the file at `path` against other git processes; yield the descriptors that git must inherit.

        If recorder is killed, its git goes on and holds the lock until it ends. So a lock file of git that exists when
        the lock is taken was left by a git that was killed.
        """
        lock = ProcessLock(f"{self.git_dir}/{name or path.name}.lock-recorder")
        lock.acquire()
        try:
            path.with_name(path.name + ".lock").unlink(missing_ok=True)
            yield lock.fds
        finally:
            lock.release()

    def _sync_names(self, since: float) -> None:
        """Sync the folders that git has written to since: git syncs files, but not the folders that contain them."""
        refs = self.git_dir / "refs"
        objects = self.git_dir / "objects"
        for folder in (*objects.iterdir(), objects, refs / "snapshots", refs):
            # The coarsest timestamps of a filesystem have a granularity of two seconds.
            if folder.is_dir() and folder.stat().st_mtime >= since - 2:
                sync_folder(folder)

    def _update_index(
        self,
        root: Path,
        files: Sequence[str],
        index: Path,
        held: tuple[int, ...],
        objects: Path,
    ) -> None:
        known = self._git(["ls-files", "-z"], index=index) if index.exists() else b""
        wanted = {os.fsencode(path) for path in files}
        gone = [path for path in known.split(b"\0") if path and path not in wanted]
        # Removals first: a folder may have replaced a file.
        if gone:
            self._git(
                ["update-index", "--force-remove", "-z", "--stdin"],
                index=index,
                tree=root,
                said=b"\0".join(gone),
                held=held,
            )
        paths = b"".join(path + b"\0" for path in sorted(wanted))
        self._git(
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
        return self._git(["pack-objects", "--revs", "--stdout", "--quiet"], said=said)

    def verify_pack(self, pack: Path, trees: Sequence[str], *, scratch: Path) -> None:
        """Verify in a new repository at `scratch` that the pack is intact, complete and safe to check out.

        Raises SnapshotError.
        """
        _create(scratch)
        Snapshots(scratch).take_pack(pack, trees, strict=True)

    def take_pack(self, pack: Path, trees: Sequence[str], *, strict: bool = False) -> None:
        """Add the objects of the pack, and set the refs of the snapshots. Raises SnapshotError."""
        self._make()
        with self.gate.shared():
            # strict: fsck's checks of every object, names such as `..` and `.git` among them.
            check = ["--strict"] if strict else []
            started, durably = time.time(), ["-c", "core.fsync=objects,pack-metadata"]
            self._git([*durably, "index-pack", "--stdin", *check], said=pack.read_bytes())
            for tree in trees:
                self.give_ref(tree)
            self._sync_names(started)
            if strict:
                # rev-list walks all objects of the snapshots, and fails if one is missing.
                self._git(["rev-list", "--objects", "--quiet", *trees])

    def _keep(self, tree: str) -> bool:
        """Return whether the tree has its ref; if so, set its ctime to now, so that the running run keeps it."""
        return touch(self.git_dir / self._ref(tree)) is not None

    def give_ref(self, tree: str) -> None:
        """Set the ref of the snapshot, which keeps it. Raises SnapshotError if its tree does not exist."""
        with self._alone(self.git_dir / self._ref(tree), name="refs") as held:
            self._git(["update-ref", self._ref(tree), tree], held=held)

    @staticmethod
    def _ref(tree: str) -> str:
        return f"refs/snapshots/{tree}"

    def _make(self) -> None:
        """Create the repository under a temporary name and rename it; safe if several processes do so at once."""
        if (self.git_dir / "HEAD").is_file():
            return
        import shutil
        import tempfile

        staged = Path(tempfile.mkdtemp(prefix="code.git.", dir=self.git_dir.parent))
        try:
            _create(staged)
            staged.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            _sync(staged)
            try:
                staged.rename(self.git_dir)
            except OSError as error:
                if not (self.git_dir / "HEAD").is_file():
                    raise SnapshotError(f"cannot create {self.git_dir}: {error}") from error
            sync_folder(self.git_dir.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _ensure_settings(self) -> None:
        """Restore the settings of the repository before git reads them, once in each process.

        The store may come from somebody else. git runs filters, hooks and other programs that a configuration names, so
        it must see no configuration but ours.
        """
        if self._is_ours or not self.git_dir.exists():
            return
        wrong = [
            name
            for name, text in SETTINGS.items()
            if not is_regular(self.git_dir / name)
            or read_regular(self.git_dir / name) != text.encode()
        ]
        wrong += [name for name in _REDIRECTING if os.path.lexists(self.git_dir / name)]
        folders = ("", "objects", "refs", "refs/snapshots", "info", "objects/pack", "objects/info")
        links = [name for name in folders if (self.git_dir / name).is_symlink()]
        if links:
            raise SnapshotError(
                f"{self.git_dir / links[0]} is a symbolic link, which a store must not contain;"
                " try: recorder check"
            )
        if wrong and not self.restores_settings:
            raise SnapshotError(f"{self.git_dir / wrong[0]} was changed")
        if wrong:
            self._restore_settings(wrong)
        self._is_ours = True

    def _restore_settings(self, names: Sequence[str]) -> None:
        kept = self.git_dir.with_name("lost+found")
        try:
            kept.mkdir(exist_ok=True)
            for name in names:
                path = self.git_dir / name
                if os.path.lexists(path):
                    path.rename(kept / f"code.git-{path.name}-{new_id()[:8]}")
                if name in SETTINGS:
                    path.parent.mkdir(exist_ok=True)
                    write_durably(path, SETTINGS[name].encode())
        except OSError as error:
            raise SnapshotError(
                f"{self.git_dir / names[0]} was changed, and cannot be restored: {error}"
            ) from error
        warnings.warn(
            f"settings of {self.git_dir} were changed, and have been restored:"
            f" {', '.join(names)}; the changed files are in {kept}",
            RecorderWarning,
            stacklevel=2,
        )

    def lay_out(self, tree: str, dest: Path) -> None:
        """Write the files of the tree to the folder `dest`, with their modes and links. Raises SnapshotError."""
        dest.mkdir(parents=True, exist_ok=True)
        with self._own_index() as index:
            self._git(["read-tree", tree], index=index)
            self._git(
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
            for line in self._git(["ls-tree", "-r", "-z", tree]).split(b"\0"):
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
        return self._git(["cat-file", "blob", blob])

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
        return int(self._git(["rev-list", "--objects", "--disk-usage", "--stdin"], said=said))

    def drop(self, trees: Collection[str]) -> None:
        """Remove the snapshots and the objects of no other snapshot; call it with `gate` held exclusively."""
        for tree in trees:
            with self._alone(self.git_dir / self._ref(tree), name="refs") as held:
                self._git(["update-ref", "-d", self._ref(tree)], held=held)
            self._listed.pop(tree, None)
        if trees:
            self._git(["repack", "-a", "-d", "-n", "--quiet"])
        self._git(["prune", "--expire=now"])
        for index in self.indexes():
            self._drop_if_broken(index)

    def irregular(self) -> list[Path]:
        """Return everything in the repository that is neither a regular file nor a folder, such as links and FIFOs.

        git would follow a link out of the store, and block on a FIFO.
        """
        found: list[Path] = []
        if os.path.lexists(self.git_dir) and (
            self.git_dir.is_symlink() or not self.git_dir.is_dir()
        ):
            return [self.git_dir]  # a file that refers git to another repository
        folders = [str(self.git_dir)] if self.git_dir.exists() else []
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        found.append(Path(entry.path))
        return sorted(found)

    def indexes(self) -> list[Path]:
        """Return the index files of the working trees, which are caches."""
        return sorted(p for p in self.git_dir.glob("index-*") if p.is_file() and not p.suffix)

    def _drop_if_broken(self, index: Path) -> None:
        # git assumes that the blobs in an index exist, and would not add pruned ones again.
        try:
            self._git(["write-tree"], index=index)
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
        return self._git(args, said=said)

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

    def _git(
        self,
        args: Sequence[str],
        *,
        index: Path | None = None,
        tree: Path | None = None,
        said: bytes = b"",
        held: tuple[int, ...] = (),
        objects: Path | None = None,
    ) -> bytes:
        """Run git on the repository; new objects go to the folder `objects`, unsynced, if it is given."""
        self._ensure_settings()
        where = [*HARMLESS, f"--git-dir={self.git_dir}"]
        where += [f"--work-tree={tree}"] if tree is not None else []
        variables = dict(ISOLATED)
        if index is not None:
            variables["GIT_INDEX_FILE"] = str(index)
        if objects is not None:
            where += ["-c", "core.fsync=index,reference"]
            variables["GIT_OBJECT_DIRECTORY"] = str(objects)
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _alternate(self.git_dir / "objects")
        cwd = tree or self.git_dir.parent
        return run_git([*where, *args], cwd=cwd, stdin=said, variables=variables, inherited=held)


def _alternate(path: Path) -> str:
    """Return a path as git reads it in a list of paths, which are separated by colons."""
    text = str(path)
    if os.pathsep not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _create(folder: Path) -> None:
    """Create a bare repository with our settings, without the user's templates and hooks."""
    init = ["init", "--quiet", "--bare", "--object-format=sha1", "--template=", str(folder)]
    run_git(init, cwd=folder.parent, variables=ISOLATED)
    (folder / "info").mkdir(exist_ok=True)
    for name, text in SETTINGS.items():
        (folder / name).write_text(text)


def _umask() -> int:
    """Return the umask, which Python can only read by setting it."""
    status = Path("/proc/self/status")
    with suppress(OSError, StopIteration, ValueError):
        line = next(ln for ln in status.read_text().splitlines() if ln.startswith("Umask:"))
        return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync(folder: Path) -> None:
    """Sync everything in a folder, names and bytes."""
    for path, _, names in os.walk(folder):
        for name in names:
            with (Path(path) / name).open("r+b") as file:
                os.fsync(file.fileno())
        sync_folder(Path(path))
