"""``recorder note``: give runs a note."""

from __future__ import annotations

import click

from ...errors import RunNotFoundError
from ...render.text import describe_runs
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, shell_complete=complete_runs, required=True)
@click.argument("text", metavar="TEXT")
@click.pass_obj
def command(path: str | None, runs: tuple[str, ...], text: str) -> None:
    """Give each RUN the note TEXT, in the place of the one that it has; "" removes it.

    Example: recorder note 12 "the one in figure 3"
    """
    store = RunStore(path)
    try:
        numbers = [store.find(ref).number for ref in runs]
    except RunNotFoundError as error:
        if len(runs) == 1:
            raise
        message = f"{error} (a note of several words stands in quotes)"
        raise RunNotFoundError(message, ref=error.ref, candidates=error.candidates) from None
    for number in dict.fromkeys(numbers):
        store.annotate(number, note=text)
    click.echo(f"{'noted' if text else 'no note any more'}: {describe_runs(numbers)}")
