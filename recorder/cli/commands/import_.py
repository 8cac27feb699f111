"""``recorder import``: runs out of an export, or out of another store."""

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
@click.option("--trust", is_flag=True, help="Their code may be run, and their pickles loaded.")
@click.option("--max-bytes", type=int, metavar="N", help="Let it unpack to so many bytes.")
@click.pass_obj
def command(path: str | None, source: Path, trust: bool, max_bytes: int | None) -> None:
    """Bring in the runs of an export, or of another store's folder, that are not here yet.

    They keep their ids and get numbers of this store. Everything is verified before any of it becomes visible.
    Listing, showing and diffing them runs none of their code; to replay them needs --trust, here or then.
    Without a store here, one is made in the working directory.

    Example: recorder import paper.zip
    """
    store = RunStore(_store_path(path), create=True)
    with open_source(source, most_bytes=max_bytes) as found:
        done = import_runs(store, found)
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
    said = [describe_runs([r.number for r in done.records]) if done.records else "nothing new"]
    if done.present:
        said.append(f"{len(done.present)} were here already")
    if done.in_trash:
        said.append(f"{len(done.in_trash)} are in the trash here: `recorder remove --undo`")
    return "; ".join(said)
