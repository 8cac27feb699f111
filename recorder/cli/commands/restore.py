"""``recorder restore``: write outputs, inputs or code of runs into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from ...render.text import size
from ...store.content.restore import KINDS, restore
from ...store.store import RunStore
from ..completion import complete_restorable
from ..run_selection import RunSelection, find_runs, require_runs, selection_options


@click.command()
@click.argument("words", metavar="[RUN] [NAME]...", nargs=-1, shell_complete=complete_restorable)
@click.option(
    "--to",
    "dest",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to write into; created if it does not exist.",
)
@selection_options
@click.option("--outputs", is_flag=True, help="Files that the run saved or wrote (the default).")
@click.option("--inputs", is_flag=True, help="Files that the run read, as they were.")
@click.option("--code", is_flag=True, help="Source files of the run, as they were.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@click.pass_obj
def command(
    path: str | None,
    words: tuple[str, ...],
    dest: Path,
    selection: RunSelection,
    outputs: bool,
    inputs: bool,
    code: bool,
    force: bool,
) -> None:
    """Write outputs, inputs or code of runs into a folder.

    \b
    Examples:
      recorder restore 12 predictions.csv --to run12
      recorder restore 12 --code --to code12
      recorder restore --tag paper --to papers

    RUN is one run, a range (8-10) or a tag; with --where, --tag or --failed every word is a NAME. Several runs are
    written into a folder each, DIR/NUMBER.

    NAME is a path, a folder or a pattern ('ckpt/*.pt'); without NAME, everything is written. Outputs keep the names
    under which they were saved, inputs and code their paths in the project. Nothing is written if a file exists
    already (unless --force), is missing in the store, or is damaged. Links that lead out of DIR are left out.
    """
    require_runs(words[:1], selection)
    refs, names = (words[:1], words[1:]) if selection.is_empty else ((), words)
    store = RunStore(path)
    records = find_runs(store, refs, selection)
    chosen = {"outputs": outputs or not (inputs or code), "inputs": inputs, "code": code}
    kinds = [kind for kind in KINDS if chosen[kind]]
    for record in records:
        folder = dest if len(records) == 1 else dest / str(record.number)
        done = restore(store, record, folder, names=names, kinds=kinds, force=force)
        for reason in done.left_out:
            click.secho(f"note: left out: {reason}", err=True, dim=True)
        count = f"{len(done.paths)} file{'' if len(done.paths) == 1 else 's'}"
        click.echo(
            f"{count}, {size(done.size_bytes)} in {folder}"
            if done.paths
            else f"run {record.number} has nothing to restore"
        )
