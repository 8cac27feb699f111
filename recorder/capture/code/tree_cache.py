"""A cache of working trees, with the file states that tell whether an entry is still valid.

It is kept in this process and in a file for later processes. Checking it costs one stat per project file, and no git.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from ...digest import digest_json
from .file_filter import DERIVED, is_output
from .working_tree import WorkingTree

# To be increased with each change of the file format.
_VERSION = 1
# A change within one clock tick of the check would leave the same modification time.
_RACY_NS = 50_000_000

_Stat = tuple[int, int, int, int, int]


class Memory(msgspec.Struct, array_like=True):
    """A working tree with the states of its files, its folders, and git's own files.

    `excluded` are folders that do not belong to it. `snapshot` is the snapshot that was taken of it, if any.
    """

    version: int
    variables: dict[str, str]
    tree: WorkingTree
    excluded: set[str]
    files: dict[str, _Stat | None]
    state: dict[str, _Stat | None]
    folders: dict[str, tuple[_Stat | None, set[str]]]
    snapshot: str | None = None

    def holds(self, outputs: frozenset[str]) -> bool:
        """Return True if the tree is unchanged, apart from files named in `outputs`."""
        if self.version != _VERSION or self.variables != _variables() or self._is_other():
            return False
        return all(self._folder_holds(folder, outputs) for folder in self.folders)

    def has_same_settings(self, *more: str) -> bool:
        """Return True if git's configuration is unchanged: the user's, the system's, and the files `more`."""
        paths = [*map(os.path.normpath, more), *_settings()]
        same = all(self.state.get(path) == _stat(path) for path in paths)
        return same and self.version == _VERSION and self.variables == _variables()

    def _is_other(self) -> bool:
        # This loop is inlined: it makes one stat per project file at each recorded call.
        lstat, prefix = os.lstat, f"{self.tree.root}{os.sep}"
        for start, known in (("", self.state), (prefix, self.files)):
            for path, then in known.items():
                try:
                    s = lstat(start + path)
                except OSError:
                    if then is not None:
                        return True
                    continue
                if (s.st_mtime_ns, s.st_size, s.st_ino, s.st_mode, s.st_ctime_ns) != then:
                    return True
        return False

    def _folder_holds(self, folder: str, outputs: frozenset[str]) -> bool:
        then, names = self.folders[folder]
        full = os.path.join(self.tree.root, folder)  # noqa: PTH118 - at each recorded call
        now = _stat(full)
        if now == then:
            return True
        names_now = _names(full)
        for name in names ^ names_now:
            path = f"{folder}/{name}" if folder else name
            outside = os.path.join(full, name) in self.excluded  # noqa: PTH118
            if not (is_output(path, outputs) or name in DERIVED or outside):
                return False
        self.folders[folder] = now, names_now
        return True


def remember(tree: WorkingTree, exclude: Sequence[Path], *, since_ns: int) -> Memory | None:
    """Return an entry for the tree, or None if a file changed so recently that another change could go unnoticed."""
    start = f"{tree.root}{os.sep}"
    files = {path: _stat(start + path) for path in tree.files}
    state = {path: _stat(path) for path in (*tree.state, *_settings())}
    folders = {path.rpartition("/")[0] for path in tree.files} | {""}
    times = [s[0] for s in [*files.values(), *state.values()] if s is not None]
    if max(times, default=0) >= since_ns - _RACY_NS:
        return None
    return Memory(
        version=_VERSION,
        variables=_variables(),
        tree=tree,
        excluded={os.fspath(path) for path in exclude},
        files=files,
        state=state,
        folders={f: (_stat(start + f), _names(start + f)) for f in folders},
    )


def _variables() -> dict[str, str]:
    """Return the variables that affect git's answers."""
    names = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "HOME", "PATH")
    return {name: os.environ[name] for name in names if name in os.environ}


def _settings() -> list[str]:
    """Return the paths of the user's and the system's git configuration, which decide the ignored files."""
    home = os.path.expanduser("~")  # noqa: PTH111
    config = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    found = [f"{home}/.gitconfig", f"{config}/git/config", f"{config}/git/ignore", "/etc/gitconfig"]
    given = os.environ.get("GIT_CONFIG_GLOBAL")
    return [*found, given] if given else found


def _stat(path: str) -> _Stat | None:
    try:
        s = os.lstat(path)
    except OSError:
        return None
    return s.st_mtime_ns, s.st_size, s.st_ino, s.st_mode, s.st_ctime_ns


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return set()


# The file for later processes


def load(root: Path, *, cache: Path) -> Memory | None:
    """Load the entry that an earlier process left for the tree at `root`, or return None."""
    try:
        data = _file(root, cache).read_bytes()
        return msgspec.msgpack.decode(data, type=Memory, dec_hook=lambda kind, value: kind(value))
    except (OSError, ValueError):  # ValueError: msgspec's errors, and names that are not UTF-8
        return None


def store(memory: Memory, *, cache: Path) -> None:
    """Write the entry for later processes. If that fails, they ask git again."""
    if memory.tree.redacted or memory.tree.warnings:
        return  # each process must report these itself
    file = _file(memory.tree.root, cache)
    staged = file.with_name(f"{file.name}.{os.getpid()}.{time.time_ns()}")
    try:
        data = msgspec.msgpack.encode(memory, enc_hook=os.fspath)
        cache.mkdir(exist_ok=True)
        staged.write_bytes(data)
        staged.replace(file)
    except (OSError, ValueError):
        with suppress(OSError):
            staged.unlink(missing_ok=True)


def _file(root: Path, cache: Path) -> Path:
    return cache / f"tree-{digest_json('folder', os.fsencode(root).hex())[-16:]}.bin"
