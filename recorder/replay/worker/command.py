"""Replay a recorded command line in the workspace."""

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
    """Run a recorded command again in this process's working directory, and return the id of the new run.

    Args:
        record: The recorded command.
        tree: The folder of the workspace that stands for the project's root.
        live: The project's folder on this machine; None for a run without code.
        settings: Must be empty: a command line takes no settings.
        moves: The present places of inputs by the paths on the command line.

    Raises:
        ConfigError: There are settings.
        ReplayError: The program could not be started.
    """
    if settings:
        raise ConfigError(
            "a command line takes no --set; record the changed one: recorder exec -- ..."
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
    argv = _redirect(record, tree, live, moves)
    try:
        done = execute(call, argv, outputs=_named_outputs(record), variables=_variables(tree))
    except OSError as error:
        raise ReplayError(f"{argv[0]} could not be started: {error}", run=record.number) from error
    return done.run.id


def _redirect(
    record: Record, tree: Path, live: LiveTree | None, moves: Mapping[str, str]
) -> list[str]:
    """Return the command line with paths into the project pointing into the workspace, and inputs to their places.

    A program that the snapshot lacks (in an environment inside the project, or compiled) is taken from the project.
    """
    program, *rest = argv_of(record)
    moved = [_redirect_argument(arg, tree, live, moves) for arg in rest]
    there = _redirect_argument(program, tree, live, moves)
    if os.sep in program and not Path(there).exists() and record.process is not None:
        there = str(Path(record.process.cwd) / program)
    return [there, *moved]


def _redirect_argument(
    arg: str, tree: Path, live: LiveTree | None, moves: Mapping[str, str]
) -> str:
    option, equals, path = arg.partition("=") if arg.startswith("-") else ("", "", arg)
    if not Path(path).is_absolute():
        return arg
    moved = Redirection(moves).find(path)
    if moved != path:
        return f"{option}{equals}{moved}"
    inside = None if live is None else live.inside(path)
    return arg if inside is None else f"{option}{equals}{tree / inside}"


def _named_outputs(record: Record) -> list[str]:
    """Return the outputs that --output named and that a search of the working directory does not find."""
    paths = [(o.path, o.kind) for o in record.outputs if o.path is not None]
    return [path for path, kind in paths if kind == "folder" or Path(path).is_absolute()]


def _variables(tree: Path) -> dict[str, str]:
    """Return the PYTHONPATH by which a Python command imports an editable project from the workspace."""
    ours = [entry for entry in sys.path if Path(entry).is_relative_to(tree)]
    given = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([*ours, *([given] if given else [])])} if ours else {}
