"""A run's project as it is now: what a replay runs that asks whether today's code still gives the same."""

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
    root = find_project(code, store)
    live, _, _ = capture_code(store, root, report)
    if live.snapshot is None:
        raise ReplayError(f"the code in {root} could not be captured", run=record.number)
    setting = Setting(store, root=root)
    projects = tuple(_take_project(setting, project, report) for project in code.projects)
    return replace(live, root=code.root, projects=projects)


def _take_project(setting: Setting, project: Project, report: Callable[[str], None]) -> Project:
    """As it is now; as it was where it is gone."""
    root = Path(project.root)
    if not root.is_dir():
        report(f"project {project.name} is not at {root} any more: it is taken as it was")
        return project
    return replace(project, snapshot=setting.snapshot_of(root, report), commit=None, dirty=None)
