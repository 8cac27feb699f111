"""A project in a git repository, including the repositories nested in it.

git takes no optional locks, so nothing is written. The files of a submodule, or of a clone inside the tree, are
captured like any other file, whatever the state of its repository.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import SnapshotError
from ...git import remote_url, run_git
from ...records import Skipped, Submodule
from ...secrets.urls import redact_url, without_credentials
from .file_filter import is_derived, is_output, sift
from .tree_cache import Memory
from .working_tree import WorkingTree

# The maximum number of changed paths in a record. The snapshot has all of them.
_LISTED_CHANGES = 500


class _Status(NamedTuple):
    commit: str | None
    branch: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]


class _Listing:
    """The files of the repositories at and below `root`, the submodules, and the files that hold git's state."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, None] = {}
        self.submodules: list[Submodule] = []
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []
        self.state: list[str] = []

    def add(self, folder: str, status: _Status, outputs: frozenset[str]) -> None:
        """Add the repository in `folder` ("" for the root). Untracked files among `outputs` are not code."""
        prefix = f"{folder}/" if folder else ""
        tracked, links = _tracked(self.root / folder)
        self.state += _state(self.root / folder, status.branch)
        untracked = [path for path in status.untracked if not is_output(prefix + path, outputs)]
        self.files.update(dict.fromkeys(prefix + path for path in tracked))
        self.files.update(dict.fromkeys(prefix + p for p in untracked if not p.endswith("/")))
        for path, commit in links.items():
            self._add_submodule(prefix + path, commit, outputs)
        for path in untracked:
            if path.endswith("/") and not is_derived(path):
                self._add_nested(prefix + path.rstrip("/"), outputs)

    def _add_submodule(self, folder: str, commit: str, outputs: frozenset[str]) -> None:
        if not (self.root / folder / ".git").exists():
            self.skipped.append(Skipped(path=folder, reason="a submodule that is not checked out"))
            self.submodules.append(Submodule(path=folder, commit=commit))
            return
        status = self._add_nested(folder, outputs)
        if status is not None:
            dirty = bool(status.changed or status.untracked)
            self.submodules.append(Submodule(path=folder, commit=status.commit, dirty=dirty))

    def _add_nested(self, folder: str, outputs: frozenset[str]) -> _Status | None:
        try:
            status = _read_status(self.root / folder)
            self.add(folder, status, outputs)
        except SnapshotError as error:
            warning = f"the nested repository {folder} is not in the snapshot: {error}"
            self.warnings.append(warning)
            self.skipped.append(Skipped(path=folder, reason=f"git cannot read it: {error}"))
            return None
        return status


def describe_repository(
    root: Path, exclude: Sequence[Path], outputs: frozenset[str], *, known: Memory | None = None
) -> WorkingTree:
    """Describe the working tree of the repository at `root`.

    `known` is the cached state of the tree, if any. Raises SnapshotError if git cannot read the repository.
    """
    status = _read_status(root)
    listing = _Listing(root)
    listing.add("", status, outputs)
    files, skipped = sift(root, listing.files, exclude)
    url = _remote_url(root, known)
    new = [p for p in status.untracked if not is_output(p, outputs) and not is_derived(p)]
    changed = tuple(dict.fromkeys([*status.changed, *new]))
    return WorkingTree(
        root=root,
        files=files,
        commit=status.commit,
        branch=status.branch,
        remote=None if url is None else without_credentials(url),
        redacted=() if url is None else redact_url(url, "code.remote"),
        dirty=bool(changed),
        changed=tuple(
            os.fsencode(path).decode("utf-8", "backslashreplace")
            for path in changed[:_LISTED_CHANGES]
        ),
        skipped=(*skipped, *listing.skipped),
        warnings=tuple(listing.warnings),
        submodules=tuple(listing.submodules),
        state=tuple(listing.state),
    )


def _remote_url(root: Path, known: Memory | None) -> str | None:
    """Return the remote's URL: the known one while git's configuration is unchanged.

    GitPython, which takes 130 ms to import, is used only if the URL may be different.
    """
    config = str(_git_folders(root)[1] / "config")
    if known is not None and not known.tree.redacted and known.has_same_settings(config):
        return known.tree.remote
    try:
        text = Path(config).read_text(errors="replace")
    except OSError:
        return None
    return remote_url(root) if "remote" in text or "include" in text else None


def _state(top: Path, branch: str | None) -> list[str]:
    """Return the files that change with the repository's commit, branch, index, remote, or excluded files."""
    place, shared = _git_folders(top)
    own = [place / name for name in ("HEAD", "index", "logs/HEAD", "config.worktree")]
    own += [shared / name for name in ("config", "info/exclude", "packed-refs")]
    own += [shared / "refs" / "heads" / branch] if branch else []
    return [os.path.normpath(path) for path in own]


def _git_folders(top: Path) -> tuple[Path, Path]:
    """Return the git folder of the working tree at `top`, and the one that it shares with its other worktrees."""
    place = top / ".git"
    if place.is_file():  # a linked worktree, or a submodule
        place = top / place.read_text().partition("gitdir:")[2].strip()
    common = place / "commondir"
    return place, place / common.read_text().strip() if common.is_file() else place


def _read_status(root: Path) -> _Status:
    """Read ``git status --porcelain=v2``.

    Format: https://git-scm.com/docs/git-status#_porcelain_format_version_2
    """
    out = run_git(["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"], cwd=root)
    commit = branch = None
    changed: list[str] = []
    untracked: list[str] = []
    fields = iter(out.split(b"\0"))
    for raw in fields:
        kind, text = raw[:1], os.fsdecode(raw)
        if text.startswith("# branch.oid ") and "(initial)" not in text:
            commit = text.split(" ", 2)[2]
        elif text.startswith("# branch.head ") and "(detached)" not in text:
            branch = text.split(" ", 2)[2]
        elif kind == b"1":
            changed.append(text.split(" ", 8)[8])
        elif kind == b"2":  # renamed: the next field is the old path
            changed += [text.split(" ", 9)[9], os.fsdecode(next(fields, b""))]
        elif kind == b"u":
            changed.append(text.split(" ", 10)[10])
        elif kind == b"?":
            untracked.append(text[2:])
    return _Status(commit, branch, tuple(changed), tuple(untracked))


def _tracked(root: Path) -> tuple[list[str], dict[str, str]]:
    """Return the tracked files, and the submodules' folders with their commits in the index."""
    files: dict[str, None] = {}
    submodules: dict[str, str] = {}
    for raw in run_git(["ls-files", "--stage", "-z"], cwd=root).split(b"\0"):
        head, _, path = raw.partition(b"\t")
        if head.startswith(b"160000 "):
            submodules[os.fsdecode(path)] = head.split()[1].decode()
        elif path:
            files[os.fsdecode(path)] = None  # once, although a merge lists it in three stages
    return list(files), submodules
