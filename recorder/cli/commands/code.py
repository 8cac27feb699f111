"""``recorder code``: list or print the source files of a run."""

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
@click.option("--function", is_flag=True, help="Print the recorded function only.")
@click.pass_obj
def command(path: str | None, run: str, file: str | None, function: bool) -> None:
    """List the source files of a run, or print one as it was.

    \b
    Examples:
      recorder code last
      recorder code last train.py
      recorder code last --function

    The end of a path is enough if only one file has it. PROJECT:FILE is a file of another project, installed in
    editable mode, that the run imported.
    """
    store = RunStore(path)
    record = store.find(run)
    if function and file is not None:
        raise click.UsageError("give either FILE or --function")
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
    """Return the snapshot and path of each file by the name under which it is listed."""
    code = record.code
    if code is None or code.snapshot is None:
        raise ContentNotFoundError(f"run {record.number} has no snapshot of its code", name="code")
    files = {path: (code.snapshot, path) for path in store.snapshots.files(code.snapshot)}
    for project in code.projects:
        if project.snapshot is not None:
            for path in store.snapshots.files(project.snapshot):
                files[f"{project.name}:{path}"] = (project.snapshot, path)
    return files


def _function(store: RunStore, record: Record, files: dict[str, tuple[str, str]]) -> str:
    """Return the source of the recorded function, cut from its file."""
    function = record.function
    if function.file not in files:
        raise _no_function(
            record,
            "the run is of a command line"
            if function.kind == "command"
            else "it was defined in a notebook, at a prompt or in an installed package, not in a file of the snapshot",
        )
    source = store.snapshots.read(*files[function.file]).decode(errors="replace")
    own = find_source(source, qualname=function.qualname, digest=function.source)
    if own is None:
        raise _no_function(record, f"{function.qualname} was not found in {function.file}")
    return own


def _no_function(record: Record, why: str) -> ContentNotFoundError:
    message = f"run {record.number} has no function to print: {why}"
    return ContentNotFoundError(message, name=record.function.qualname)
