"""Replay a run: plan, workspace, a fresh process, and the verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from ..capture import determinism
from ..capture.environment import allowed_variables
from ..compare.verify import Verification, verify
from ..errors import ReplayError
from ..grade import causes
from ..records import Part, Record, Verdict
from ..store.store import Store
from .plan import Plan, make_plan
from .secrets import VARIABLE_PREFIX
from .worker import Job, Report
from .workspace import Workspace

# The interpreter is started in the workspace, whose modules must not pass for recorder's own; and where
# recorder is importable here only by sys.path (a checkout), it is found there as a last resort.
_START = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry != ""]
sys.path.append(sys.argv[1])
from recorder.replay.worker import main
sys.path.pop()
sys.exit(main(int(sys.argv[2])))
"""
# An exit status as a shell gives it for a program that Ctrl-C ended.
INTERRUPTED = 130


class Replay(Part, frozen=True):
    """What came of a replay: the original's record, the replay's own, and the verification.

    `verification` is None where the config was changed: there is nothing to hold it against.
    """

    original: Record
    record: Record
    plan: Plan
    verification: Any = None

    @property
    def exit_status(self) -> int:
        """0 reproduced or close, 1 diverged, 3 could not be done, 4 nothing could be verified."""
        if self.record.status == "interrupted":
            return INTERRUPTED
        if self.verification is None:
            return 0 if self.record.status == "finished" else 3
        return {"reproduced": 0, "close": 0, "diverged": 1, "failed": 3}.get(
            self.verification.verdict, 4
        )

    @property
    def causes(self) -> tuple[str, ...]:
        """Where it came out otherwise: the hazards of the two runs, each of which may be why."""
        if self.verification is None or self.verification.verdict not in _OTHERWISE:
            return ()
        return tuple(causes(self.original, self.record))


_OTHERWISE = ("diverged", "close", "failed")


def replay(
    store: Store,
    record: Record,
    *,
    settings: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    stdout: int | None = None,
    keep: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Run `record` again in a clean workspace, as a new run of the same store.

    Args:
        store: Where the run is, and where its replay goes.
        record: The run.
        settings: Changes to the config as texts, see `recorder.config.settings`; with any, no verdict.
        secrets: The values of arguments that were redacted, as texts by their keys (``db.password``). They must
            be the recorded ones, and are no change.
        rtol: Numbers count as close up to this relative difference. Where this or `atol` is given, it takes the
            place of what the experiment declared.
        atol: Numbers count as close up to this absolute difference.
        stdout: A file descriptor for what the experiment prints, this process's stdout by default.
        keep: Leave the workspace where it is.
        say: Called with each line about what the replay is going to do.

    Raises:
        ReplayError: where it cannot be done; nothing has been recorded then.
        ConfigError: for settings that the experiment does not take, and secrets that it does not need.
    """
    plan = make_plan(store, record, secrets=secrets, settings=settings or {})
    plan.check(record)
    for note in plan.notes:
        say(note)
    with Workspace(store, record, keep=keep) as workspace:
        if keep:
            say(f"the workspace stays in {workspace.path}")
        report = _run_worker(store, record, workspace, plan, settings or {}, stdout)
    if report.run is None:
        raise _error(report, record)
    new = store.find_id(report.run)
    if new is None:
        raise ReplayError(f"the replay of run {record.number} left no record", run=record.number)
    if settings:
        return Replay(original=record, record=new, plan=plan)
    verification = _verify(store, record, new, report, rtol=rtol, atol=atol)
    new = store.annotate(new.number, verdict=_verdict(record, verification))
    return Replay(original=record, record=new, plan=plan, verification=verification)


def _verify(
    store: Store,
    record: Record,
    new: Record,
    report: Report,
    *,
    rtol: float | None,
    atol: float | None,
) -> Verification:
    verification = verify(record, new, store.objects, rtol=rtol, atol=atol)
    if report.leaks:
        reason = f"{report.leaks[0]} was imported from the live tree, not from the snapshot"
        return msgspec.structs.replace(verification, verdict="failed", reason=reason)
    return verification


def _verdict(record: Record, verification: Verification) -> Verdict:
    return Verdict(
        of=record.id,
        verdict=verification.verdict,
        counts=verification.counts,
        reason=verification.reason,
    )


def _run_worker(
    store: Store,
    record: Record,
    workspace: Workspace,
    plan: Plan,
    settings: Mapping[str, str],
    stdout: int | None,
) -> Report:
    """Start the worker, wait for it, and read its report."""
    report = workspace.path / "report.json"
    job = Job(
        store=str(store.path),
        number=record.number,
        tree=str(workspace.tree),
        cwd=str(workspace.cwd),
        report=str(report),
        settings=dict(settings),
        secrets=plan.secrets,
        projects=workspace.projects,
    )
    home = str(Path(__file__).resolve().parent.parent.parent)
    command = [sys.executable, "-c", _START, home]
    variables = _environment(store, record, workspace)
    status = _wait(
        command, msgspec.json.encode(job), cwd=workspace.path, env=variables, stdout=stdout
    )
    if not report.is_file():
        return Report(error=_death(status), exit_status=3)
    return msgspec.json.decode(report.read_bytes(), type=Report)


def _wait(
    command: list[str], job: bytes, *, cwd: Path, env: Mapping[str, str], stdout: int | None
) -> int:
    """Run the command to its end, telling it the job through a pipe whose number is its last argument.

    Ctrl-C reaches it as well, and it gets the time to record that.
    """
    ours, theirs = os.pipe()
    with open(theirs, "wb") as pipe:  # noqa: PTH123 - a descriptor has no path
        try:
            process = subprocess.Popen(
                [*command, str(ours)], cwd=cwd, env=dict(env), stdout=stdout, pass_fds=(ours,)
            )
        finally:
            os.close(ours)
        _tell(pipe, job)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            try:
                return process.wait(timeout=10)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()


def _tell(pipe: IO[bytes], job: bytes) -> None:
    try:
        pipe.write(job)
        pipe.flush()
    except BrokenPipeError:
        return  # it has died already: its exit status says so


def _environment(store: Store, record: Record, workspace: Workspace) -> dict[str, str]:
    """This process's variables, with those that recorder records as they were then."""
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
    return variables


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


def _error(report: Report, record: Record) -> Exception:
    from ..errors import ConfigError

    if report.exit_status == INTERRUPTED:
        return KeyboardInterrupt()  # type: ignore[return-value]
    if report.exit_status == ConfigError.exit_status:
        return ConfigError(report.error)
    message = report.error
    if not message.startswith("run "):
        message = f"run {record.number} could not be replayed: {message}"
    return ReplayError(message, run=record.number)
