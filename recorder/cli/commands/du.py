"""``recorder du``: how much room the runs take."""

from __future__ import annotations

import click
import msgspec

from ...render.runs.findings import describe_sizes, sizes_document
from ...store.maintenance.disk_usage import measure
from ...store.store import RunStore


@click.command()
@click.option("--runs", "by_run", is_flag=True, help="By run, not by experiment.")
@click.option("--json", "as_json", is_flag=True, help="Bytes by run, by experiment and on disk.")
@click.pass_obj
def command(path: str | None, by_run: bool, as_json: bool) -> None:
    """Show how much room the experiments take, the largest first.

    `own` would be freed if that one were removed, `shared` is held by others as well. Snapshots of the code are
    compressed together, and counted on the last line only, as code.git.

    Example: recorder du --runs
    """
    sizes = measure(RunStore(path))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(sizes_document(sizes))))
    else:
        click.echo(describe_sizes(sizes, by_run=by_run))
