"""Folders as canonical lists: what an entry says, how a list is written and read, and what is refused.

A list is a line of JSON that says what it is, and one for each entry, sorted by path::

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
    """One thing in a folder: its path relative to it, with slashes, and what it is.

    `digest` names a file's bytes; `target` is a link's text. Only folders that are empty have an entry. In a name
    a backslash is doubled, and a byte that is not UTF-8 is ``\\xNN``.
    """

    path: str
    kind: Literal["file", "link", "folder"]
    digest: str | None = None
    size_bytes: int = 0
    executable: bool = False
    target: str | None = None


class Tree(Part, frozen=True):
    """A folder as an object: its digest, the bytes of its files together, and its entries by path."""

    digest: str
    size_bytes: int
    entries: tuple[TreeEntry, ...]


def write_entries(entries: Iterable[TreeEntry]) -> bytes:
    """The list of the entries, which are sorted."""
    lines = [canonical_json(msgspec.to_builtins(entry)) for entry in entries]
    return b"\n".join([_FIRST_LINE, *lines, b""])


def read_entries(data: bytes) -> tuple[TreeEntry, ...]:
    """The entries of a list. ValueError for one that is no list, or that would write outside its folder."""
    lines = data.splitlines()
    if not lines or lines[0] != _FIRST_LINE:
        raise ValueError("it does not begin as one does")
    try:
        entries = tuple(msgspec.json.decode(line, type=TreeEntry) for line in lines[1:])
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    _check(entries)
    return entries


def _check(entries: tuple[TreeEntry, ...]) -> None:
    names: dict[str, TreeEntry] = {}
    for entry in entries:
        name = os_name(entry.path)  # not the path: `\x2e\x2e` is two dots only then
        if leaves(name):
            raise ValueError(f"a path that leaves the folder: {entry.path!r}")
        if name in names:
            raise ValueError(f"two things of the same path: {entry.path!r}")
        if entry.kind == "file" and not is_digest(entry.digest):
            raise ValueError(f"a file without a digest: {entry.path!r}")
        names[name] = entry
    for parent in {str(parent) for name in names for parent in PurePosixPath(name).parents}:
        if parent in names and names[parent].kind != "folder":
            raise ValueError(f"a {names[parent].kind} with something in it: {parent!r}")


def leaves(name: str) -> bool:
    """Whether a relative path, as the filesystem has it, leads out of its folder or is none."""
    parts = name.split("/")
    is_odd = os.name == "nt" and (":" in name or "\\" in name)
    return is_odd or "\0" in name or any(part in ("", ".", "..") for part in parts)


def leads_out(entry: TreeEntry) -> bool:
    """Whether the entry is a link whose text leads out of the folder, whatever else lies in it."""
    if entry.kind != "link":
        return False
    depth = len(os_name(entry.path).split("/")) - 1
    target = os_name(entry.target or "")
    if os.path.isabs(target):  # noqa: PTH117 - a text, not a path of this machine's
        return True
    for part in target.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False


def drop_links_out(dest: Path, links: Iterable[TreeEntry]) -> None:
    """Remove those of the links that lead out of the folder `dest` that they were laid out in, with a warning each."""
    # Looked at when all are there: one link may lead out by way of another.
    root = dest.resolve()
    for entry in links:
        path = dest / os_name(entry.path)
        if root not in (end := Path(os.path.realpath(path))).parents and end != root:
            path.unlink()
            message = f"the link {path} leads out of its folder, to {entry.target}, and is left out"
            warnings.warn(message, RecorderWarning, stacklevel=3)


def text_of(name: str) -> str:
    """A name as the list has it: a backslash is doubled, a byte that is not UTF-8 is ``\\xNN``."""
    raw = os.fsencode(name).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")


def os_name(text: str) -> str:
    """The name as the filesystem has it: the inverse of `text_of`."""
    if "\\" not in text:
        return text
    return os.fsdecode(re.sub(rb"\\(\\|x([0-9a-f]{2}))", _unescape, text.encode()))


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[2].decode()) if match[2] else b"\\"
