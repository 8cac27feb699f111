"""Copying a file's bytes: shared extents where the filesystem can, and the digest of what was written."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ...digest import Hasher, digest_file
from ..filesystem.disk import write_all

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_CHUNK_BYTES = 1 << 20
_KERNEL_CHUNK_BYTES = 1 << 24
_NOT_IN_KERNEL = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)
# ioctl_ficlone(2): share the extents of a file on btrfs, XFS and others; the copies part when one is written to.
_FICLONE = 0x40049409


def copy_bytes(source: IO[bytes], dest: IO[bytes], dest_path: str) -> tuple[str, int]:
    """Copy `source`, from where it stands, to the new file `dest`; the digest and size of what is in `dest` then.

    Whatever is written to the source meanwhile, the digest is that of the copy: of the bytes on their way into
    it, or of the clone, which nobody else writes to.
    """
    if share_extents(source, dest):
        return digest_file(Path(dest_path)), os.fstat(dest.fileno()).st_size
    hasher, size = Hasher(), 0
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    readinto = getattr(source, "readinto", None)
    while count := readinto(buffer) if readinto else _read_into(source, buffer):
        hasher.update(buffer[:count])
        write_all(dest.fileno(), buffer[:count])
        size += count
    return hasher.digest(), size


def _read_into(source: IO[bytes], buffer: memoryview) -> int:
    data = source.read(len(buffer))
    buffer[: len(data)] = data
    return len(data)


def share_extents(source: IO[bytes], dest: IO[bytes]) -> bool:
    """Make `dest` a clone of `source`, read from its beginning; False where the filesystem cannot."""
    try:
        return source.tell() == 0 and clone(source.fileno(), dest.fileno())
    except (OSError, AttributeError):  # no real file
        return False


def clone(source: int, dest: int) -> bool:
    """The same for the descriptors of two files; False where the filesystem cannot."""
    if fcntl is None:
        return False
    try:
        fcntl.ioctl(dest, _FICLONE, source)
    except OSError:
        return False
    return True


class Lease:
    """A read lease on an open file: while it holds, nobody has the file open for writing, by any name.

    fcntl(2): it is given on no file that anybody has open for writing, or mapped for it. Who opens it for writing, or
    cuts it short, while it holds has to wait until it is let go; that it was broken shows by `holds`. Where there are
    no leases it never holds. `fd` is open for reading only.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_held = hasattr(fcntl, "F_SETLEASE") and self._take()

    def _take(self) -> bool:
        from signal import SIGURG  # its enums are slow to make

        try:
            # Who breaks it is by default told of by SIGIO: that kills.
            fcntl.fcntl(self._fd, fcntl.F_SETSIG, SIGURG)
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError:
            return False
        return True

    def holds(self) -> bool:
        """Whether it has held so far; one that somebody waits for is let go."""
        if self._is_held and fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
            self.end()
        return self._is_held

    def end(self) -> None:
        """Let it go."""
        if self._is_held:
            self._is_held = False
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def is_ours_alone(fd: int) -> bool:
    """Whether nobody else has the file open for writing, by any name; False where that cannot be told."""
    lease = Lease(fd)
    held = lease.holds() and os.fstat(fd).st_nlink == 1
    lease.end()
    return held


class LargeCopy:
    """A copy of a large file that is made and digested at once: by the kernel in a thread, and mapped in this one.

    What is digested is the source, which stands for the copy if nobody could write to it meanwhile: see `Lease`. Else
    the copy is digested too, when it is done.
    """

    def __init__(self, source: IO[bytes], dest: IO[bytes], dest_path: str) -> None:
        self._source, self._dest, self._dest_path = source.fileno(), dest.fileno(), dest_path
        self._lease = Lease(self._source)
        self._is_unwanted = False
        self._trouble: BaseException | None = None

    def run(self, source: Path, *, is_kept: Callable[[str, int], bool]) -> tuple[str, int, bool]:
        """Digest and size of the copy, and whether it is wanted: it is given up where `is_kept` says so."""
        thread = threading.Thread(target=self._copy, name="recorder-copy", daemon=True)
        thread.start()
        try:
            # By its descriptor where the lease may hold: another file may stand under the name by now.
            by_fd = Path(f"/proc/self/fd/{self._source}")
            digest = digest_file(by_fd if self._lease.holds() else source)
            size = os.fstat(self._source).st_size
            self._is_unwanted = is_kept(digest, size)
        except BaseException:
            self._is_unwanted = True
            raise
        finally:
            thread.join()
            is_same = self._lease.holds()
            self._lease.end()
        if self._is_unwanted:
            return digest, size, False
        if self._trouble is not None:
            raise self._trouble
        copied = os.fstat(self._dest).st_size
        return (digest if is_same else digest_file(Path(self._dest_path))), copied, True

    def _copy(self) -> None:
        try:
            copy = _copy_in_kernel if hasattr(os, "copy_file_range") else _copy_here
            while not self._is_unwanted and copy(self._source, self._dest):
                self._lease.holds()
        except OSError as error:
            self._trouble = error


def _copy_in_kernel(source: int, dest: int) -> int:
    try:
        return os.copy_file_range(source, dest, _KERNEL_CHUNK_BYTES)
    except OSError as error:
        if error.errno not in _NOT_IN_KERNEL:
            raise
        return _copy_here(source, dest)


def _copy_here(source: int, dest: int) -> int:
    data = os.read(source, _CHUNK_BYTES)
    write_all(dest, data)
    return len(data)
