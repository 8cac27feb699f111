"""What a replay tells the process that it starts, and what that one reports."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...records import JSON, Code, Part


class ReplayJob(Part, frozen=True):
    """What to replay: the run's number in the store, its workspace, and settings for its config.

    `secrets` are the forms of redacted arguments by their keys; `projects` the workspace's folders for the projects
    outside the root, by their own; `held` the descriptors of the workspace's lock and the environment's; `rebuilt` says
    that the environment was built for replays, and has nothing that points to the projects; `moves` where to read files
    outside the project, by the paths that the program knows them by; `live_code` what is in the tree, where that is not
    the recorded one; `held_files` a list of the snapshot's files.
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
    """What came of it: the id of the replay's run, or why there is none.

    `exit_status` is that of the error, 0 without; `leaks` are the modules that came from the live tree.
    """

    run: str | None = None
    error: str = ""
    exit_status: int = 0
    leaks: tuple[str, ...] = ()
