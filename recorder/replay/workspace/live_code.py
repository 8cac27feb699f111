"""A run's project as it is now: what a replay runs that asks whether today's code still gives the same."""

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
    """The code of the run's project as it is now, its snapshot taken into the store.

    It is looked for where it was, else, as after the project has been moved, beside the store. `report` is told what is
    left out. Raises ReplayError where there is none, or none that a record could hold.
    """
    code = record.code
    if code is None or (record.function.file is None and record.function.kind != "command"):
        raise ReplayError(
            f"run {record.number} has no file in a project whose code of today could be run",
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
    """As it is now; as it was where it is gone."""
    root = Path(project.root)
    if not root.is_dir():
        report(f"project {project.name} is not at {root} any more: it is taken as it was")
        return project
    return replace(project, snapshot=take_snapshot(store, root, report)[1], commit=None, dirty=None)
