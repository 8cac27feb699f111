"""The process of one of many replays: it reads its job from its standard input, replays, and notes that it is done."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from ...batch.report import ProcessReport
from ...errors import RecorderError
from ...records import Part
from ...store.store import RunStore
from ..replay import INTERRUPTED, replay
from ..request import Request
from .progress import Done, note_done


class SingleReplayJob(Part, frozen=True):
    """The run to replay, by its number in the store, how, and the folder of its batch; `report` as of every job."""

    store: str
    number: int
    request: Request
    batch: str
    report: str


def main() -> int:
    """Carry out the job; the exit status is the replay's."""
    # Ctrl-C is ignored by what a shell starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=SingleReplayJob)
    try:
        report = _carry_out(job)
    except RecorderError as error:
        report = ProcessReport(
            status="failed", error=str(error), exit_status=RecorderError.exit_status
        )
    except KeyboardInterrupt:
        report = ProcessReport(status="interrupted", exit_status=INTERRUPTED)
    report.write(job.report)
    return report.exit_status


def _carry_out(job: SingleReplayJob) -> ProcessReport:
    store = RunStore(job.store)
    record = store.get(job.number)
    with Path(os.devnull).open("wb") as nowhere:  # what it prints is in its record
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
