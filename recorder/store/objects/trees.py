"""Trees: folders as canonical lists of entries, and the checks that keep a foreign one inside its folder.

A tree is a line of JSON with its kind, then a line for each entry, sorted by path::

    {"kind":"tree"}
    {"digest":"blake3:...","executable":false,"kind":"file","path":"a/b.txt","size_bytes":3,"target":null}
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from ...digest import canonical_json, is_digest
from ...errors import RecorderWarning
from ...records import Part

_FIRST_LINE = b'{"kind":"tree"}'


class TreeEntry(Part, frozen=True):
    """A file, link or empty folder in a tree, with its path relative to the folder, separated by slashes.

    `digest` is that of a file, `target` that of a link. In a name, a backslash is doubled, and a byte that is not UTF-8
    is ``\\xNN``.
    """

    path: str
    kind: Literal["file", "link", "folder"]
    digest: str | None = None
    size_bytes: int = 0
    executable: bool = False
    target: str | None = None


class Tree(Part, frozen=True):
    """A folder as an object: its digest, the total size of its files, and its entries sorted by path."""

    digest: str
    size_bytes: int
    entries: tuple[TreeEntry, ...]


def write_entries(entries: Iterable[TreeEntry]) -> bytes:
    """Return the tree with the entries, which must be sorted by path."""
    lines = [canonical_json(msgspec.to_builtins(entry)) for entry in entries]
    return b"\n".join([_FIRST_LINE, *lines, b""])


def read_entries(data: bytes) -> tuple[TreeEntry, ...]:
    """Parse the entries of a tree. Raises ValueError if it is not one, or would write outside its folder."""
    lines = data.splitlines()
    if not lines or lines[0] != _FIRST_LINE:
        raise ValueError("it does not begin like one")
    try:
        entries = tuple(msgspec.json.decode(line, type=TreeEntry) for line in lines[1:])
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    _check(entries)
    return entries


def _check(entries: tuple[TreeEntry, ...]) -> None:
    names: dict[str, TreeEntry] = {}
    for entry in entries:
        name = os_name(entry.path)  # unescaped: the path `\x2e\x2e` is two dots
        if leaves(name):
            raise ValueError(f"a path that leaves the folder: {entry.path!r}")
        if name in names:
            raise ValueError(f"two entries of the same path: {entry.path!r}")
        if entry.kind == "file" and not is_digest(entry.digest):
            raise ValueError(f"a file without a digest: {entry.path!r}")
        names[name] = entry
    for parent in {str(parent) for name in names for parent in PurePosixPath(name).parents}:
        if parent in names and names[parent].kind != "folder":
            raise ValueError(f"a {names[parent].kind} with entries in it: {parent!r}")


def leaves(name: str) -> bool:
    """Return whether a relative path of the filesystem is invalid or leads out of its folder."""
    parts = name.split("/")
    is_odd = os.name == "nt" and (":" in name or "\\" in name)
    return is_odd or "\0" in name or any(part in ("", ".", "..") for part in parts)


def leads_out(entry: TreeEntry) -> bool:
    """Return whether the entry is a link whose target alone, without following others, leads out of the folder."""
    if entry.kind != "link":
        return False
    depth = len(os_name(entry.path).split("/")) - 1
    target = os_name(entry.target or "")
    if os.path.isabs(target):  # noqa: PTH117 - a string, not a path of this machine
        return True
    for part in target.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False


def drop_links_out(dest: Path, links: Iterable[TreeEntry]) -> None:
    """Remove the links that lead out of the folder `dest` in which they were created, with a warning for each."""
    # Checked when all exist: a link may lead out by way of another.
    root = dest.resolve()
    for entry in links:
        path = dest / os_name(entry.path)
        if root not in (end := Path(os.path.realpath(path))).parents and end != root:
            path.unlink()
            message = f"the link {path} was left out: it leads out of its folder, to {entry.target}"
            warnings.warn(message, RecorderWarning, stacklevel=3)


def text_of(name: str) -> str:
    """Escape a name for a tree: a backslash is doubled, a byte that is not UTF-8 is ``\\xNN``."""
    raw = os.fsencode(name).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")


def os_name(text: str) -> str:
    """Unescape a name of a tree: the inverse of `text_of`."""
    if "\\" not in text:
        return text
    return os.fsdecode(re.sub(rb"\\(\\|x([0-9a-f]{2}))", _unescape, text.encode()))


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[2].decode()) if match[2] else b"\\"
