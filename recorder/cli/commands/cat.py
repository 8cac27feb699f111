"""``recorder cat``: an output, an input or the result of a run."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from ...digest import Hasher
from ...errors import DamageError
from ...records import Record
from ...render.runs.values import entries_text, value_text
from ...store.content.contents import Found, find_content, open_content
from ...store.store import RunStore
from ..completion import complete_contents

_CHUNK_BYTES = 1 << 20


@click.command()
@click.argument("content", metavar="RUN:NAME", shell_complete=complete_contents)
@click.pass_obj
def command(path: str | None, content: str) -> None:
    """Print what belongs to RUN under NAME: a file to the byte, a folder as a list, a value as JSON if it can be.

    NAME is an output (predictions.csv), a file in one that is a folder (ckpt/epoch-3.pt), `result`, or
    inputs/PATH, where the end of the path is enough.

    Example: recorder cat train:predictions.csv
    """
    run, colon, name = content.partition(":")
    if not colon or not name:
        raise click.UsageError(
            f"which output or input of {run}? write RUN:NAME (see recorder show {run})"
        )
    store = RunStore(path)
    record = store.find(run)
    found = find_content(store, record, name)
    if found.kind == "value":
        text = value_text(found.form, store.read)
        _write(text if isinstance(text, bytes) else text.encode())
    elif found.kind == "folder":
        click.echo(entries_text(found.entries))
    else:
        _copy(store, record, found)


def _copy(store: RunStore, record: Record, found: Found) -> None:
    hasher = Hasher()
    with open_content(store, record, found) as source:
        while chunk := source.read(_CHUNK_BYTES):
            hasher.update(chunk)
            _write(chunk)
    if hasher.digest() != found.digest:
        place = store.objects.path(found.digest)
        raise DamageError(f"{found.name} is damaged in the store: see `recorder check`", path=place)


def _write(data: bytes) -> None:
    out: BinaryIO = sys.stdout.buffer
    out.write(data)
    out.flush()
