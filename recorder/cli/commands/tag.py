"""``recorder tag``: give runs a tag."""

from __future__ import annotations

import click

from ...render.text import describe_runs
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, shell_complete=complete_runs, required=True)
@click.argument("tag", metavar="TAG")
@click.pass_obj
def command(path: str | None, runs: tuple[str, ...], tag: str) -> None:
    """Give each RUN the tag TAG, a running one too.

    A run is found by its tag (`recorder show paper`) where it is the only one that bears it; `recorder list -t paper`
    lists all that do.

    Example: recorder tag 12 13 paper
    """
    store = RunStore(path)
    tagged = store.retag([store.find(ref).number for ref in runs], add=[tag])
    click.echo(f"tagged {tag}: {describe_runs([record.number for record in tagged])}")
