"""``recorder remove``: put runs into the trash, and take them out again."""

from __future__ import annotations

import click

from ...errors import RunNotFoundError
from ...records import Record
from ...render.text import age, describe_runs
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import named_runs, where_option


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@where_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--undo", is_flag=True, help="Take runs out of the trash, all of them if none is named."
)
@click.pass_obj
def command(
    path: str | None, runs: tuple[str, ...], where: str | None, yes: bool, undo: bool
) -> None:
    """Put each RUN into the trash, with everything that belongs to it, until `recorder gc` empties it.

    A removed run keeps its number, which no other run gets. --undo takes only numbers and ids.

    Example: recorder remove 12 13 --yes
    """
    store = RunStore(path)
    if undo and where:
        raise click.UsageError("--where finds no runs in the trash: name those to be taken out")
    if undo:
        restored = store.restore([_in_trash(store, ref) for ref in runs] if runs else None)
        click.echo(f"back: {_numbers(restored)}" if restored else "the trash is empty")
        return
    if not (runs or where):
        raise click.UsageError("name the runs to be removed, or --where")
    records = named_runs(store, runs, where=where)
    if not yes:
        for record in records:
            click.echo(f"  {record.number}  {record.experiment}, {age(record.started)} old")
        click.confirm(f"remove {_numbers(records)}?", abort=True)
    store.remove([record.number for record in records])
    click.echo(
        f"removed: {_numbers(records)} (until `recorder gc`; `recorder remove --undo` takes it back)"
    )


def _in_trash(store: RunStore, ref: str) -> int:
    for record in store.trash():
        if ref == str(record.number) or (len(ref) >= 4 and record.id.startswith(ref)):
            return record.number
    raise RunNotFoundError(f"no run {ref!r} in the trash", ref=ref)


def _numbers(records: list[Record]) -> str:
    return describe_runs([record.number for record in records])
