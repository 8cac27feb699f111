"""Code of a project: its root, its commit, and the files for a snapshot.

The user's repository is only read: git takes no optional locks, and the index is not refreshed.
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
    """Return the root of the project that contains the experiment's `file`.

    This is the top of the git working tree. Without a repository it is the file's folder, or, for a module of a
    package, the folder from which the package is imported. If `file` is None, the search starts at `cwd`.
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
    """Describe the working tree at `root`.

    `exclude` are folders that do not belong to the tree. `outputs` are paths, relative to `root`, that runs have
    written: they are not code unless git tracks them. The description is cached in this process, and in the folder
    `cache` for later processes. While nothing has changed, a call costs one stat per file.
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
    """Return the snapshot that was taken of this tree, if it is known."""
    known = _memories.get(tree.root)
    return known.snapshot if known is not None and known.tree is tree else None


def remember_snapshot(tree: WorkingTree, snapshot: str, *, cache: Path) -> None:
    """Remember the snapshot of the tree, in this process and in the folder `cache` for later ones."""
    known = _memories.get(tree.root)
    if known is not None and known.tree is tree and known.snapshot != snapshot:
        known.snapshot = snapshot
        tree_cache.store(known, cache=cache)


def forget() -> None:
    """Clear this process's cache of working trees."""
    _memories.clear()


def _describe(
    root: Path, exclude: Sequence[Path], outputs: frozenset[str], known: Memory | None
) -> WorkingTree:
    if (root / ".git").exists():
        from .git_tree import describe_repository  # slow to import, and not needed on a cache hit

        try:
            return describe_repository(root, exclude, outputs, known=known)
        except SnapshotError as error:
            return walk(root, exclude, outputs, (_explain(root, str(error)),))
    return walk(root, exclude, outputs, ())


def _explain(root: Path, complaint: str) -> str:
    if "dubious ownership" in complaint:
        return (
            f"the commit is unknown: git refuses to read {root}, which belongs to another user; if you trust it, run"
            f" git config --global --add safe.directory {root}"
        )
    return f"the commit is unknown: git cannot read the repository {root}: {complaint}"
