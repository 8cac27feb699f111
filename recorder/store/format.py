"""Find and create stores, and read the file FORMAT, which makes a folder a store.

::

    {"format": 1, "digest": "blake3", "store": "<id>", "check": "<CRC-32 of the rest>"}
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from ..digest import canonical_json
from ..errors import StoreFormatError, StoreNotFoundError
from ..records import FORMAT, new_id
from .filesystem.disk import read_regular, sync_folder, write_durably

FOLDER = ".recorder"
VARIABLE = "RECORDER_STORE"
_FOLDERS = ("objects", "staging", "live")
# The names that belong in the folder of a store.
NAMES = (
    *_FOLDERS, "FORMAT", ".gitignore", "runs.jsonl", "runs.jsonl.lock", "runs.jsonl.index", "runs.jsonl.mark",
    "outputs", "objects.gate", "code.git", "code.gate", "spare", "workspaces", "replays", "envs", "lost+found",
)  # fmt: skip
GITIGNORE = "*\n"
# Prefixes of staged files that will replace the file of that name.
STAGED = ("runs.jsonl.", "code.git.")


def find_store(start: Path | None = None) -> Path:
    """Return the folder of the store: RECORDER_STORE if set, else the first store from `start` upwards.

    `start` defaults to the working directory. Raises StoreNotFoundError.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return store_folder(Path(named))
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / FOLDER / "FORMAT").is_file():
            return folder / FOLDER
    raise StoreNotFoundError(
        f"no store in {start} or above it; record a run first, or pass a store with --store or"
        f" {VARIABLE}",
        path=start,
    )


def store_folder(path: Path) -> Path:
    """Return the folder of the store at a path given by a user: the path, or the `.recorder` folder in it."""
    path = path.expanduser().absolute()
    inside = path / FOLDER
    if (inside / "FORMAT").is_file() and not (path / "FORMAT").is_file():
        return inside
    return path


def create_store(path: Path) -> None:
    """Create the folder of a store; safe if several processes do so at once. Raises StoreFormatError."""
    if (path / "FORMAT").exists():
        return
    # Computed before FORMAT is tested again: another process may complete the store between the two tests.
    foreign = path.exists() and not _is_half_made(path)
    if (path / "FORMAT").exists():
        return
    if foreign:
        raise StoreFormatError(
            f"{path} contains other files; a store needs a separate folder", path=path
        )
    made = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        (path / name).mkdir(exist_ok=True)
    write_durably(path / ".gitignore", GITIGNORE.encode())
    # FORMAT is created last and atomically, since it makes the folder a store. The id of the first process stays.
    staged = path / "staging" / f"FORMAT.{new_id()}"
    write_durably(staged, format_text(new_id()).encode())
    _place_format(staged, path / "FORMAT")
    # Synced before any run is: a folder with runs but without FORMAT is not a store.
    for folder in (path, path.parent, *(folder.parent for folder in made)):
        sync_folder(folder)


def refuse_links(path: Path) -> None:
    """Raise StoreFormatError if an entry of the store's folder is a symbolic link.

    A store may come from somebody else. Following a link in it, garbage collection would delete files elsewhere, and a
    repair would overwrite them. The folder of the store may itself be a link.
    """
    links = []
    for folder, prefix in ((path, ""), (path / "objects", "objects/")):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            links += [
                f"{prefix}{entry.name}"
                for entry in entries
                if entry.is_symlink() and (prefix or entry.name in NAMES)
            ]
    if links:
        raise StoreFormatError(
            f"the store {path} contains symbolic links, which are never followed:"
            f" {', '.join(sorted(links))}; replace each by the file or folder it refers to",
            path=path,
        )


def _place_format(staged: Path, final: Path) -> None:
    try:
        os.link(staged, final)
    except FileExistsError:
        pass
    except OSError:  # a filesystem without hard links
        if not final.exists():
            staged.replace(final)
    staged.unlink(missing_ok=True)


def _is_half_made(path: Path) -> bool:
    known = {*_FOLDERS, ".gitignore"}
    return all(entry.name in known for entry in path.iterdir())


def read_format(path: Path, *, whole: bool = False) -> dict[str, Any]:
    """Return the content of FORMAT of the store at `path`; with `whole`, verify it byte for byte.

    Raises StoreNotFoundError and StoreFormatError; the latter has `format` set if the store's format is newer.
    """
    file = path / "FORMAT"
    if not file.is_file():
        raise StoreNotFoundError(f"no store at {path}", path=path)
    try:
        text = read_regular(file).decode()
        content: dict[str, Any] = json.loads(text)
        number = int(content["format"])
        if not isinstance(content["store"], str):
            raise TypeError("its id is not a string")
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StoreFormatError(f"{file} is damaged: {error}", path=path) from error
    if whole and not _is_whole(content, text):
        raise StoreFormatError(f"{file} was changed: its checksum does not match", path=path)
    if number > FORMAT:
        raise StoreFormatError(
            f"the store {path} has format {number}, but this version of recorder reads formats up"
            f" to {FORMAT}; try: pip install -U run-recorder",
            path=path,
            format=number,
        )
    return content


def format_text(id: str) -> str:
    """Return the content of the file FORMAT for the store of that id."""
    return _text({"format": FORMAT, "digest": "blake3", "store": id})


def _is_whole(content: dict[str, Any], text: str) -> bool:
    if "check" not in content:  # written by the first version
        return set(content) == {"format", "digest", "store"}
    return text == _text({key: value for key, value in content.items() if key != "check"})


def _text(content: dict[str, Any]) -> str:
    return json.dumps({**content, "check": f"{zlib.crc32(canonical_json(content)):08x}"}) + "\n"
