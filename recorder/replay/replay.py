"""Replay a run: plan, workspace, a fresh process, and the verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..compare.items import Verification
from ..environments.rebuild import Rebuilt, rebuilt
from ..errors import ConfigError, ReplayError
from ..hazards import causes, rounding_causes
from ..records import Part, Record, Verdict
from ..secrets.filenames import is_secret_file
from ..store.store import RunStore
from .plan import Plan, make_plan
from .request import Request
from .worker.job import ReplayReport
from .worker.process import run_worker
from .workspace.workspace import LiveTree, Workspace

# An exit status as a shell gives it for a program that Ctrl-C ended.
INTERRUPTED = 130


class ReplayResult(Part, frozen=True):
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
        return status_of(self.record, self.verification)

    @property
    def is_otherwise(self) -> bool:
        """Whether it ran, and came out otherwise than recorded; a replay that was spoilt did not."""
        if self.verification is None:
            return False
        verdict, status = self.verification.verdict, self.record.status
        return verdict == "diverged" or (verdict == "failed" and status == "failed")

    @property
    def causes(self) -> tuple[str, ...]:
        """See `likely_causes`."""
        return likely_causes(self.original, self.record, self.verification)


# The verdicts that have a cause.
_OTHERWISE = ("diverged", "close", "failed")


def likely_causes(
    original: Record, record: Record, verification: Verification | None
) -> tuple[str, ...]:
    """Where a replay came out otherwise: what had changed, and the hazards of both runs, each of which may be why.

    Threads, which next to every program has, only where all else is ruled out and the numbers differ by little.
    """
    if verification is None or verification.verdict not in _OTHERWISE:
        return ()
    found = (*verification.causes, *causes(original, record))
    if not found and verification.is_rounding:
        found = tuple(rounding_causes(original, record))
    return found


def status_of(record: Record, verification: Verification | None) -> int:
    """The exit status that says how the replay `record` came out; `verification` as of `ReplayResult`."""
    if record.status == "interrupted":
        return INTERRUPTED
    if verification is None:
        return 0 if record.status == "finished" else 3
    return {"reproduced": 0, "close": 0, "diverged": 1, "failed": 3}.get(verification.verdict, 4)


def replay(
    store: RunStore,
    record: Record,
    *,
    request: Request = Request(),  # noqa: B008 - frozen
    stdout: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> ReplayResult:
    """Run `record` again in a clean workspace, as a new run of the same store.

    Args:
        store: Where the run is, and where its replay goes.
        record: The run.
        request: How it is to be replayed.
        stdout: A file descriptor for what the experiment prints, this process's stdout by default.
        say: Called with each line about what the replay is going to do.

    Raises:
        ReplayError: where it cannot be done; nothing has been recorded then.
        ConfigError: for settings that the experiment does not take, and secrets that it does not need.
    """
    plan = make_plan(store, record, request=request)
    plan.check()
    for line in plan.lines():
        say(line)
    return carry_out(store, record, plan, request=request, stdout=stdout, say=say)


def carry_out(
    store: RunStore,
    record: Record,
    plan: Plan,
    *,
    request: Request,
    stdout: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> ReplayResult:
    """Do what was planned, see `replay`: lay out the workspace, run the experiment, and give the verdict."""
    code = record.code if plan.live_code is None else plan.live_code
    run = msgspec.structs.replace(record, code=code)
    with contextlib.ExitStack() as stack:
        python = Rebuilt(request.interpreter)
        if plan.blueprint is not None:
            python = stack.enter_context(rebuilt(store, record, plan.blueprint, say=say))
        workspace = stack.enter_context(
            Workspace(store, run, sources=plan.sources, keep=request.keep)
        )
        if request.keep:
            say(f"note: the workspace stays in {workspace.path}")
        report = run_worker(store, run, workspace, plan, request, stdout, python=python)
    if report.run is None:
        raise _error(report, record)
    new = store.find_id(report.run)
    if new is None:
        raise ReplayError(f"the replay of run {record.number} left no record", run=record.number)
    if request.settings:
        return ReplayResult(original=record, record=new, plan=plan)
    verification = _verify(store, record, new, report, request)
    verification = msgspec.structs.replace(verification, causes=tuple(plan.causes()))
    new = store.annotate(new.number, verdict=_verdict(record, verification, plan))
    return ReplayResult(original=record, record=new, plan=plan, verification=verification)


def _verify(
    store: RunStore, record: Record, new: Record, report: ReplayReport, request: Request
) -> Verification:
    from ..compare.verify import verify

    verification = verify(record, new, store.objects, rtol=request.rtol, atol=request.atol)
    reason = ""
    if report.leaks:
        reason = f"{report.leaks[0]} was imported from the live tree, not from the snapshot"
    elif changed := _changed_readings(store, record, new):
        reason = f"{changed[0]} was read from the live tree, where it has changed since"
    return (
        msgspec.structs.replace(verification, verdict="failed", reason=reason)
        if reason
        else verification
    )


def _changed_readings(store: RunStore, record: Record, new: Record) -> list[str]:
    """The project's files that the replay found in the live tree, by absolute paths, with another content."""
    if record.code is None:
        return []
    live = LiveTree(Path(record.code.root), store=store.path)
    recorded = {item.path: item.digest for item in record.inputs if item.in_root}
    return [
        item.path
        for item in new.inputs
        if not item.in_root
        and not is_secret_file(item.path)
        and (inside := live.inside(item.path)) is not None
        and recorded.get(inside) != item.digest
    ]


def _verdict(record: Record, verification: Verification, plan: Plan) -> Verdict:
    return Verdict(
        of=record.id,
        verdict=verification.verdict,
        counts=verification.counts,
        reason=verification.reason,
        live_code=plan.live_code is not None,
    )


def _error(report: ReplayReport, record: Record) -> Exception:
    if report.exit_status == INTERRUPTED:
        return KeyboardInterrupt()  # type: ignore[return-value]
    if report.exit_status == ConfigError.exit_status:
        return ConfigError(report.error)
    message = report.error
    if not message.startswith("run "):
        message = f"run {record.number} could not be replayed: {message}"
    return ReplayError(message, run=record.number)
