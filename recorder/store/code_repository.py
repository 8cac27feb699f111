"""The bare git repository of the snapshots, ``code.git``, in which git reads no configuration but recorder's.

The store may come from somebody else. Changed settings are restored before git runs, or refused.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import RecorderWarning, SnapshotError
from ..git import run_git
from ..records import new_id
from .filesystem.disk import ProcessLock, is_regular, read_regular, sync_folder, write_durably

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


class CodeRepository:
    """The bare repository `path`, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Whether changed settings are restored before git runs, or refused: a check changes nothing.
        self.restores_settings = True
        self._is_ours = False

    def make(self) -> None:
        """Create the repository under a temporary name and rename it; safe if several processes do so at once."""
        if (self.path / "HEAD").is_file():
            return
        import shutil
        import tempfile

        staged = Path(tempfile.mkdtemp(prefix="code.git.", dir=self.path.parent))
        try:
            create(staged)
            staged.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            _sync(staged)
            try:
                staged.rename(self.path)
            except OSError as error:
                if not (self.path / "HEAD").is_file():
                    raise SnapshotError(f"cannot create {self.path}: {error}") from error
            sync_folder(self.path.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def git(
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
        where = [*HARMLESS, f"--git-dir={self.path}"]
        where += [f"--work-tree={tree}"] if tree is not None else []
        variables = dict(ISOLATED)
        if index is not None:
            variables["GIT_INDEX_FILE"] = str(index)
        if objects is not None:
            where += ["-c", "core.fsync=index,reference"]
            variables["GIT_OBJECT_DIRECTORY"] = str(objects)
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _alternate(self.path / "objects")
        cwd = tree or self.path.parent
        return run_git([*where, *args], cwd=cwd, stdin=said, variables=variables, inherited=held)

    @contextmanager
    def alone(self, path: Path, *, name: str | None = None) -> Iterator[tuple[int, ...]]:
        """Lock the file at `path` against other git processes; yield the descriptors that git must inherit.

        If recorder is killed, its git goes on and holds the lock until it ends. So a lock file of git that exists when
        the lock is taken was left by a git that was killed.
        """
        lock = ProcessLock(f"{self.path}/{name or path.name}.lock-recorder")
        lock.acquire()
        try:
            path.with_name(path.name + ".lock").unlink(missing_ok=True)
            yield lock.fds
        finally:
            lock.release()

    def _ensure_settings(self) -> None:
        """Restore the settings of the repository before git reads them, once in each process.

        The store may come from somebody else. git runs filters, hooks and other programs that a configuration names, so
        it must see no configuration but ours.
        """
        if self._is_ours or not self.path.exists():
            return
        wrong = [
            name
            for name, text in SETTINGS.items()
            if not is_regular(self.path / name) or read_regular(self.path / name) != text.encode()
        ]
        wrong += [name for name in _REDIRECTING if os.path.lexists(self.path / name)]
        folders = ("", "objects", "refs", "refs/snapshots", "info", "objects/pack", "objects/info")
        links = [name for name in folders if (self.path / name).is_symlink()]
        if links:
            raise SnapshotError(
                f"{self.path / links[0]} is a symbolic link, which a store must not contain;"
                " try: recorder check"
            )
        if wrong and not self.restores_settings:
            raise SnapshotError(f"{self.path / wrong[0]} was changed")
        if wrong:
            self._restore_settings(wrong)
        self._is_ours = True

    def _restore_settings(self, names: Sequence[str]) -> None:
        kept = self.path.with_name("lost+found")
        try:
            kept.mkdir(exist_ok=True)
            for name in names:
                path = self.path / name
                if os.path.lexists(path):
                    path.rename(kept / f"code.git-{path.name}-{new_id()[:8]}")
                if name in SETTINGS:
                    path.parent.mkdir(exist_ok=True)
                    write_durably(path, SETTINGS[name].encode())
        except OSError as error:
            raise SnapshotError(
                f"{self.path / names[0]} was changed, and cannot be restored: {error}"
            ) from error
        warnings.warn(
            f"settings of {self.path} were changed, and have been restored:"
            f" {', '.join(names)}; the changed files are in {kept}",
            RecorderWarning,
            stacklevel=2,
        )

    def irregular(self) -> list[Path]:
        """Return everything in the repository that is neither a regular file nor a folder, such as links and FIFOs.

        git would follow a link out of the store, and block on a FIFO.
        """
        found: list[Path] = []
        if os.path.lexists(self.path) and (self.path.is_symlink() or not self.path.is_dir()):
            return [self.path]  # a file that refers git to another repository
        folders = [str(self.path)] if self.path.exists() else []
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        found.append(Path(entry.path))
        return sorted(found)


def _alternate(path: Path) -> str:
    """Return a path as git reads it in a list of paths, which are separated by colons."""
    text = str(path)
    if os.pathsep not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def create(folder: Path) -> None:
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
