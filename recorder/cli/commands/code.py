"""``recorder code``: the code that ran."""

from __future__ import annotations

import sys

import click

from ...capture.code.source import find_source
from ...errors import ContentNotFoundError
from ...records import Record
from ...store.content.contents import find_path
from ...store.store import RunStore
from ..completion import complete_files, complete_runs


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("file", metavar="[FILE]", required=False, shell_complete=complete_files)
@click.option("--function", is_flag=True, help="The experiment's own function.")
@click.pass_obj
def command(path: str | None, run: str, file: str | None, function: bool) -> None:
    """List the files of the code that RUN ran, or print FILE as it was, whatever has become of it since.

    The end of a path is enough where only one file has it. PROJECT:FILE is one of a project elsewhere that the run
    imported.

    Example: recorder code last train.py
    """
    store = RunStore(path)
    record = store.find(run)
    if function and file is not None:
        raise click.UsageError("FILE or --function, not both")
    files = _files(store, record)
    if function:
        click.echo(_function(store, record, files), nl=False)
    elif file is None:
        for name in files:
            click.echo(name)
    else:
        named = find_path(list(files), file, what="file", run=record.number)
        sys.stdout.buffer.write(store.snapshots.read(*files[named]))
        sys.stdout.flush()


def _files(store: RunStore, record: Record) -> dict[str, tuple[str, str]]:
    """The snapshot and the path in it of each file, by the name that it is listed under."""
    code = record.code
    if code is None or code.snapshot is None:
        raise ContentNotFoundError(f"run {record.number} has no snapshot of its code", name="code")
    found = {path: (code.snapshot, path) for path in store.snapshots.files(code.snapshot)}
    for project in code.projects:
        if project.snapshot is not None:
            for path in store.snapshots.files(project.snapshot):
                found[f"{project.name}:{path}"] = (project.snapshot, path)
    return found


def _function(store: RunStore, record: Record, files: dict[str, tuple[str, str]]) -> str:
    """The experiment's own text, from the file that it stood in."""
    function = record.function
    if function.file not in files:
        raise _no_function(
            record,
            "it is a command line"
            if function.kind == "command"
            else "it stands in no file of the snapshot, but in a notebook, at a prompt or in a package",
        )
    text = store.snapshots.read(*files[function.file]).decode(errors="replace")
    own = find_source(text, qualname=function.qualname, digest=function.source)
    if own is None:
        raise _no_function(record, f"{function.qualname} was not found in {function.file}")
    return own


def _no_function(record: Record, why: str) -> ContentNotFoundError:
    message = f"no function of run {record.number} to be shown: {why}"
    return ContentNotFoundError(message, name=record.function.qualname)
