"""Check the folder of the store: the file FORMAT, and the other entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....errors import StoreFormatError, StoreNotFoundError
from ....records import new_id
from ...filesystem.disk import is_regular, read_regular, write_durably
from ...format import GITIGNORE, NAMES, STAGED, format_text, read_format, refuse_links
from ...store import RunStore
from ..gc import staged_paths, tree_bytes
from .finding import Finding, StaleFindingError, Unplaced

_ID = re.compile(rb'"store": ?"([0-9a-z]{20})"')


def check_format(path: Path) -> Iterator[Finding]:
    """Check the file FORMAT of the store at `path`, even if the store cannot be opened.

    Raises StoreNotFoundError if the folder does not look like a store, StoreFormatError if its format is newer.
    """
    file = path / "FORMAT"
    if path.is_dir():
        refuse_links(path)
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
    seen = read_regular(file) if is_regular(file) else b""
    found = _ID.search(seen)
    id = found[1].decode() if found else new_id()

    def mend() -> str:
        if (read_regular(file) if is_regular(file) else b"") != seen:
            raise StaleFindingError("FORMAT")
        kept = Unplaced(path / "lost+found").move(file, name="FORMAT") if file.exists() else None
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
    yield from _gitignore(store, unplaced)
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


def _gitignore(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    path = store.path / ".gitignore"

    def mend() -> str:
        if path.exists() and not is_regular(path):
            unplaced.move(path, name=".gitignore")
        write_durably(path, GITIGNORE.encode())
        return "written again"

    if not is_regular(path) or read_regular(path) != GITIGNORE.encode():
        yield Finding(
            kind="changed setting",
            place=".gitignore",
            what="git may add the store to the project's repository",
            repair="writes it again",
            mend=mend,
        )


def _outputs(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    known = store.known_outputs
    path = store.path / "outputs"
    if path.exists() and not is_regular(path):

        def move() -> str:
            return f"moved to lost+found/{unplaced.move(path, name='outputs').name}"

        yield Finding(
            kind="foreign file",
            place="outputs",
            what="the list of known outputs is not a regular file",
            repair="moves it to lost+found",
            mend=move,
        )
    if known.damaged():

        def mend() -> str:
            kept = unplaced.move(store.path / "outputs", name="outputs")
            known.add(known.parse(read_regular(kept)))
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
