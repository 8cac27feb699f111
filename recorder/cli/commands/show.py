"""``recorder show``: everything about one run."""

from __future__ import annotations

import click
import msgspec

from ...render.runs.record import describe_record
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option("--json", "as_json", is_flag=True, help="The record itself.")
@click.pass_obj
def command(path: str | None, run: str, as_json: bool) -> None:
    """Show everything about RUN: what ran, with what, from which code, and what came out.

    Example: recorder show last
    """
    store = RunStore(path)
    record = store.find(run)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(record.to_document())))
    else:
        click.echo(describe_record(record, store))
