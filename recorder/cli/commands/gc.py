"""``recorder gc``: remove what no run refers to."""

from __future__ import annotations

import click
import msgspec

from ...render.runs.findings import describe_freed
from ...store.maintenance.gc import collect
from ...store.store import RunStore


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be freed.")
@click.option("--json", "as_json", is_flag=True, help="What was freed as a JSON array.")
@click.pass_obj
def command(path: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove what no run refers to: removed runs for good, objects, snapshots, workspaces, rebuilt environments.

    The journal loses its history. Runs may be recorded meanwhile: what they need stays. What lies in lost+found
    stays too.

    Example: recorder gc --dry-run
    """
    freed = collect(RunStore(path), dry_run=dry_run)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([one._asdict() for one in freed])))
    else:
        click.echo(describe_freed(freed, dry_run=dry_run))
