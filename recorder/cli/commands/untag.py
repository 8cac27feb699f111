"""``recorder untag``: remove a tag from runs."""

from __future__ import annotations

import click

from ...errors import RunNotFoundError
from ...render.text import describe_runs
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import RunSelection, find_runs, selection_options, split_last


@click.command()
@click.argument("words", metavar="[RUN]... TAG", nargs=-1, shell_complete=complete_runs)
@selection_options
@click.pass_obj
def command(path: str | None, words: tuple[str, ...], selection: RunSelection) -> None:
    """Remove a tag from runs.

    \b
    Examples:
      recorder untag 12 13 paper
      recorder untag --failed ablation
    """
    store = RunStore(path)
    refs, tag = split_last(store, words, selection, last="TAG", command="untag")
    records = find_runs(store, refs, selection)
    tagged = [record.number for record in records if tag in record.tags]
    if not tagged:
        numbers = describe_runs([record.number for record in records])
        raise RunNotFoundError(f"no tag {tag!r} on {numbers}", ref=tag)
    store.retag(tagged, remove=[tag])
    click.echo(f"removed tag {tag}: {describe_runs(tagged)}")
