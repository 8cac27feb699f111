"""``recorder list``: the runs of the store, a line each."""

from __future__ import annotations

import click
import msgspec

from ..store.store import Store
from .view.runs import runs_table


@click.command()
@click.option("-e", "--experiment", metavar="NAME", help="Only the runs of this experiment.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option(
    "--grade",
    "graded",
    is_flag=True,
    help="How far each can be replayed, by its hazards (see show).",
)
@click.option("--json", "as_json", is_flag=True, help="The records themselves, a JSON array.")
@click.pass_obj
def command(
    path: str | None, experiment: str | None, limit: int | None, graded: bool, as_json: bool
) -> None:
    """List the runs of the store: number, experiment, status, age, duration, config, metrics.

    The config's columns are those that vary; what is the same for all runs stands once above the table.

    Example: recorder list -e train -n 20
    """
    store = Store(path)
    records = store.runs(last=limit) if experiment is None else store.runs()
    records = [r for r in records if experiment is None or r.experiment == experiment]
    records = records[-limit:] if limit else records
    if as_json:
        documents = [record.to_document() for record in records]
        click.echo(msgspec.json.format(msgspec.json.encode(documents)))
    else:
        click.echo(runs_table(records, graded=graded))
