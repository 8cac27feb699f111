"""The user's code: the root of the project, its commit, and the files that a snapshot of it holds.

The user's repository is read and never written to: git is told to take no optional locks, and the index is
left as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ...errors import SnapshotError
from . import tree_cache
from .plain_tree import walk
from .tree_cache import Memory
from .working_tree import WorkingTree


def find_root(file: Path | None, *, module: str = "", cwd: Path) -> Path:
    """The root of the project that the experiment's `file` belongs to.

    The top of the git working tree that holds it, else its folder, or for a module of a package the folder
    that the package is imported from. Without a file: the same from the working directory.
    """
    start = cwd if file is None else file.parent
    for folder in _upwards(start):
        if os.path.exists(f"{folder}{os.sep}.git"):  # noqa: PTH110 - at each recorded call
            return folder
    if file is not None:
        while (start / "__init__.py").is_file():
            start = start.parent
    return start


@lru_cache(maxsize=100)
def _upwards(folder: Path) -> tuple[Path, ...]:
    return (folder, *folder.parents)


_memories: dict[Path, Memory] = {}


def describe_tree(
    root: Path,
    *,
    exclude: Sequence[Path] = (),
    outputs: frozenset[str] = frozenset(),
    cache: Path | None = None,
) -> WorkingTree:
    """The working tree at `root`.

    `exclude` are folders that are no part of it; `outputs` paths that runs have written, relative to it: where
    git does not track them they are no code. When nothing has changed since the last call of this process, or of an
    earlier one that left its answer in the folder `cache`, that is given again, for the price of a stat a file.
    """
    known = _memories.get(root)
    if known is None and cache is not None:
        known = tree_cache.load(root, cache=cache)
    if known is not None and known.holds(outputs):
        _memories[root] = known
        return known.tree
    _memories.pop(root, None)
    started = time.time_ns()
    tree = _describe(root, exclude, outputs, known)
    remembered = tree_cache.remember(tree, exclude, since_ns=started)
    if remembered is not None:
        _memories[root] = remembered
    return tree


def known_snapshot(tree: WorkingTree) -> str | None:
    """The snapshot that was taken of the very same tree, where that is remembered."""
    known = _memories.get(tree.root)
    return known.snapshot if known is not None and known.tree is tree else None


def remember_snapshot(tree: WorkingTree, snapshot: str, *, cache: Path) -> None:
    """Remember that it was taken of the tree, also for the next process that is given the folder `cache`."""
    known = _memories.get(tree.root)
    if known is not None and known.tree is tree and known.snapshot != snapshot:
        known.snapshot = snapshot
        tree_cache.store(known, cache=cache)


def forget() -> None:
    """Drop what this process remembers of working trees."""
    _memories.clear()


def _describe(
    root: Path, exclude: Sequence[Path], outputs: frozenset[str], known: Memory | None
) -> WorkingTree:
    if (root / ".git").exists():
        from .git_tree import describe_repository  # not needed while the tree is remembered

        try:
            return describe_repository(root, exclude, outputs, known=known)
        except SnapshotError as error:
            return walk(root, exclude, outputs, (_explain(root, str(error)),))
    return walk(root, exclude, outputs, ())


def _explain(root: Path, said: str) -> str:
    if "dubious ownership" in said:
        return (
            f"the repository {root} belongs to somebody else, so git does not read it and the commit is not"
            f" known: run `git config --global --add safe.directory {root}` if you trust it"
        )
    return f"git cannot read the repository {root}, so the commit is not known: {said}"
