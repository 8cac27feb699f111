"""``recorder gc``: delete what no run refers to."""

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
@click.option("--dry-run", is_flag=True, help="Show what would be freed; delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was freed as a JSON array.")
@click.pass_obj
def command(path: str | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete what no run refers to, and free disk space.

    \b
    Examples:
      recorder gc --dry-run
      recorder gc

    Deletes the runs in the trash for good, unreferenced objects and snapshots, workspaces of replays and rebuilt
    environments, and compacts the journal. Runs can be recorded meanwhile; what they need stays. lost+found stays,
    too.

    Nothing is deleted while a record in the journal is damaged: it may refer to any object. If the journal has lost
    lines, or more than half of the objects were never mentioned in it, it may not be the journal of this store;
    then --yes must confirm the collection.
    """
    freed = collect(RunStore(path), dry_run=dry_run, confirmed=yes)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([one._asdict() for one in freed])))
    else:
        click.echo(describe_freed(freed, dry_run=dry_run))
