"""``recorder export``: write runs with everything they need into a zip file."""

from __future__ import annotations

from pathlib import Path

import click

from ...render.text import describe_runs, size
from ...store.archive.transfer import export_runs
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import RunSelection, find_runs, selection_options


@click.command()
@click.argument(
    "runs", metavar="[RUN]... FILE.zip", nargs=-1, required=True, shell_complete=complete_runs
)
@selection_options
@click.option("--all", "every", is_flag=True, help="Every run that has ended.")
@click.option("--force", is_flag=True, help="Overwrite FILE.zip.")
@click.pass_obj
def command(
    path: str | None, runs: tuple[str, ...], selection: RunSelection, every: bool, force: bool
) -> None:
    """Write runs with everything they need into a zip file.

    \b
    Examples:
      recorder export 12 13 paper.zip
      recorder export --tag paper tagged.zip

    The file has the records, their outputs and inputs, code snapshots and environments. Add the runs to another
    store with `recorder import`.
    """
    *refs, file = runs
    if every == bool(refs or not selection.is_empty):
        raise click.UsageError(
            "name runs, or use --where, --tag, --failed or --all, before FILE.zip"
        )
    store = RunStore(path)
    if every:
        records = [
            run for run in store.runs() if run.status != "running" and not store.is_unfinished(run)
        ]
    else:
        records = find_runs(store, refs, selection)
    done = export_runs(store, records, Path(file), overwrite=force)
    objects = f"{done.objects} object{'s' * (done.objects != 1)}"
    snapshots = f"{done.snapshots} snapshot{'s' * (done.snapshots != 1)}"
    content = f"{objects}, {snapshots}, {size(done.size_bytes)}"
    click.echo(f"{file}: {describe_runs(done.runs)}, {content}")
