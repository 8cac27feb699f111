"""Take the current code of a run's project, for replays with --current-code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from ...errors import ReplayError
from ...recording.project import Setting, capture_code
from ...recording.worktree import find_project
from ...records import Code, Project, Record
from ...store.store import RunStore


def take_live_code(store: RunStore, record: Record, report: Callable[[str], None]) -> Code:
    """Take a snapshot of the current code of a run's project into the store, and return its description.

    The project is searched for at its recorded root and, in case it was moved, next to the store.

    Args:
        store: The store that has the run and receives the snapshot.
        record: The run.
        report: A function that is called with each file that is left out.

    Raises:
        ReplayError: There is no such project, or its code cannot be captured.
    """
    code = record.code
    if code is None or (record.function.file is None and record.function.kind != "command"):
        raise ReplayError(
            f"run {record.number} has no file in a project, so there is no current code to run",
            run=record.number,
        )
    root = find_project(code, store)
    live, _, _ = capture_code(store, root, report)
    if live.snapshot is None:
        raise ReplayError(f"the code in {root} could not be captured", run=record.number)
    setting = Setting(store, root=root)
    projects = tuple(_take_project(setting, project, report) for project in code.projects)
    return replace(live, root=code.root, projects=projects)


def _take_project(setting: Setting, project: Project, report: Callable[[str], None]) -> Project:
    """Take a snapshot of a project outside the root; keep the recorded one where the project is gone."""
    root = Path(project.root)
    if not root.is_dir():
        report(f"project {project.name} is gone from {root}, so its recorded code is used")
        return project
    return replace(project, snapshot=setting.snapshot_of(root, report), commit=None, dirty=None)
