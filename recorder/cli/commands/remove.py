"""``recorder remove``: move runs to the trash, or back."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ...errors import RunNotFoundError
from ...records import Record
from ...render.text import age, describe_runs
from ...store.query.refs import is_range
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import RunSelection, find_runs, require_runs, selection_options


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@selection_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--undo", is_flag=True, help="Take runs out of the trash: those named, or all if none is named."
)
@click.pass_obj
def command(
    path: str | None, runs: tuple[str, ...], selection: RunSelection, yes: bool, undo: bool
) -> None:
    """Move runs to the trash, or back.

    \b
    Examples:
      recorder remove 12 13 --yes
      recorder remove --undo 12
      recorder remove --where 'started < "30 days ago"' --failed

    A removed run keeps its number and everything that belongs to it until `recorder gc` empties the trash. --undo
    takes numbers, ranges and ids.
    """
    store = RunStore(path)
    if undo and not selection.is_empty:
        raise click.UsageError(
            "--undo takes the numbers or ids of runs, without --where, --tag, --failed"
        )
    if undo:
        numbers = [number for ref in runs for number in _in_trash(store, ref)]
        restored = store.restore(numbers if runs else None)
        click.echo(
            f"taken out of the trash: {_numbers(restored)}" if restored else "the trash is empty"
        )
        return
    require_runs(runs, selection)
    records = find_runs(store, runs, selection)
    if not yes:
        for record in records:
            click.echo(f"  {record.number}  {record.experiment}, {age(record.started)} old")
        click.confirm(f"Remove {_numbers(records)}?", abort=True)
    store.remove([record.number for record in records])
    click.echo(f"removed: {_numbers(records)}; to take back: recorder remove --undo")


def _in_trash(store: RunStore, ref: str) -> Iterator[int]:
    first, _, last = ref.partition("-")
    numbers = [
        record.number
        for record in store.trash()
        if (is_range(ref) and int(first) <= record.number <= int(last))
        or ref == str(record.number)
        or (len(ref) >= 4 and record.id.startswith(ref))
    ]
    if not numbers:
        raise RunNotFoundError(f"no run {ref!r} in the trash", ref=ref)
    yield from numbers


def _numbers(records: list[Record]) -> str:
    return describe_runs([record.number for record in records])
