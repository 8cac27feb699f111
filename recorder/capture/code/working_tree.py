"""The description of a project's working tree."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...records import Redacted, Skipped, Submodule


class WorkingTree(NamedTuple):
    """The files of a project at one moment.

    `files` are the paths for a snapshot, relative to `root`, with forward slashes; bytes that are not UTF-8 are
    surrogates. `changed` are the paths that differ from `commit`. `skipped` are the paths left out, with the reason.
    `submodules` are listed with their current commits. `state` are the absolute paths of the files from which git
    reads all this. Without a repository, commit, branch, remote, and dirty are None.
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
