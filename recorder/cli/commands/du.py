"""``recorder du``: show the disk usage of experiments or runs."""

from __future__ import annotations

import click
import msgspec

from ...render.runs.findings import describe_sizes, sizes_document
from ...store.maintenance.disk_usage import measure
from ...store.store import RunStore


@click.command()
@click.option("--runs", "by_run", is_flag=True, help="List runs instead of experiments.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print bytes by run, by experiment and on disk as JSON."
)
@click.pass_obj
def command(path: str | None, by_run: bool, as_json: bool) -> None:
    """Show the disk usage of experiments or runs, the largest first.

    \b
    Examples:
      recorder du
      recorder du --runs

    `own` is freed if only that experiment or run is removed; `shared` is used by others, too. Code snapshots are
    compressed together, so they count only in the last line, as code.git.
    """
    sizes = measure(RunStore(path))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(sizes_document(sizes))))
    else:
        click.echo(describe_sizes(sizes, by_run=by_run))
