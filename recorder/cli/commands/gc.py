"""``recorder gc``: remove what no run refers to."""

from __future__ import annotations

import click
import msgspec

from ...render.runs.findings import describe_freed
from ...store.maintenance.gc import collect
from ...store.store import RunStore


@click.command()
@click.option(
    "--yes",
    is_flag=True,
    help="Collect even if the journal has lost lines, or never mentioned most of the objects.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be freed.")
@click.option("--json", "as_json", is_flag=True, help="What was freed as a JSON array.")
@click.pass_obj
def command(path: str | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what no run refers to: removed runs for good, objects, snapshots, workspaces, rebuilt environments.

    The journal loses its history. Runs may be recorded meanwhile: what they need stays. What lies in lost+found
    stays too.

    Nothing is removed while a record in the journal is damaged: it may refer to any object. If the journal has lost
    lines, or more than half of the objects were never mentioned in it, it may not be the journal of this store, and
    --yes must confirm the collection.

    Example: recorder gc --dry-run
    """
    freed = collect(RunStore(path), dry_run=dry_run, confirmed=yes)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([one._asdict() for one in freed])))
    else:
        click.echo(describe_freed(freed, dry_run=dry_run))
