"""``recorder replay --all``: many runs, so that a repository's CI can assert that every result still comes out."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...render.progress import show_progress
from ...render.replays.junit import junit_of_many
from ...render.replays.many import describe_many, many_document, show_many
from ...render.text import age
from ...replay.many.many import Selection, replay_many, select_runs, waiting_runs
from ...replay.many.progress import Batch, open_batch
from ...replay.request import Request
from ...store.store import RunStore
from .selection import Choice, trusted


def replay_all(
    store: RunStore,
    choice: Choice,
    request: Request,
    *,
    trust: bool,
    as_json: bool,
    junit: Path | None,
) -> int:
    """Replay the runs, print what came of them, and give the exit status."""
    selection = select_runs(
        store,
        where=choice.where,
        tags=choice.tags,
        with_failed=choice.with_failed,
        with_replays=choice.with_replays,
    )
    if trust:
        records = tuple(trusted(store, record) for record in selection.records)
        selection = selection._replace(records=records)
    chosen = choice._replace(jobs=1, restart=False)._asdict()
    with open_batch(store, request, chosen=chosen, restart=choice.restart) as batch:
        _say_taken_over(selection, batch)
        shown = show_many(waiting_runs(selection.records, batch))
        with show_progress(shown) as progress:
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


def _say_taken_over(selection: Selection, batch: Batch) -> None:
    count = len(selection.records) - len(waiting_runs(selection.records, batch))
    if count:
        said = (
            f"going on: {count} of {len(selection.records)} were replayed by the command that began"
            f" {age(batch.begun)} ago and was interrupted (--restart replays them again)"
        )
        click.secho(said, err=True, dim=True)
