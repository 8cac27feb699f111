"""Replay a run: plan it, lay out a workspace, run it in a new process, and compare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..batch.report import INTERRUPTED
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

# Verdicts that have a cause.
_WITH_CAUSE = ("diverged", "close", "failed")


class ReplayResult(Part, frozen=True):
    """A finished replay.

    Attributes:
        original: The record of the run that was replayed.
        record: The record of the replay.
        plan: The plan of the replay.
        verification: The comparison of both records; None where the config was changed.
    """

    original: Record
    record: Record
    plan: Plan
    verification: Any = None

    @property
    def exit_status(self) -> int:
        """0 reproduced or close, 1 diverged, 3 could not be done, 4 nothing verified, 130 interrupted."""
        return status_of(self.record, self.verification)

    @property
    def has_diverged(self) -> bool:
        """True if the replay ended with another result or status than recorded; False if the replay was spoiled."""
        if self.verification is None:
            return False
        verdict, status = self.verification.verdict, self.record.status
        return verdict == "diverged" or (verdict == "failed" and status == "failed")

    @property
    def causes(self) -> tuple[str, ...]:
        """The likely causes of a divergence, see `likely_causes`."""
        return likely_causes(self.original, self.record, self.verification)


def likely_causes(
    original: Record, record: Record, verification: Verification | None
) -> tuple[str, ...]:
    """Return the likely causes of a divergence: changes since the recording, and the hazards of both runs.

    Nearly every program has threads, so they are named only where there is no other cause and numbers differ slightly.
    """
    if verification is None or verification.verdict not in _WITH_CAUSE:
        return ()
    likely = (*verification.causes, *causes(original, record))
    if not likely and verification.is_rounding:
        likely = tuple(rounding_causes(original, record))
    return likely


def status_of(record: Record, verification: Verification | None) -> int:
    """Return the exit status of the replay `record`; `verification` is None for a changed config."""
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
        store: The store that has the run and receives the replay.
        record: The run.
        request: The options of the replay.
        stdout: The file descriptor for the experiment's standard output; None for that of this process.
        say: A function that is called with each line about the plan and its progress.

    Raises:
        ReplayError: The run cannot be replayed; nothing was recorded.
        ConfigError: The experiment does not take the settings, or does not need the secrets.
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
    """Carry out a plan: lay out the workspace, run the experiment, and compare. For the arguments see `replay`."""
    code = record.code if plan.live_code is None else plan.live_code
    run = msgspec.structs.replace(record, code=code)
    with contextlib.ExitStack() as stack:
        python = Rebuilt(request.interpreter)
        if plan.blueprint is not None:
            python = stack.enter_context(rebuilt(store, record, plan.blueprint, say=say))
        workspace = stack.enter_context(
            Workspace(store, run, sources=plan.sources, keep=request.keep_workspace)
        )
        if request.keep_workspace:
            say(f"note: keeping the workspace {workspace.path}")
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
    verdict = Verdict(
        of=record.id,
        verdict=verification.verdict,
        counts=verification.counts,
        reason=verification.reason,
        live_code=plan.live_code is not None,
    )
    new = store.annotate(new.number, verdict=verdict)
    return ReplayResult(original=record, record=new, plan=plan, verification=verification)


def _verify(
    store: RunStore, record: Record, new: Record, report: ReplayReport, request: Request
) -> Verification:
    """Compare the replay with its original; it has failed where it ran or read anything from the live tree."""
    from ..compare.verify import verify

    verification = verify(record, new, store.objects, rtol=request.rtol, atol=request.atol)
    reason = ""
    if report.leaks:
        reason = f"{report.leaks[0]} was imported from the live tree, not from the snapshot"
    elif changed := _changed_reads(store, record, new):
        reason = (
            f"{changed[0]} was read from the live tree, where it has changed since the recording"
        )
    if not reason:
        return verification
    return msgspec.structs.replace(verification, verdict="failed", reason=reason)


def _changed_reads(store: RunStore, record: Record, new: Record) -> list[str]:
    """Return the absolute paths of project files that the replay read in the live tree with other content."""
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


def _error(report: ReplayReport, record: Record) -> Exception:
    if report.exit_status == INTERRUPTED:
        return KeyboardInterrupt()  # type: ignore[return-value]
    if report.exit_status == ConfigError.exit_status:
        return ConfigError(report.error)
    message = report.error
    if not message.startswith("run "):
        message = f"run {record.number} could not be replayed: {message}"
    return ReplayError(message, run=record.number)
