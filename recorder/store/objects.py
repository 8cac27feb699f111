"""Objects: immutable bytes named by their digest, and folders as canonical lists of them.

``objects/ab/cdef...`` holds the bytes whose BLAKE3 digest is ``abcdef...``, mode 0444. An object is written in
``staging/``, digested as it is written, synced and renamed, so that what stands under a name is whole; it is never
edited. Two processes that put the same bytes at once both succeed: the second rename puts the same file in
place of the first.

A tree is itself an object: the JSON lines of a folder's entries, sorted by path.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Literal

import msgspec

from ..digest import PREFIX, Hasher, canonical_json, digest_bytes, digest_file
from ..errors import DamageError, ObjectNotFoundError
from ..records import Part
from .disk import sync_folder, write_all

_CHUNK_BYTES = 1 << 20
# Above this a file is digested in place first (mapped, on every core) to see whether it is there already;
# below, reading it twice would cost more than staging it.
_LOOK_FIRST_BYTES = 1 << 22
# ioctl_ficlone(2): share the extents of a file on btrfs, XFS and others; the copies part when one is written to.
_FICLONE = 0x40049409


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


class Objects:
    """The objects below the folder `root`, staged in `staging`, which is on the same filesystem."""

    def __init__(self, root: Path, *, staging: Path) -> None:
        self.root = root
        self.staging = staging

    # Names

    def path(self, digest: str) -> Path:
        """Where the object stands, or would."""
        hexes = digest.removeprefix(PREFIX)
        return self.root / hexes[:2] / hexes[2:]

    def has(self, digest: str) -> bool:
        """Whether the object is here."""
        return self.path(digest).exists()

    def size(self, digest: str) -> int:
        """Its size in bytes; raises ObjectNotFoundError."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise self._missing(digest) from None

    def __iter__(self) -> Iterator[str]:
        for folder in sorted(self.root.iterdir()):
            for file in sorted(folder.iterdir()):
                yield PREFIX + folder.name + file.name

    def _missing(self, digest: str) -> ObjectNotFoundError:
        return ObjectNotFoundError(f"no object {digest} in {self.root}", digest=digest)

    # Putting

    def put_bytes(self, data: bytes | memoryview) -> str:
        """Keep the bytes; their digest."""
        digest = digest_bytes(data)
        if not self.has(digest):
            with self._staged() as (file, path):
                write_all(file.fileno(), data)
                self._place(file, path, digest)
        return digest

    def put_file(self, source: Path) -> tuple[str, int]:
        """Keep the file's bytes as they are now: digest and size.

        The digest is of the bytes that were stored, whatever happens to the source meanwhile. Raises OSError
        where the source is no readable file.
        """
        if not stat.S_ISREG(source.stat().st_mode):
            raise OSError(f"{source} is no regular file")
        size = source.stat().st_size
        if size >= _LOOK_FIRST_BYTES:
            digest = digest_file(source)
            if self.has(digest):
                return digest, size
        with source.open("rb") as stream, self._staged() as (file, path):
            digest, size = _clone(stream, file, path) or _copy(stream, file)
            if not self.has(digest):
                self._place(file, path, digest)
        return digest, size

    def put_tree(self, folder: Path) -> Tree:
        """Keep a folder: its files as objects, links as links, and the list of them as an object."""
        entries = tuple(sorted(self._entries(folder, folder), key=lambda entry: entry.path))
        data = b"".join(canonical_json(_tree_line(entry)) + b"\n" for entry in entries)
        digest = self.put_bytes(b'{"kind":"tree"}\n' + data)
        return Tree(digest=digest, size_bytes=sum(e.size_bytes for e in entries), entries=entries)

    def _entries(self, top: Path, folder: Path) -> Iterator[TreeEntry]:
        with os.scandir(folder) as found:
            children = list(found)
        if not children and folder != top:
            yield TreeEntry(path=_relative(folder, top), kind="folder")
        for child in children:
            path = Path(child.path)
            if child.is_symlink():
                yield TreeEntry(
                    path=_relative(path, top), kind="link", target=_text(str(path.readlink()))
                )
            elif child.is_dir():
                yield from self._entries(top, path)
            elif child.is_file():
                digest, size = self.put_file(path)
                executable = bool(child.stat().st_mode & stat.S_IXUSR)
                yield TreeEntry(
                    path=_relative(path, top),
                    kind="file",
                    digest=digest,
                    size_bytes=size,
                    executable=executable,
                )

    @contextlib.contextmanager
    def _staged(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new file in staging; it is gone at the end unless it was placed."""
        path = self.staging / secrets.token_hex(12)
        try:
            with path.open("x+b", buffering=0) as file:
                yield file, path
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _place(self, file: IO[bytes], staged: Path, digest: str) -> None:
        """Sync the staged file and rename it to its name, durably."""
        os.fchmod(file.fileno(), 0o444) if hasattr(os, "fchmod") else staged.chmod(0o444)
        os.fsync(file.fileno())
        final = self.path(digest)
        try:
            staged.replace(final)
        except FileNotFoundError:
            final.parent.mkdir(exist_ok=True)
            sync_folder(self.root)
            staged.replace(final)
        sync_folder(final.parent)

    # Reading

    def read(self, digest: str) -> bytes:
        """The object's bytes, checked against their digest. Raises ObjectNotFoundError, DamageError."""
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise self._missing(digest) from None
        if digest_bytes(data) != digest:
            raise DamageError(f"the object {path} has other bytes than its name says", path=path)
        return data

    def verify(self, digest: str) -> bool:
        """Whether the object's bytes are what its name says; raises ObjectNotFoundError."""
        if not self.has(digest):
            raise self._missing(digest)
        return digest_file(self.path(digest)) == digest

    def read_tree(self, digest: str) -> Tree:
        """The folder's list; raises ObjectNotFoundError, DamageError."""
        lines = self.read(digest).splitlines()
        try:
            if not lines or msgspec.json.decode(lines[0]) != {"kind": "tree"}:
                raise ValueError("no tree")
            entries = tuple(msgspec.json.decode(line, type=TreeEntry) for line in lines[1:])
            for entry in entries:
                _check_entry(entry)
        except (ValueError, msgspec.MsgspecError) as error:
            raise DamageError(
                f"{digest} is no folder's list: {error}", path=self.path(digest)
            ) from error
        return Tree(digest=digest, size_bytes=sum(e.size_bytes for e in entries), entries=entries)

    # Restoring

    def restore_file(self, digest: str, dest: Path, *, executable: bool = False) -> None:
        """Lay the object's bytes out at `dest`, which must not exist: a clone or a copy, never a link.

        Whoever writes to a hard link would write to the object.
        """
        if not self.has(digest):
            raise self._missing(digest)
        with self.path(digest).open("rb") as source, dest.open("xb", buffering=0) as file:
            if not _share_extents(source, file):
                shutil.copyfileobj(source, file, _CHUNK_BYTES)
        dest.chmod(0o755 if executable else 0o644)

    def restore_tree(self, digest: str, dest: Path) -> None:
        """Lay the folder out as `dest`, which must not exist or be empty."""
        tree = self.read_tree(digest)
        dest.mkdir(parents=True, exist_ok=True)
        for entry in tree.entries:
            # Links last, so that no file is written through one.
            path = dest / _os_name(entry.path)
            if entry.kind == "folder":
                path.mkdir(parents=True, exist_ok=True)
            elif entry.kind == "file":
                assert entry.digest is not None
                path.parent.mkdir(parents=True, exist_ok=True)
                self.restore_file(entry.digest, path, executable=entry.executable)
        for entry in tree.entries:
            if entry.kind == "link":
                path = dest / _os_name(entry.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(_os_name(entry.target or ""))


def _tree_line(entry: TreeEntry) -> dict[str, object]:
    line: dict[str, object] = msgspec.to_builtins(entry)
    return line


def _text(name: str) -> str:
    """A name as the list has it: a backslash is doubled, a byte that is not UTF-8 is ``\\xNN``."""
    raw = os.fsencode(name).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")


def _os_name(text: str) -> str:
    """The name as the filesystem has it: the inverse of `_text`."""
    if "\\" not in text:
        return text
    raw = re.sub(rb"\\(\\|x([0-9a-f]{2}))", _unescape, text.encode())
    return os.fsdecode(raw)


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[2].decode()) if match[2] else b"\\"


def _relative(path: Path, top: Path) -> str:
    return _text(path.relative_to(top).as_posix())


def _check_entry(entry: TreeEntry) -> None:
    parts = entry.path.split("/")
    drive = os.name == "nt" and (":" in entry.path or "\\" in entry.path)
    if drive or ".." in parts or "" in parts:
        raise ValueError(f"a path that leaves the folder: {entry.path!r}")


def _copy(source: BinaryIO, dest: IO[bytes]) -> tuple[str, int]:
    """Copy while digesting: the digest is of what was written, whatever happens to the source."""
    hasher, size = Hasher(), 0
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        hasher.update(buffer[:count])
        write_all(dest.fileno(), buffer[:count])
        size += count
    return hasher.digest(), size


def _clone(source: BinaryIO, dest: IO[bytes], path: Path) -> tuple[str, int] | None:
    """Share the source's extents where the filesystem can, then digest the clone, which nobody else writes to."""
    if not _share_extents(source, dest):
        return None
    return digest_file(path), path.stat().st_size


def _share_extents(source: IO[bytes], dest: IO[bytes]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.ioctl(dest.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True
