"""Checking the store's folder: the file that makes it a store, and what else lies in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....errors import StoreFormatError, StoreNotFoundError
from ....records import new_id
from ...filesystem.disk import write_durably
from ...format import GITIGNORE, NAMES, STAGED, format_text, read_format
from ...store import RunStore
from ..gc import staged_paths, tree_bytes
from .finding import Finding, Unplaced

_ID = re.compile(rb'"store": ?"([0-9a-z]{20})"')


def check_format(path: Path) -> Iterator[Finding]:
    """Whether the file FORMAT of the store at `path` is as it was written; the store need not open.

    Raises StoreNotFoundError where nothing looks like a store, StoreFormatError for one of a newer format.
    """
    file = path / "FORMAT"
    try:
        read_format(path, whole=True)
    except StoreNotFoundError:
        if not (path / "runs.jsonl").is_file() or not (path / "objects").is_dir():
            raise
        wrong = "the file that makes the folder a store is gone"
    except StoreFormatError as error:
        if error.format is not None:
            raise
        wrong = str(error)
    else:
        return
    found = _ID.search(file.read_bytes()) if file.exists() else None
    id = found[1].decode() if found else new_id()

    def mend() -> str:
        kept = (
            Unplaced(path / "lost+found").write(file.read_bytes(), name="FORMAT")
            if file.exists()
            else None
        )
        write_durably(file, format_text(id).encode())
        return "written again" + (f"; the old one is lost+found/{kept.name}" if kept else "")

    yield Finding(
        kind="damaged format",
        place="FORMAT",
        what=wrong,
        repair=f"writes it again, with {'the id that can be read' if found else 'a fresh id'}, {id}",
        mend=mend,
    )


def check_folder(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    """.gitignore, the known outputs, and what is not recorder's."""
    yield from _gitignore(store)
    yield from _outputs(store, unplaced)
    yield from _staged(store)
    for path in sorted(store.path.iterdir()):
        if path.name not in NAMES and not path.name.startswith(STAGED):
            yield Finding(
                kind="foreign file",
                place=path.name,
                what="it is not recorder's, and is left alone",
                is_damage=False,
            )


def _gitignore(store: RunStore) -> Iterator[Finding]:
    path = store.path / ".gitignore"

    def mend() -> str:
        path.write_text(GITIGNORE)
        return "written again"

    if not path.is_file() or path.read_bytes() != GITIGNORE.encode():
        yield Finding(
            kind="changed setting",
            place=".gitignore",
            what="git may take the store for a part of the project",
            repair="writes it again",
            mend=mend,
        )


def _outputs(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    known = store.known_outputs
    if known.damaged():

        def mend() -> str:
            kept = unplaced.move(store.path / "outputs", name="outputs")
            known.add(known.parse(kept.read_bytes()))
            return f"written again without them; the old one is lost+found/{kept.name}"

        yield Finding(
            kind="damaged line",
            place="outputs",
            what=f"{known.damaged()} of the lines that name known outputs are damaged",
            repair="leaves them out; such a file counts as code until it is next written",
            mend=mend,
        )


def _staged(store: RunStore) -> Iterator[Finding]:
    paths = staged_paths(store)
    size, count = sum(map(tree_bytes, paths)), len(paths)
    if count:
        yield Finding(
            kind="staged files",
            place="staging",
            what=f"{count} files ({size} bytes) are being written, or were when their process was killed:"
            " `recorder gc` removes the latter",
            is_damage=False,
        )
