"""A git repository in the workspace, for programs that ask git for their commit, branch, tags, or changes.

The repository borrows the objects of the user's repository through ``objects/info/alternates``
(https://git-scm.com/docs/gitrepository-layout) and has separate references, index, and configuration. A program that
commits in the workspace therefore changes nothing in the user's repository.
"""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import SnapshotError
from ...git import run_git
from ...records import Code, Record
from ...store.filesystem.disk import remove_all


def asks_git(record: Record) -> bool:
    """Return whether a run may have asked git: it is a command, or started git, and its project is a repository."""
    if record.code is None or record.code.commit is None:
        return False
    started = [one.detail for one in record.hazards if one.kind == "child process"]
    return record.function.kind == "command" or any(
        Path(word).stem == "git" for detail in started for word in detail.split()
    )


def find_objects(code: Code) -> Path | None:
    """Return the objects folder of the user's repository; None if the recorded commit is not there."""
    root = Path(code.root)
    if code.commit is None or not root.is_dir():
        return None
    try:
        run_git(["cat-file", "-e", f"{code.commit}^{{commit}}"], cwd=root)
        folder = run_git(["rev-parse", "--git-path", "objects"], cwd=root)
    except SnapshotError:
        return None
    return root / os.fsdecode(folder.rstrip(b"\n"))


def make_repository(record: Record, tree: Path) -> None:
    """Make `tree` a git repository with the recorded commit, branch, and remote, and the tags of that time.

    Its index is that commit, so ``git status`` reports the recorded changes. Nothing is made if the user's repository
    does not have the commit.
    """
    code = record.code
    objects = None if code is None else find_objects(code)
    if code is None or objects is None or (tree / ".git").exists():
        return
    try:
        _fill(record, code, objects, tree)
    except SnapshotError:  # git cannot use the user's repository, for example for its format
        remove_all(tree / ".git")


def _fill(record: Record, code: Code, objects: Path, tree: Path) -> None:
    assert code.commit is not None
    run_git(["init", "-q", "--template="], cwd=tree)
    folder = tree / ".git"
    (folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (folder / "objects" / "info" / "alternates").write_text(f"{objects.resolve()}\n")
    exclude = objects.parent / "info" / "exclude"
    if exclude.is_file():
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info" / "exclude").write_bytes(exclude.read_bytes())
    if code.branch is None:
        (folder / "HEAD").write_text(f"{code.commit}\n")
    else:
        (folder / "HEAD").write_text(f"ref: refs/heads/{code.branch}\n")
        run_git(["update-ref", f"refs/heads/{code.branch}", code.commit], cwd=tree)
    for name, target in _tags(code.commit, Path(code.root), before_s=record.started.timestamp()):
        run_git(["update-ref", name, target], cwd=tree)
    if code.remote is not None:
        run_git(["config", "remote.origin.url", code.remote], cwd=tree)
    run_git(["read-tree", code.commit], cwd=tree)
    # This writes the files' sizes and times to the index, which plumbing such as diff-index does not.
    run_git(["status", "--porcelain"], cwd=tree, variables={"GIT_OPTIONAL_LOCKS": "1"})


def _tags(commit: str, root: Path, *, before_s: float) -> list[tuple[str, str]]:
    """Return the names and objects of the tags that describe a commit and are older than `before_s` (Unix time)."""
    line = "%(refname) %(objectname) %(creatordate:unix)"
    args = ["for-each-ref", f"--format={line}", "--merged", commit, "refs/tags"]
    found = [entry.split(" ") for entry in run_git(args, cwd=root).decode().splitlines()]
    return [(name, target) for name, target, created in found if float(created or 0) <= before_s]
