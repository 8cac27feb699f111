"""The job of a replay's process, and its report."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...records import JSON, Code, Part


class ReplayJob(Part, frozen=True):
    """A run to replay.

    Attributes:
        store: The path of the store.
        number: The number of the run.
        tree: The folder that stands for the project's root.
        cwd: The working directory.
        report: The path of the report to write.
        settings: Changes to the config: strings by key.
        secrets: The codec's forms of redacted arguments by key.
        projects: The workspace folders of projects outside the root, by their recorded roots.
        held: Descriptors of the locks of the workspace and the environment.
        rebuilt: Whether the environment was built for replays, and nothing in it points to the projects.
        moves: The places to read files outside the project from, by the paths that the program uses.
        live_code: The code in the tree, where it is not the recorded code.
        held_files: The path of a list of the snapshot's files.
    """

    store: str
    number: int
    tree: str
    cwd: str
    report: str
    settings: Mapping[str, str] = msgspec.field(default_factory=dict)
    secrets: Mapping[str, JSON] = msgspec.field(default_factory=dict)
    projects: Mapping[str, str] = msgspec.field(default_factory=dict)
    held: tuple[int, ...] = ()
    rebuilt: bool = False
    moves: Mapping[str, str] = msgspec.field(default_factory=dict)
    live_code: Code | None = None
    held_files: str | None = None


class ReplayReport(Part, frozen=True):
    """The report of a replay's process.

    Attributes:
        run: The id of the replay's run; None where there is none.
        error: The reason why there is no run.
        exit_status: The exit status of that error; 0 without one.
        leaks: Modules that were imported from the live tree.
    """

    run: str | None = None
    error: str = ""
    exit_status: int = 0
    leaks: tuple[str, ...] = ()
