"""``recorder untag``: take a tag from runs."""

from __future__ import annotations

import click

from ...errors import RunNotFoundError
from ...render.text import describe_runs
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, shell_complete=complete_runs, required=True)
@click.argument("tag", metavar="TAG")
@click.pass_obj
def command(path: str | None, runs: tuple[str, ...], tag: str) -> None:
    """Take the tag TAG from each RUN.

    Example: recorder untag 12 13 paper
    """
    store = RunStore(path)
    found = [store.find(ref) for ref in runs]
    tagged = [record.number for record in found if tag in record.tags]
    if not tagged:
        numbers = describe_runs([record.number for record in found])
        raise RunNotFoundError(f"no tag {tag!r} to be taken from {numbers}", ref=tag)
    store.retag(tagged, remove=[tag])
    click.echo(f"no longer tagged {tag}: {describe_runs(tagged)}")
