"""What is remembered of a working tree, and by what to tell that it is still the same.

Within a process, and in a file for the next one: a stat for each file of the project, and no git.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ...digest import digest_json
from .file_filter import DERIVED, is_output
from .working_tree import WorkingTree

# Another way of remembering, another number.
_VERSION = 1
# A file changed in the tick of the clock in which it was looked at cannot be told from an unchanged one.
_RACY_NS = 50_000_000

_Stat = tuple[int, int, int, int, int]


class Memory(msgspec.Struct, array_like=True):
    """A working tree as it was, and the states of its files, its folders, and what git goes by.

    `snapshot` is the snapshot that was taken of it; `excluded` are folders that are no part of it.
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
        """Whether the tree is as it was, but for files of the names in `outputs`."""
        if self.version != _VERSION or self.variables != _variables() or self._is_other():
            return False
        return all(self._folder_holds(folder, outputs) for folder in self.folders)

    def has_same_settings(self, *more: str) -> bool:
        """Whether the configuration of git is as it was: the user's, the machine's, and the files of those paths."""
        paths = [*map(os.path.normpath, more), *_settings()]
        same = all(self.state.get(path) == _stat(path) for path in paths)
        return same and self.version == _VERSION and self.variables == _variables()

    def _is_other(self) -> bool:
        # (Written out: it is a stat for each file of the project, at each recorded call.)
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
    """The tree's memory; None where something changed so short before `since_ns` that the next change may not show."""
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
    """Those that decide what git says."""
    names = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "HOME", "PATH")
    return {name: os.environ[name] for name in names if name in os.environ}


def _settings() -> list[str]:
    """The user's and the machine's configuration of git: which files it ignores."""
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


# For the next process


def load(root: Path, *, cache: Path) -> Memory | None:
    """What an earlier process has left of the tree at `root`."""
    try:
        data = _file(root, cache).read_bytes()
        return msgspec.msgpack.decode(data, type=Memory, dec_hook=_decode_path)
    except (OSError, ValueError):  # ValueError: msgspec's errors, and names that are no UTF-8
        return None


def store(memory: Memory, *, cache: Path) -> None:
    """Leave it for the next process; where it cannot be written, that one asks git again."""
    if memory.tree.redacted or memory.tree.warnings:
        return  # said by each process anew
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


def _decode_path(kind: type, value: Any) -> Any:
    return kind(value)
