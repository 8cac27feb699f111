"""What makes a folder a store: its file FORMAT, how it is made and read, and how the store is found.

::

    {"format": 1, "digest": "blake3", "store": "<id>", "check": "<CRC-32 of the rest>"}
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from ..digest import canonical_json
from ..errors import StoreFormatError, StoreNotFoundError
from ..records import FORMAT, new_id
from .filesystem.disk import sync_folder, write_durably

FOLDER = ".recorder"
VARIABLE = "RECORDER_STORE"
_FOLDERS = ("objects", "staging", "live")
# Everything that may stand in a store's folder.
NAMES = (
    *_FOLDERS, "FORMAT", ".gitignore", "runs.jsonl", "runs.jsonl.lock", "runs.jsonl.index", "outputs", "objects.gate",
    "code.git", "code.gate", "spare", "workspaces", "replays", "envs", "lost+found",
)  # fmt: skip
GITIGNORE = "*\n"
# What is written beside a file of that name, to take its place.
STAGED = ("runs.jsonl.", "code.git.")


def find_store(start: Path | None = None) -> Path:
    """The store's folder: what RECORDER_STORE names, else the first one from `start` upwards.

    `start` is the working directory by default. Raises StoreNotFoundError.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return store_folder(Path(named))
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / FOLDER / "FORMAT").is_file():
            return folder / FOLDER
    raise StoreNotFoundError(
        f"no store in {start} or above it: record a run first, or name one with --store"
        f" or {VARIABLE}",
        path=start,
    )


def store_folder(path: Path) -> Path:
    """The store's own folder for a path that a person gave: it, or the `.recorder` inside it."""
    path = path.expanduser().absolute()
    inside = path / FOLDER
    if (inside / "FORMAT").is_file() and not (path / "FORMAT").is_file():
        return inside
    return path


def create_store(path: Path) -> None:
    """Make the store's folder, however many processes do so at this moment."""
    if (path / "FORMAT").exists():
        return
    # Looked at before FORMAT is looked at again: another process may finish the store between the two looks.
    foreign = path.exists() and not _is_half_made(path)
    if (path / "FORMAT").exists():
        return
    if foreign:
        raise StoreFormatError(
            f"{path} holds something else: a store wants a folder of its own", path=path
        )
    made = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        (path / name).mkdir(exist_ok=True)
    (path / ".gitignore").write_text(GITIGNORE)
    # FORMAT comes last and whole: it is what makes the folder a store. The first maker's id stays.
    staged = path / "staging" / f"FORMAT.{new_id()}"
    write_durably(staged, format_text(new_id()).encode())
    _place_format(staged, path / "FORMAT")
    # Before any run is: a folder with runs in it and without FORMAT is no store.
    for folder in (path, path.parent, *(folder.parent for folder in made)):
        sync_folder(folder)


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
    """What the store at `path` says of itself; with `whole` it must be as it was written, to the byte.

    Raises StoreNotFoundError, StoreFormatError; the latter with the format where that is a newer one.
    """
    file = path / "FORMAT"
    if not file.is_file():
        raise StoreNotFoundError(f"no store at {path}", path=path)
    try:
        text = file.read_text()
        said: dict[str, Any] = json.loads(text)
        number = int(said["format"])
        if not isinstance(said["store"], str):
            raise TypeError("its id is no text")
    except (ValueError, KeyError, TypeError) as error:
        raise StoreFormatError(f"{file} is not a store's: {error}", path=path) from error
    if whole and not _is_whole(said, text):
        raise StoreFormatError(f"{file} is not as it was written", path=path)
    if number > FORMAT:
        raise StoreFormatError(
            f"the store {path} has format {number}, this version of recorder reads up to {FORMAT}:"
            " upgrade with `pip install -U run-recorder`",
            path=path,
            format=number,
        )
    return said


def format_text(id: str) -> str:
    """The text of the file FORMAT for the store of that id."""
    return _text({"format": FORMAT, "digest": "blake3", "store": id})


def _is_whole(said: dict[str, Any], text: str) -> bool:
    rest = {key: value for key, value in said.items() if key != "check"}
    # (The first version wrote no check.)
    return text == _text(rest) if "check" in said else set(said) == {"format", "digest", "store"}


def _text(said: dict[str, Any]) -> str:
    return json.dumps({**said, "check": f"{zlib.crc32(canonical_json(said)):08x}"}) + "\n"
