"""``recorder cat``: print an output, an input or the result of a run."""

from __future__ import annotations

import sys

import click

from ...digest import Hasher
from ...errors import ContentNotFoundError, DamageError
from ...records import Record
from ...render.runs.values import entries_text, value_text
from ...store.content.contents import Found, content_names, find_content, open_content
from ...store.store import RunStore
from ..completion import complete_contents

_CHUNK_BYTES = 1 << 20
# What people ask `cat` for, and the command that prints it.
_ELSEWHERE = {"stdout": "logs", "stderr": "logs", "console": "logs", "code": "code", "env": "env"}


@click.command()
@click.argument("content", metavar="RUN:NAME", shell_complete=complete_contents)
@click.pass_obj
def command(path: str | None, content: str) -> None:
    """Print an output, an input or the result of a run.

    \b
    Examples:
      recorder cat train:predictions.csv
      recorder cat last:result

    NAME is an output (predictions.csv), a file in an output folder (ckpt/epoch-3.pt), result, or an input
    (inputs/data.csv; the end of its path is enough if only one input has it).

    A file is printed byte for byte, a folder as a list, and a value as JSON where JSON can represent it.
    """
    run, colon, name = content.partition(":")
    if not colon or not name:
        raise click.UsageError(f"NAME is missing: write {run}:NAME; recorder show {run} lists them")
    store = RunStore(path)
    record = store.find(run)
    try:
        found = find_content(store, record, name)
    except ContentNotFoundError as error:
        raise _with_names(error, record, name) from None
    if found.kind == "value":
        text = value_text(found.form, store.read)
        _write(text if isinstance(text, bytes) else text.encode())
    elif found.kind == "folder":
        click.echo(entries_text(found.entries))
    else:
        _copy(store, record, found)


def _with_names(error: ContentNotFoundError, record: Record, name: str) -> ContentNotFoundError:
    """Return the error with every name that the run has, if `name` is not among them."""
    names = content_names(record)
    if any(name == one or name.startswith(f"{one}/") or one.endswith(f"/{name}") for one in names):
        return error  # the name exists, and the message has the reason
    has = ", ".join(names) or "no output, input or result"
    command = _ELSEWHERE.get(name)
    more = f"; for its {name}: recorder {command} {record.number}" if command else ""
    return ContentNotFoundError(
        f"run {record.number} has no {name!r}; it has: {has}{more}", name=name, candidates=names
    )


def _copy(store: RunStore, record: Record, found: Found) -> None:
    """Print a file and verify its digest meanwhile. Raises DamageError at the end if it differs."""
    hasher = Hasher()
    with open_content(store, record, found) as source:
        while chunk := source.read(_CHUNK_BYTES):
            hasher.update(chunk)
            _write(chunk)
    if hasher.digest() != found.digest:
        place = store.objects.path(found.digest)
        raise DamageError(f"{found.name} is damaged in the store; see: recorder check", path=place)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
