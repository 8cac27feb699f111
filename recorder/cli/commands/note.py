"""``recorder note``: write a note on runs."""

from __future__ import annotations

import click

from ...errors import RunNotFoundError
from ...render.text import describe_runs
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import RunSelection, find_runs, selection_options, split_last


@click.command()
@click.argument("words", metavar="[RUN]... TEXT", nargs=-1, shell_complete=complete_runs)
@selection_options
@click.pass_obj
def command(path: str | None, words: tuple[str, ...], selection: RunSelection) -> None:
    """Write a note on runs, in place of the note they have.

    \b
    Examples:
      recorder note 12 "the one in figure 3"
      recorder note 12 ""

    "" removes the note. A note is shown by `recorder show`, and found by `recorder list --where '"figure" in note'`.
    """
    store = RunStore(path)
    refs, text = split_last(store, words, selection, last="TEXT", command="note")
    try:
        records = find_runs(store, refs, selection)
    except RunNotFoundError as error:
        if len(refs) < 2:
            raise
        message = f"{error} (put a note of several words in quotes)"
        raise RunNotFoundError(message, ref=error.ref, candidates=error.candidates) from None
    numbers = [record.number for record in records]
    for number in numbers:
        store.annotate(number, note=text)
    click.echo(f"{'noted' if text else 'note removed'}: {describe_runs(numbers)}")
