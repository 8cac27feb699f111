"""``recorder import``: add the runs of an export or of another store."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import StoreNotFoundError
from ...render.text import describe_runs
from ...store.archive.transfer import Imported, import_runs, open_source
from ...store.format import FOLDER, find_store
from ...store.store import RunStore


@click.command()
@click.argument("source", metavar="FILE.zip|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--trust", is_flag=True, help="Allow running their code and loading their pickles.")
@click.option(
    "--max-bytes",
    type=int,
    metavar="N",
    help="Limit on the unpacked size of FILE.zip, in bytes. Default: 1 GiB, or 200 times the size of the file.",
)
@click.pass_obj
def command(path: str | None, source: Path, trust: bool, max_bytes: int | None) -> None:
    """Add the runs of an export or of another store.

    \b
    Examples:
      recorder import paper.zip
      recorder import paper.zip --trust

    Imported runs keep their ids and get new numbers. Runs that are here already are skipped. Everything is verified
    before any of it becomes visible. Without a store, one is made in the working directory.

    Listing, showing and diffing imported runs executes none of their code. Replaying them needs --trust, now or
    with the replay.
    """
    store = RunStore(_store_path(path), create=True)
    with open_source(source, most_bytes=max_bytes) as opened:
        done = import_runs(store, opened)
    click.echo(_summary(done))
    if trust:
        for record in done.records:
            store.trust(store.get(record.number))


def _store_path(path: str | None) -> Path:
    try:
        return Path(path) if path else find_store()
    except StoreNotFoundError:
        return Path.cwd() / FOLDER


def _summary(done: Imported) -> str:
    parts = [
        f"imported: {describe_runs([r.number for r in done.records])}"
        if done.records
        else "nothing new"
    ]
    if done.present:
        parts.append(f"{len(done.present)} already in this store")
    if done.in_trash:
        parts.append(f"{len(done.in_trash)} in the trash here; try: recorder remove --undo")
    return "; ".join(parts)
