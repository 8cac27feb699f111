"""The replay of a recorded command: the same command line in the workspace."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ...errors import ConfigError, ReplayError
from ...recording import project
from ...recording.exec import execute
from ...recording.invocation import Call
from ...records import Record
from ..plan import argv_of
from ..workspace.redirection import Redirection
from ..workspace.workspace import LiveTree


def replay_command(
    record: Record,
    *,
    tree: Path,
    live: LiveTree | None,
    settings: Mapping[str, str],
    moves: Mapping[str, str],
) -> str:
    """Run the command again in this process's working directory, which is the workspace's; the new run's id.

    `moves` are the places of inputs by the paths on the command line.

    Raises ConfigError for settings, which a command line does not take, ReplayError where it cannot be started.
    """
    if settings:
        raise ConfigError(
            "a command line takes no settings: record the other one with recorder exec"
        )
    assert project.given is not None
    assert record.seed_info is not None
    call = Call(
        experiment=record.experiment,
        function=record.function,
        arguments=dict(record.config),
        seed=record.seed_info,
        project=project.given,
        replay_of=record.id,
        tolerance=record.tolerance,
    )
    argv = _move(record, tree, live, moves)
    try:
        done = execute(call, argv, outputs=_named(record), variables=_variables(tree))
    except OSError as error:
        raise ReplayError(f"{argv[0]} could not be started: {error}", run=record.number) from error
    return done.run.id


def _move(record: Record, tree: Path, live: LiveTree | None, moves: Mapping[str, str]) -> list[str]:
    """The command line, paths into the project pointing into the workspace, and inputs to where they are now.

    A program that the snapshot does not hold (an environment inside the project, what was compiled) is the project's.
    """
    program, *rest = argv_of(record)
    moved = [_move_path(arg, tree, live, moves) for arg in rest]
    there = _move_path(program, tree, live, moves)
    if os.sep in program and not Path(there).exists() and record.process is not None:
        there = str(Path(record.process.cwd) / program)
    return [there, *moved]


def _move_path(arg: str, tree: Path, live: LiveTree | None, moves: Mapping[str, str]) -> str:
    option, equals, path = arg.partition("=") if arg.startswith("-") else ("", "", arg)
    if not Path(path).is_absolute():
        return arg
    found = Redirection(moves).find(path)
    if found != path:
        return f"{option}{equals}{found}"
    inside = None if live is None else live.inside(path)
    return arg if inside is None else f"{option}{equals}{tree / inside}"


def _named(record: Record) -> list[str]:
    """What --output had named, as far as a look at the working directory does not find it."""
    paths = [(o.path, o.kind) for o in record.outputs if o.path is not None]
    return [path for path, kind in paths if kind == "folder" or Path(path).is_absolute()]


def _variables(tree: Path) -> dict[str, str]:
    """Where Python has the project installed to be edited, a Python command imports it from the workspace."""
    ours = [entry for entry in sys.path if Path(entry).is_relative_to(tree)]
    given = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([*ours, *([given] if given else [])])} if ours else {}
