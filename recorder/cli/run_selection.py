"""The runs that a command is about: named one by one, or found by a query."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..errors import RunNotFoundError
from ..records import Record
from ..store.store import RunStore
from .completion import complete_keys

where_option = click.option(
    "-w",
    "--where",
    metavar="QUERY",
    shell_complete=complete_keys,
    help="The runs for which that holds, as in `recorder list`.",
)


def named_runs(store: RunStore, refs: Sequence[str], *, where: str | None) -> list[Record]:
    """The runs that are named, and of the others those that the query finds; in either case each once.

    Raises RunNotFoundError, also where there is none at all, and QueryError.
    """
    found = [store.find(ref) for ref in refs]
    if where is not None:
        found += store.runs(where=where)
        if not found:
            raise RunNotFoundError(f"no run for which {where} holds", ref=where)
    return list({record.number: record for record in found}.values())
