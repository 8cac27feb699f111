"""``recorder export``: runs into a zip file."""

from __future__ import annotations

from pathlib import Path

import click

from ...render.text import describe_runs, size
from ...store.archive.transfer import export_runs
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import named_runs, where_option


@click.command()
@click.argument(
    "runs", metavar="[RUN]... FILE.zip", nargs=-1, required=True, shell_complete=complete_runs
)
@where_option
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Every run that has ended: `recorder export --all FILE.zip`.",
)
@click.option("--force", is_flag=True, help="Take the place of a file that is there.")
@click.pass_obj
def command(
    path: str | None, runs: tuple[str, ...], where: str | None, every: bool, force: bool
) -> None:
    """Write each RUN, with its objects, code and environment, into FILE.zip, for `recorder import` elsewhere.

    Example: recorder export 12 13 paper.zip
    """
    *refs, file = runs
    if every == bool(refs or where):
        raise click.UsageError("name the runs, or --where or --all, and then the file")
    store = RunStore(path)
    if every:
        records = [
            run for run in store.runs() if run.status != "running" and not store.is_unfinished(run)
        ]
    else:
        records = named_runs(store, refs, where=where)
    done = export_runs(store, records, Path(file), overwrite=force)
    objects = f"{done.objects} object{'s' * (done.objects != 1)}"
    snapshots = f"{done.snapshots} snapshot{'s' * (done.snapshots != 1)}"
    held = f"{objects}, {snapshots}, {size(done.size_bytes)}"
    click.echo(f"{file}: {describe_runs(done.runs)}, {held}")
