"""Check the folder of the store: the file FORMAT, and the other entries."""

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
    """Check the file FORMAT of the store at `path`, even if the store cannot be opened.

    Raises StoreNotFoundError if the folder does not look like a store, StoreFormatError if its format is newer.
    """
    file = path / "FORMAT"
    try:
        read_format(path, whole=True)
    except StoreNotFoundError:
        if not (path / "runs.jsonl").is_file() or not (path / "objects").is_dir():
            raise
        wrong = "the file is missing, without which the folder is not a store"
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
        return "written again" + (f"; the old file is lost+found/{kept.name}" if kept else "")

    yield Finding(
        kind="damaged format",
        place="FORMAT",
        what=wrong,
        repair=f"writes it again, with {'the id found in it' if found else 'a new id'}, {id}",
        mend=mend,
    )


def check_folder(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    """Check .gitignore, the known outputs, staged files, and entries that are not recorder's."""
    yield from _gitignore(store)
    yield from _outputs(store, unplaced)
    yield from _staged(store)
    for path in sorted(store.path.iterdir()):
        if path.name not in NAMES and not path.name.startswith(STAGED):
            yield Finding(
                kind="foreign file",
                place=path.name,
                what="it does not belong to recorder and is ignored",
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
            what="git may add the store to the project's repository",
            repair="writes it again",
            mend=mend,
        )


def _outputs(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    known = store.known_outputs
    if known.damaged():

        def mend() -> str:
            kept = unplaced.move(store.path / "outputs", name="outputs")
            known.add(known.parse(kept.read_bytes()))
            return f"written again without them; the old file is lost+found/{kept.name}"

        yield Finding(
            kind="damaged line",
            place="outputs",
            what=f"{known.damaged()} lines of the list of known outputs are damaged",
            repair="removes them; these outputs count as code until they are written again",
            mend=mend,
        )


def _staged(store: RunStore) -> Iterator[Finding]:
    paths = staged_paths(store)
    size, count = sum(map(tree_bytes, paths)), len(paths)
    if count:
        yield Finding(
            kind="staged files",
            place="staging",
            what=f"{count} files ({size} bytes) are being written, or were left by killed processes;"
            " to remove the latter, try: recorder gc",
            is_damage=False,
        )
