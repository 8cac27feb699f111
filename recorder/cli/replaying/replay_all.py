"""``recorder replay`` for several runs, so that CI can assert that every result still reproduces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ...batch.pool import Worker
from ...batch.report import Ended
from ...records import Record
from ...render.replays.junit import junit_of_many
from ...render.replays.many import describe_many, many_document
from ...render.text import age, duration, printable, shorten
from ...replay.many.many import Selection, replay_many, select_runs, waiting_runs
from ...replay.many.progress import Batch, open_batch
from ...replay.request import Request
from ...store.store import RunStore
from ..progress import Display, show_progress
from .selection import Choice, trusted

_WIDTH = 24
_RESULTS = {
    0: "reproduced",
    1: "diverged",
    3: "failed",
    4: "nothing verified",
    130: "interrupted",
}


def replay_all(
    store: RunStore,
    records: Sequence[Record],
    choice: Choice,
    request: Request,
    *,
    trust: bool,
    as_json: bool,
    junit: Path | None,
) -> int:
    """Replay the runs, print the results, and return the exit status."""
    selection = select_runs(
        store,
        records,
        with_failed=choice.selection.failed,
        with_replays=choice.with_replays,
    )
    if trust:
        selection = selection._replace(
            records=tuple(trusted(store, record) for record in selection.records)
        )
    with open_batch(store, request, chosen=choice.to_document(), restart=choice.restart) as batch:
        _report_resumed(selection, batch)
        waiting = waiting_runs(selection.records, batch)
        with show_progress(_display(waiting)) as progress:
            done = replay_many(
                store,
                selection.records,
                batch,
                request=request,
                processes=choice.jobs,
                tick=progress.tick,
                end=progress.end,
            )
        if as_json:
            document = many_document(done, left_out=selection.left_out)
            click.echo(msgspec.json.format(msgspec.json.encode(document)))
        else:
            click.echo(describe_many(done, left_out=selection.left_out))
        if junit is not None:
            junit.write_bytes(junit_of_many(done))
    return done.exit_status


def _report_resumed(selection: Selection, batch: Batch) -> None:
    count = len(selection.records) - len(waiting_runs(selection.records, batch))
    if count:
        message = (
            f"resuming: {count} of {len(selection.records)} runs were replayed by a command that began"
            f" {age(batch.begun)} ago and was interrupted; to replay them again: --restart"
        )
        click.secho(message, err=True, dim=True)


def _display(records: Sequence[Record]) -> Display:
    """Return the progress display for the replays of these runs."""

    def row(worker: Worker) -> dict[str, str]:
        record = records[worker.place]
        return {
            "run": str(record.number),
            "experiment": shorten(printable(record.experiment), _WIDTH),
        }

    def describe(ended: Ended) -> str:
        record, report = records[ended.place], ended.report
        result = _RESULTS.get(report.exit_status, "could not be done")
        replay = f" (run {report.number})" if report.number is not None else ""
        head = f"run {record.number} ({printable(record.experiment)})"
        line = f"{head}  {result}{replay}  {duration(ended.duration_s)}"
        return f"{line}  {shorten(printable(report.error), 200)}" if report.error else line

    def is_good(ended: Ended) -> bool:
        return ended.report.exit_status == 0

    return Display("replays", len(records), row, describe, is_good, "not reproduced")
