"""``recorder tag``: add a tag to runs."""

from __future__ import annotations

import click

from ...render.text import describe_runs
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import RunSelection, find_runs, selection_options, split_last


@click.command()
@click.argument("words", metavar="[RUN]... TAG", nargs=-1, shell_complete=complete_runs)
@selection_options
@click.pass_obj
def command(path: str | None, words: tuple[str, ...], selection: RunSelection) -> None:
    """Add a tag to runs, in progress or not.

    \b
    Examples:
      recorder tag 12 13 paper
      recorder tag 5-9 ablation
      recorder tag --where 'accuracy > 0.9' good

    A tag names the runs that have it: `recorder show paper` if it is one run, `recorder list --tag paper` for all.
    """
    store = RunStore(path)
    refs, tag = split_last(store, words, selection, last="TAG", command="tag")
    numbers = [record.number for record in find_runs(store, refs, selection)]
    tagged = store.retag(numbers, add=[tag])
    click.echo(f"tagged {tag}: {describe_runs([record.number for record in tagged])}")
