"""The value that stands for a project's files as they are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...records import Redacted, Skipped, Submodule


class WorkingTree(NamedTuple):
    """A project's files as they are.

    `files` are what a snapshot shall hold, relative to `root`, with slashes (bytes that are not UTF-8 as
    surrogates); `changed` the paths in which the tree differs from `commit`; `skipped` what is left out, and
    why; `submodules` those of the repository, with the commits that they are at. `state` are the files by which
    git says so, absolute. Without a repository commit, branch, remote and dirty are None.
    """

    root: Path
    files: tuple[str, ...]
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool | None = None
    changed: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    redacted: tuple[Redacted, ...] = ()
    submodules: tuple[Submodule, ...] = ()
    state: tuple[str, ...] = ()
