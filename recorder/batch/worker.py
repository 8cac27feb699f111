"""The process of one cell of a sweep."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ..errors import RecorderError
from ..recording.entrypoint import load_target
from ..recording.execution import Execution
from .cells import prepare_cell
from .job import CellJob, reuse_cell
from .program import run_job
from .report import INTERRUPTED, ProcessReport


def main() -> int:
    """Run the cell that standard input describes, as `recorder run` does; return the exit status."""
    return run_job(CellJob, _carry_out)


def _carry_out(job: CellJob) -> ProcessReport:
    sys.argv[:] = job.argv
    experiment = load_target(job.target, cwd=Path.cwd())
    prepared = prepare_cell(experiment, job.cell(experiment))
    assert prepared.call is not None  # sweeps are refused in a job with several ranks
    if job.reuse or experiment.options.reuse:
        reused = reuse_cell(prepared.call, tags=job.tags)
        if reused is not None:
            return reused
    call = msgspec.structs.replace(prepared.call, tags=(*prepared.call.tags, *job.tags))
    execution = Execution(experiment, call, prepared.bound)
    run = execution.run
    run.note = job.note
    begun = ProcessReport(store=str(run.store.path), number=run.number)
    begun.write(job.report)
    status = 0
    try:
        execution.complete()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException:  # noqa: BLE001 - the experiment's exception, which the record keeps
        sys.stderr.write(run.traceback)
        status = 0 if run.record.status == "finished" else RecorderError.exit_status
    return msgspec.structs.replace(begun, status=run.record.status, exit_status=status)
