"""Start the process of a replay: its interpreter, variables, and job."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ...capture.environment.environment import allowed_variables
from ...capture.seeding import determinism
from ...environments.child import describe_exit, start_command
from ...environments.rebuild import Rebuilt
from ...records import Record
from ...store.store import RunStore
from ..plan import Plan
from ..request import Request
from ..secrets import VARIABLE_PREFIX
from ..workspace.workspace import Workspace
from .job import ReplayJob, ReplayReport

_WORKER = "from recorder.replay.worker.worker import main"
# Distinct from every exit status of a process.
_INTERRUPTED = 1000
# The time that an interrupted worker has to write its record, in seconds.
_GRACE_S = 10


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
    """Run the worker with that Python to its end, and return its report.

    Raises:
        KeyboardInterrupt: Ctrl-C ended the worker before it could report.
    """
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
    status = _run(
        start_command(python.interpreter, _WORKER),
        msgspec.json.encode(job),
        cwd=workspace.path,
        env=_variables(store, record, workspace, plan, request),
        stdout=stdout,
        held=job.held,
    )
    if not report.is_file():
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        error = f"its process {describe_exit(status)} before it could report"
        return ReplayReport(error=error, exit_status=3)
    return msgspec.json.decode(report.read_bytes(), type=ReplayReport)


def _run(
    command: list[str],
    job: bytes,
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int | None,
    held: tuple[int, ...],
) -> int:
    """Run the command and write the job to a pipe, whose descriptor is its last argument; return its exit status.

    The command and its forks inherit the descriptors in `held`; other programs do not. Ctrl-C reaches the command as
    well, which then has time to write its record; the status is `_INTERRUPTED`.
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
        try:
            with open(theirs, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(job)
        except BrokenPipeError:
            pass  # the process has ended already, as its exit status shows
        # While the worker starts, this process imports the modules that compare.
        from ...compare import verify as _verify  # noqa: F401

        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(timeout=_GRACE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        return _INTERRUPTED


def _variables(
    store: RunStore, record: Record, workspace: Workspace, plan: Plan, request: Request
) -> dict[str, str]:
    """Return this process's variables, with the recorded ones in place of all that recorder records."""
    ours = allowed_variables(os.environ)
    variables: dict[str, str | None] = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith(VARIABLE_PREFIX)
    }
    variables.update(_redirect_variables(plan.variables, record, workspace))
    variables.pop(determinism.HASH_SEED, None)
    if record.process is not None and record.process.hash_seed is not None:
        variables[determinism.HASH_SEED] = record.process.hash_seed
    variables.pop(determinism.VARIABLE, None)
    if record.seed_info is not None and record.seed_info.deterministic:
        variables[determinism.VARIABLE] = "1"
    # The workspace lies below the user's repository, which git must not find from inside it.
    variables["GIT_CEILING_DIRECTORIES"] = str(workspace.path)
    variables["RECORDER_STORE"] = str(store.path)
    variables.update(plan.threads)
    variables.update(request.variables)
    return {name: value for name, value in variables.items() if value is not None}


def _redirect_variables(
    recorded: Mapping[str, str], record: Record, workspace: Workspace
) -> dict[str, str]:
    """Return the recorded variables, with paths into the live tree changed to point into the workspace."""
    if record.code is None:
        return dict(recorded)
    places = {record.code.root: str(workspace.tree), **workspace.projects}
    moved = {}
    for name, value in recorded.items():
        parts = value.split(os.pathsep) if name == "PYTHONPATH" else [value]
        moved[name] = os.pathsep.join(_redirect_path(part, places) for part in parts)
    return moved


def _redirect_path(path: str, places: Mapping[str, str]) -> str:
    for root, place in places.items():
        if path == root or path.startswith(root + os.sep):
            return place + path[len(root) :]
    return path
