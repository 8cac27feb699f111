"""Take the current code of a run's project, for replays with --current-code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from ...errors import ReplayError
from ...recording.project import capture_code, take_snapshot
from ...recording.worktree import project_folder
from ...records import Code, EditableProject, Record
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
    root = project_folder(code, store)
    live, _, _ = capture_code(store, root, report)
    if live.snapshot is None:
        raise ReplayError(f"the code in {root} could not be captured", run=record.number)
    projects = tuple(_take_project(store, project, report) for project in code.projects)
    return replace(live, root=code.root, projects=projects)


def _take_project(
    store: RunStore, project: EditableProject, report: Callable[[str], None]
) -> EditableProject:
    """Take a snapshot of a project outside the root; keep the recorded one where the project is gone."""
    root = Path(project.root)
    if not root.is_dir():
        report(f"project {project.name} is gone from {root}, so its recorded code is used")
        return project
    return replace(project, snapshot=take_snapshot(store, root, report)[1], commit=None, dirty=None)
