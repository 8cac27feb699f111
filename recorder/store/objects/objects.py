"""Objects: immutable bytes named by their digest, and folders as canonical lists of them.

``objects/ab/cdef...`` holds the bytes whose BLAKE3 digest is ``abcdef...``, with mode 0444. An object is written in
``staging/``, digested while it is written, synced and renamed, so that a named object is complete; it is never edited.
Two processes that put the same bytes at once both succeed: the second rename replaces the file by an equal one.

A tree is also an object: see `recorder.store.objects.trees`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import warnings
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import IO, BinaryIO

from ...digest import PREFIX, digest_bytes, digest_file, is_digest
from ...errors import DamageError, ObjectNotFoundError, RecorderWarning
from ..filesystem.disk import Gate, is_regular, open_regular, write_all
from .copying import LargeCopy, copy_bytes, is_ours_alone, share_extents
from .publish import Placing, object_path, touch
from .trees import Tree, TreeEntry, drop_links_out, os_name, read_entries, text_of, write_entries

__all__ = ["Objects", "Tree", "TreeEntry"]

# A smaller file is read into memory, and staged only if it is new; a larger one is digested on every core while it is
# copied.
_LARGE_BYTES = 1 << 22
_FOLDER_NAME = re.compile("[0-9a-f]{2}")
_FILE_NAME = re.compile("[0-9a-f]{62}")


class Objects:
    """The objects below the folder `root`, staged in `staging`, which is on the same filesystem.

    An object is durable when the call that puts it returns, unless ``sync=False``. A call that raises OSError, as for
    a full disk, leaves nothing behind.
    """

    def __init__(self, root: Path, *, staging: Path) -> None:
        self.root = root
        self.staging = staging
        # Garbage collection holds it exclusively: see `recorder.store.maintenance.gc`.
        self.gate = Gate(root.parent / "objects.gate")
        self._durable: set[str] = set()

    # Names

    def path(self, digest: str) -> Path:
        """Return the path of the object, existing or not. Raises ObjectNotFoundError if `digest` is not a digest."""
        if not is_digest(digest):
            raise ObjectNotFoundError(f"{digest!r} is not a digest", digest=str(digest))
        return object_path(self.root, digest)

    def has(self, digest: str) -> bool:
        """Return whether the object exists as a regular file."""
        return is_digest(digest) and is_regular(self.path(digest))

    def size(self, digest: str) -> int:
        """Return the size of the object in bytes. Raises ObjectNotFoundError."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise self._missing(digest) from None

    def __iter__(self) -> Iterator[str]:
        """Yield the digests of all objects in order; other files are skipped."""
        for folder in sorted(self.root.iterdir()) if self.root.exists() else ():
            if _FOLDER_NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                names = sorted(file.name for file in folder.iterdir())
                yield from (PREFIX + folder.name + n for n in names if _FILE_NAME.fullmatch(n))

    def foreign(self) -> list[Path]:
        """Return the paths below `root` that are not objects."""
        folders = sorted(self.root.iterdir()) if self.root.exists() else []
        known = [
            f
            for f in folders
            if _FOLDER_NAME.fullmatch(f.name) and f.is_dir() and not f.is_symlink()
        ]
        files = [file for folder in known for file in sorted(folder.iterdir())]
        return [f for f in folders if f not in known] + [
            file for file in files if not _FILE_NAME.fullmatch(file.name) or not is_regular(file)
        ]

    def _missing(self, digest: str) -> ObjectNotFoundError:
        return ObjectNotFoundError(f"no object {digest} in {self.root}", digest=digest)

    # Putting

    def keep(self, *digests: str) -> bool:
        """Return whether the objects exist; if so, they are not collected before the runs in progress have ended."""
        with self.gate.shared():
            return all(touch(self.path(digest)) is not None for digest in digests)

    def put_bytes(self, data: bytes | bytearray | memoryview, *, sync: bool = True) -> str:
        """Store the bytes; return their digest."""
        return self._put_bytes(data, self._placing(sync))

    def put_file(self, source: Path, *, sync: bool = True, move: bool = False) -> tuple[str, int]:
        """Store the content of a file; return its digest and size.

        The digest is of the bytes that were stored, even if the source is written to meanwhile. `move` removes the
        source, and takes it over without a copy if no process can still write to it. Raises OSError if the source is
        not a readable regular file.
        """
        place = self._placing(sync)
        return self._move_in(source, place) if move else self._put_file(source, place)

    def put_files(self, wanted: Mapping[str, str], *, sync: bool = True) -> set[str]:
        """Store files by path, each with the digest that it had before; return the digests that the store has now.

        A file that is gone or has changed since is skipped, unless the store already has its object. Raises OSError,
        with nothing stored, if the store cannot be written.
        """
        place = self._placing(sync, together=True)
        with place.finished():
            return {digest for path, digest in wanted.items() if self._keep(path, digest, place)}

    def _keep(self, path: str, digest: str, place: Placing) -> bool:
        if place.is_kept(digest):
            return True
        try:
            source = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115
        except OSError:
            return False
        with source:
            return self._put_opened(source, Path(path), place)[0] == digest

    def put_stream(self, stream: IO[bytes], *, sync: bool = True) -> tuple[str, int]:
        """Store the rest of the stream; return its digest and size."""
        return self._put_stream(stream, self._placing(sync))

    def take_staged(self, path: Path, digest: str, size: int, *, sync: bool = True) -> None:
        """Take over a file on the store's filesystem that the caller has verified and nobody else can write to."""
        place = self._placing(sync)
        if not place.is_kept(digest, size):
            with path.open("rb") as file:
                place.put(file, str(path), digest)

    def put_tree(self, folder: Path, *, sync: bool = True) -> Tree:
        """Store a folder: its files as objects, its symbolic links as links, and the list of them as an object.

        Sockets, pipes and devices are left out with a warning. Raises OSError if a file cannot be read.
        """
        place = self._placing(sync, together=True)
        with place.finished():
            entries = tuple(sorted(self._entries(folder, folder, place), key=lambda e: e.path))
        digest = self.put_bytes(write_entries(entries), sync=sync)
        return Tree(digest=digest, size_bytes=sum(e.size_bytes for e in entries), entries=entries)

    def _placing(self, sync: bool, *, together: bool = False) -> Placing:
        return Placing(
            self.root, gate=self.gate, sync=sync, durable=self._durable, together=together
        )

    def _put_file(self, source: Path, place: Placing) -> tuple[str, int]:
        status = os.stat(source)  # noqa: PTH116
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(source))
        with open(source, "rb", buffering=0) as file:  # noqa: PTH123
            return self._put_opened(file, source, place)

    def _put_opened(self, file: FileIO, source: Path, place: Placing) -> tuple[str, int]:
        if os.fstat(file.fileno()).st_size >= _LARGE_BYTES:
            return self._put_large(file, source, place)
        data = file.readall()
        return self._put_bytes(data, place), len(data)

    def _put_bytes(self, data: bytes | bytearray | memoryview, place: Placing) -> str:
        digest = digest_bytes(data)
        if not place.is_kept(digest, len(data)):
            with self._staged() as (file, path):
                write_all(file.fileno(), data)
                place.put(file, path, digest)
        return digest

    def _put_large(self, source: IO[bytes], name: Path, place: Placing) -> tuple[str, int]:
        with self._staged() as (file, path):
            if share_extents(source, file):
                digest, size = digest_file(Path(path)), os.fstat(file.fileno()).st_size
                is_wanted = not place.is_kept(digest, size)
            else:
                copy = LargeCopy(source, file, path)
                digest, size, is_wanted = copy.run(name, is_kept=place.is_kept)
            if is_wanted:
                place.put(file, path, digest)
            else:
                os.unlink(path)  # noqa: PTH108
        return digest, size

    def _put_stream(self, stream: IO[bytes], place: Placing) -> tuple[str, int]:
        with self._staged() as (file, path):
            digest, size = copy_bytes(stream, file, path)
            if place.is_kept(digest, size):
                os.unlink(path)  # noqa: PTH108
            else:
                place.put(file, path, digest)
        return digest, size

    def _move_in(self, source: Path, place: Placing) -> tuple[str, int]:
        # A hard link would not do: writing to the source would change the object. The file itself can be used if it
        # has no other name, is renamed to one that nobody knows, has mode 0444, and the kernel reports that no process
        # has it open for writing. Else it is copied.
        status, staged = source.lstat(), self.staging / os.urandom(12).hex()
        if stat.S_ISREG(status.st_mode):
            with contextlib.suppress(OSError):  # another filesystem, or no permission
                source.rename(staged)
        if not staged.exists():
            kept = self._put_file(source, place)
            source.unlink()
            return kept
        try:
            kept = self._take_over(staged, place)
        except BaseException:
            # This is the only copy: move it back.
            staged.chmod(stat.S_IMODE(status.st_mode))
            staged.rename(source)
            raise
        staged.unlink(missing_ok=True)
        return kept

    def _take_over(self, staged: Path, place: Placing) -> tuple[str, int]:
        status = staged.stat()
        staged.chmod(0o444)
        os.utime(staged)  # an object's mtime is the time at which it was stored
        with staged.open("rb", buffering=0) as file:
            if not is_ours_alone(file.fileno()):
                # Its other names keep their mode and time: whoever owns them must be able to write to them.
                os.utime(staged, ns=(status.st_atime_ns, status.st_mtime_ns))
                staged.chmod(stat.S_IMODE(status.st_mode))
                return self._put_stream(file, place)
            digest, size = digest_file(staged), os.fstat(file.fileno()).st_size
            if not place.is_kept(digest, size):
                place.put(file, str(staged), digest)
        return digest, size

    def _entries(self, top: Path, folder: Path, place: Placing) -> Iterator[TreeEntry]:
        with os.scandir(folder) as found:
            children = list(found)
        if not children and folder != top:
            yield TreeEntry(path=_relative(folder, top), kind="folder")
        for child in children:
            path = Path(child.path)
            if child.is_dir(follow_symlinks=False):
                yield from self._entries(top, path, place)
            elif (entry := self._entry(path, _relative(path, top), place)) is not None:
                yield entry

    def _entry(self, path: Path, name: str, place: Placing) -> TreeEntry | None:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return TreeEntry(path=name, kind="link", target=text_of(os.readlink(path)))  # noqa: PTH115 - verbatim
        if not stat.S_ISREG(mode):
            message = f"{path} is not a file, folder or link and was not stored"
            warnings.warn(message, RecorderWarning, stacklevel=2)
            return None
        digest, size = self._put_file(path, place)
        executable = bool(mode & stat.S_IXUSR)
        return TreeEntry(name, "file", digest=digest, size_bytes=size, executable=executable)

    @contextlib.contextmanager
    def _staged(self) -> Iterator[tuple[IO[bytes], str]]:
        """Create a file in staging, which the caller publishes or removes; it is removed after an error."""
        path = f"{self.staging}{os.sep}{os.urandom(12).hex()}"
        with open(path, "x+b", buffering=0) as file:  # noqa: PTH123 - Path.open adds 1 % to a recorded call
            try:
                yield file, path
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108
                raise

    # Reading

    def open(self, digest: str) -> BinaryIO:
        """Open the object for reading, without verifying it. Raises ObjectNotFoundError, DamageError."""
        path = self.path(digest)
        try:
            return open(open_regular(path), "rb")  # noqa: PTH123
        except FileNotFoundError:
            raise self._missing(digest) from None
        except OSError:
            if is_regular(path):
                raise
            raise DamageError(f"the object {path} is not a regular file", path=path) from None

    def read(self, digest: str) -> bytes:
        """Return the content of the object, verified against its digest. Raises ObjectNotFoundError, DamageError."""
        with self.open(digest) as file:
            data = file.read()
        if digest_bytes(data) != digest:
            raise self._damaged(digest)
        return data

    def verify(self, digest: str) -> bool:
        """Return whether the content of the object has its digest. Raises ObjectNotFoundError, OSError."""
        path = self.path(digest)
        try:
            return stat.S_ISREG(path.lstat().st_mode) and digest_file(path) == digest
        except FileNotFoundError:
            raise self._missing(digest) from None

    def read_tree(self, digest: str) -> Tree:
        """Return the tree of that digest. Raises ObjectNotFoundError, DamageError."""
        data = self.read(digest)
        try:
            entries = self.parse_tree(data)
        except ValueError as error:
            message = f"the object {digest} is not a tree: {error}"
            raise DamageError(message, path=self.path(digest)) from error
        return Tree(digest=digest, size_bytes=sum(e.size_bytes for e in entries), entries=entries)

    @staticmethod
    def parse_tree(data: bytes) -> tuple[TreeEntry, ...]:
        """Parse the entries of a tree. Raises ValueError if it is not one, or would write outside its folder."""
        return read_entries(data)

    def _damaged(self, digest: str) -> DamageError:
        path = self.path(digest)
        return DamageError(
            f"the object {path} is damaged: its content does not match its digest", path=path
        )

    # Restoring

    def restore_file(self, digest: str, dest: Path, *, executable: bool = False) -> None:
        """Write the object to `dest`, which must not exist, as a clone or a copy.

        It is never a hard link, since writing to that would change the object. The bytes are verified while they are
        written. Raises DamageError, ObjectNotFoundError and OSError, with nothing left at `dest`.
        """
        with self.open(digest) as source, dest.open("xb", buffering=0) as file:
            try:
                if copy_bytes(source.raw, file, str(dest))[0] != digest:  # type: ignore[attr-defined]
                    raise self._damaged(digest)
            except BaseException:
                dest.unlink()
                raise
        dest.chmod(0o755 if executable else 0o644)

    def restore_tree(self, digest: str, dest: Path, *, links_out: bool = False) -> None:
        """Write the tree to the folder `dest`, which must be empty or not exist.

        A link that leads out of `dest` is left out with a warning, unless `links_out`: a program could write through
        it. Raises DamageError or ObjectNotFoundError, before anything is written, if the tree would write outside
        `dest` or refers to a missing object.
        """
        entries = self.read_tree(digest).entries
        for entry in entries:
            if entry.digest is not None:
                self.size(entry.digest)
        dest.mkdir(parents=True, exist_ok=True)
        if any(dest.iterdir()):
            raise FileExistsError(errno.EEXIST, "the folder is not empty", str(dest))
        # Links last, so that nothing is written through one.
        for entry in sorted(entries, key=lambda entry: entry.kind == "link"):
            self._lay_out(entry, dest / os_name(entry.path))
        if not links_out:
            drop_links_out(dest, [e for e in entries if e.kind == "link"])

    def _lay_out(self, entry: TreeEntry, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "folder":
            path.mkdir(exist_ok=True)
        elif entry.kind == "link":
            path.symlink_to(os_name(entry.target or ""))
        else:
            self.restore_file(entry.digest or "", path, executable=entry.executable)


def _relative(path: Path, top: Path) -> str:
    return text_of(path.relative_to(top).as_posix())
