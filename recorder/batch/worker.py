"""The process of one cell: it reads its job from its standard input, and runs the experiment as `recorder run` does."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from ..capture.failure import own_traceback
from ..errors import RecorderError
from ..recording.entrypoint import load_target
from ..recording.execution import Execution
from ..recording.experiment import Experiment
from .cells import Prepared, prepare_cell
from .job import CellJob, reuse_cell
from .report import ProcessReport

INTERRUPTED = 130


def main() -> int:
    """Carry out the job; the exit status is the run's."""
    # Ctrl-C is ignored by what a shell starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=CellJob)
    _close_stdin()
    try:
        report = _carry_out(job)
    except RecorderError as error:
        report = ProcessReport(status="failed", error=str(error), exit_status=error.exit_status)
    except KeyboardInterrupt:
        report = ProcessReport(status="interrupted", exit_status=INTERRUPTED)
    except BaseException as error:  # noqa: BLE001 - whatever the user's module raises while it is loaded
        sys.stderr.write(own_traceback(error))
        said = f"{type(error).__name__}: {error}"
        report = ProcessReport(status="failed", error=said, exit_status=RecorderError.exit_status)
    report.write(job.report)
    return report.exit_status


def _close_stdin() -> None:
    """Whoever asks for input finds none."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lasts as long as the process


def _carry_out(job: CellJob) -> ProcessReport:
    sys.argv[:] = job.argv
    experiment = load_target(job.target, cwd=Path.cwd())
    return _run(experiment, prepare_cell(experiment, job.cell(experiment)), job)


def _run(experiment: Experiment, prepared: Prepared, job: CellJob) -> ProcessReport:
    assert prepared.call is not None  # a job of several ranks has no cells
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
    except BaseException:  # noqa: BLE001 - the experiment's own, which is in the record
        sys.stderr.write(run.traceback)
        status = 0 if run.record.status == "finished" else RecorderError.exit_status
    return msgspec.structs.replace(begun, status=run.record.status, exit_status=status)
