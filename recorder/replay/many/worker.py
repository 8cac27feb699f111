"""The process of one replay among many."""

from __future__ import annotations

import os
from pathlib import Path

from ...batch.program import run_job
from ...batch.report import INTERRUPTED, ProcessReport
from ...records import Part
from ...store.store import RunStore
from ..replay import replay
from ..request import Request
from .progress import Done, note_done


class SingleReplayJob(Part, frozen=True):
    """One run to replay.

    Attributes:
        store: The path of the store.
        number: The number of the run.
        request: The options of the replay.
        batch: The folder of the batch, see `recorder.replay.many.progress`.
        report: The path of the process's report.
    """

    store: str
    number: int
    request: Request
    batch: str
    report: str


def main() -> int:
    """Replay the run that standard input describes; return the exit status of the replay."""
    return run_job(SingleReplayJob, _carry_out)


def _carry_out(job: SingleReplayJob) -> ProcessReport:
    store = RunStore(job.store)
    record = store.get(job.number)
    with Path(os.devnull).open("wb") as nowhere:  # the record has the output of the experiment
        done = replay(store, record, request=job.request, stdout=nowhere.fileno())
    new = done.record
    if done.exit_status != INTERRUPTED:
        note = Done(
            original=record.id, replay=new.id, number=new.number, verification=done.verification
        )
        note_done(Path(job.batch), note)
    return ProcessReport(
        store=job.store,
        number=new.number,
        status="interrupted" if done.exit_status == INTERRUPTED else "finished",
        exit_status=done.exit_status,
    )
