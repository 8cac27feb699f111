"""``recorder restore``: outputs, inputs or code of a run in a folder."""

from __future__ import annotations

from pathlib import Path

import click

from ...render.text import size
from ...store.content.restore import KINDS, restore
from ...store.store import RunStore
from ..completion import complete_outputs, complete_runs


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_outputs)
@click.option(
    "--to",
    "dest",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder, made where it is not there.",
)
@click.option("--outputs", is_flag=True, help="What the run saved and wrote (the default).")
@click.option("--inputs", is_flag=True, help="The files that it read, as they were.")
@click.option("--code", is_flag=True, help="The files of its code, as they were.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.pass_obj
def command(
    path: str | None,
    run: str,
    names: tuple[str, ...],
    dest: Path,
    outputs: bool,
    inputs: bool,
    code: bool,
    force: bool,
) -> None:
    """Write the outputs of RUN, its inputs or its code into a folder, all or those NAMEs.

    A NAME is a path, a folder or a pattern: 'ckpt/*.pt'. Outputs have the names that they were saved under, inputs
    and code their paths in the project. Nothing is overwritten without --force, and nothing at all is written where
    something is missing or damaged. Links that lead out of the folder are left out.

    Example: recorder restore 12 predictions.csv --to run12
    """
    store = RunStore(path)
    chosen = {"outputs": outputs or not (inputs or code), "inputs": inputs, "code": code}
    kinds = [kind for kind in KINDS if chosen[kind]]
    done = restore(store, store.find(run), dest, names=names, kinds=kinds, force=force)
    for text in done.left_out:
        click.secho(f"note: left out: {text}", err=True, dim=True)
    count = f"{len(done.paths)} file{'' if len(done.paths) == 1 else 's'}"
    click.echo(
        f"{count}, {size(done.size_bytes)} in {dest}" if done.paths else "nothing to restore"
    )
