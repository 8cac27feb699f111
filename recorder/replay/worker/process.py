"""The process of a replay: the interpreter and the variables that it is started with, and its report."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ...capture.environment.environment import allowed_variables
from ...capture.seeding import determinism
from ...environments.interpreter import start_command
from ...environments.rebuild import Rebuilt
from ...records import Record
from ...store.store import RunStore
from ..plan import Plan
from ..request import Request
from ..secrets import VARIABLE_PREFIX
from ..workspace.workspace import Workspace
from .job import ReplayJob, ReplayReport

_WORKER = "recorder.replay.worker.worker"


def run_worker(
    store: RunStore,
    record: Record,
    workspace: Workspace,
    plan: Plan,
    request: Request,
    stdout: int | None,
    *,
    python: Rebuilt,
) -> ReplayReport:
    """Start the worker with that Python, wait for it, and read its report."""
    report = workspace.path / "report.json"
    job = ReplayJob(
        store=str(store.path),
        number=record.number,
        tree=str(workspace.tree),
        cwd=str(workspace.cwd),
        report=str(report),
        settings=request.settings,
        secrets=plan.secrets,
        projects=workspace.projects,
        held=(*workspace.held, *python.held),
        rebuilt=plan.blueprint is not None,
        moves=workspace.moves,
        live_code=plan.live_code,
        held_files=str(workspace.held_files) if workspace.held_files.exists() else None,
    )
    command = start_command(python.interpreter, _WORKER)
    variables = _environment(store, record, workspace, {**plan.threads, **request.variables})
    status = _wait(
        command,
        msgspec.json.encode(job),
        cwd=workspace.path,
        env=variables,
        stdout=stdout,
        held=job.held,
    )
    if not report.is_file():
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        return ReplayReport(error=_death(status), exit_status=3)
    return msgspec.json.decode(report.read_bytes(), type=ReplayReport)


def _wait(
    command: list[str],
    job: bytes,
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int | None,
    held: tuple[int, ...],
) -> int:
    """Run the command to its end, telling it the job through a pipe whose number is its last argument; its status.

    `held` are descriptors that it inherits, and whatever it forks, but no other program. Ctrl-C reaches it as well,
    and it gets the time to record that; the status is `_INTERRUPTED` then.
    """
    ours, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            [*command, str(ours)], cwd=cwd, env=dict(env), stdout=stdout, pass_fds=(ours, *held)
        )
    except BaseException:
        os.close(theirs)
        raise
    finally:
        os.close(ours)
    try:
        _tell(theirs, job)
        # What the verdict needs is loaded while the worker starts.
        from ...compare import verify as _verify  # noqa: F401

        return process.wait()
    except KeyboardInterrupt:
        _end(process)
        return _INTERRUPTED


# No status of a process.
_INTERRUPTED = 1000
# So long it may take to write down that it was interrupted.
_LAST_WORDS_S = 10


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for it, though not for ever, and not after a second Ctrl-C."""
    try:
        process.wait(timeout=_LAST_WORDS_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _tell(pipe: int, job: bytes) -> None:
    try:
        with open(pipe, "wb") as file:
            file.write(job)
    except BrokenPipeError:
        return  # it has died already: its exit status says so


def _environment(
    store: RunStore, record: Record, workspace: Workspace, wanted: Mapping[str, str | None]
) -> dict[str, str]:
    """This process's variables, with those that recorder records as they were then, and those asked for."""
    recorded: dict[str, str] = {}
    if record.environment is not None:
        said = msgspec.json.decode(store.read(record.environment)).get("variables") or {}
        recorded = {name: value for name, value in said.items() if isinstance(value, str)}
    ours = allowed_variables(os.environ)
    variables = {name: value for name, value in os.environ.items() if name not in ours}
    variables = {n: v for n, v in variables.items() if not n.startswith(VARIABLE_PREFIX)}
    variables.update(_moved(recorded, record, workspace))
    variables.pop(determinism.HASH_SEED, None)
    if record.process is not None and record.process.hash_seed is not None:
        variables[determinism.HASH_SEED] = record.process.hash_seed
    variables.pop(determinism.VARIABLE, None)
    if record.seed_info is not None and record.seed_info.deterministic:
        variables[determinism.VARIABLE] = "1"
    # The workspace lies below the user's repository, which git would find from inside it.
    variables["GIT_CEILING_DIRECTORIES"] = str(workspace.path)
    variables["RECORDER_STORE"] = str(store.path)
    asked: dict[str, str | None] = {**variables, **wanted}
    return {name: value for name, value in asked.items() if value is not None}


def _moved(recorded: Mapping[str, str], record: Record, workspace: Workspace) -> dict[str, str]:
    """The recorded variables, paths into the live tree pointing into the workspace."""
    if record.code is None:
        return dict(recorded)
    places = {record.code.root: str(workspace.tree), **workspace.projects}
    moved = {}
    for name, value in recorded.items():
        parts = value.split(os.pathsep) if name == "PYTHONPATH" else [value]
        moved[name] = os.pathsep.join(_moved_path(part, places) for part in parts)
    return moved


def _moved_path(path: str, places: Mapping[str, str]) -> str:
    for root, place in places.items():
        if path == root or path.startswith(root + os.sep):
            return place + path[len(root) :]
    return path


def _death(status: int) -> str:
    if status < 0:
        return f"its process was killed by signal {-status}"
    return f"its process ended with status {status} before it could report"
