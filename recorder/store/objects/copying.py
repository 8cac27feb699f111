"""Copy a file and digest the copy, sharing extents (reflink) if the filesystem supports it."""

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
# ioctl_ficlone(2): share the extents of a file on btrfs, XFS and others, copy-on-write.
_FICLONE = 0x40049409


def copy_bytes(source: IO[bytes], dest: IO[bytes], dest_path: str) -> tuple[str, int]:
    """Copy `source`, from its current position, to the new file `dest`; return the digest and size of the copy.

    The digest is of the copy even if the source is written to meanwhile: it is computed from the bytes written, or
    from the clone, which nobody else writes to.
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
    """Make `dest` a clone of `source`, if `source` is at its beginning; return False if the filesystem cannot."""
    try:
        return source.tell() == 0 and clone(source.fileno(), dest.fileno())
    except (OSError, AttributeError):  # not a regular file
        return False


def clone(source: int, dest: int) -> bool:
    """Make the file of descriptor `dest` a clone of that of `source`; return False if the filesystem cannot."""
    if fcntl is None:
        return False
    try:
        fcntl.ioctl(dest, _FICLONE, source)
    except OSError:
        return False
    return True


class Lease:
    """A read lease on an open file: while it holds, no process has the file open for writing, under any name.

    fcntl(2) grants none on a file that is open, or mapped, for writing. A process that opens the file for writing or
    truncates it waits until the lease ends; `holds` reports that. Without support for leases it never holds. `fd` must
    be open for reading only.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_held = hasattr(fcntl, "F_SETLEASE") and self._take()

    def _take(self) -> bool:
        from signal import SIGURG  # slow to import

        try:
            # By default a broken lease sends SIGIO, which kills the process.
            fcntl.fcntl(self._fd, fcntl.F_SETSIG, SIGURG)
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError:
            return False
        return True

    def holds(self) -> bool:
        """Return whether the lease has held so far; end it if a process waits for it."""
        if self._is_held and fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
            self.end()
        return self._is_held

    def end(self) -> None:
        """Release the lease."""
        if self._is_held:
            self._is_held = False
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def is_ours_alone(fd: int) -> bool:
    """Return whether no other process can write to the file, under any name; False if that is unknown."""
    lease = Lease(fd)
    held = lease.holds() and os.fstat(fd).st_nlink == 1
    lease.end()
    return held


class LargeCopy:
    """A copy of a large file that is made and digested at once: copied by the kernel in a thread, digested in this one.

    The digest is computed from the source, which equals the copy if nobody could write to it meanwhile (see `Lease`);
    else the copy is digested again at the end.
    """

    def __init__(self, source: IO[bytes], dest: IO[bytes], dest_path: str) -> None:
        self._source, self._dest, self._dest_path = source.fileno(), dest.fileno(), dest_path
        self._lease = Lease(self._source)
        self._is_unwanted = False
        self._trouble: BaseException | None = None

    def run(self, source: Path, *, is_kept: Callable[[str, int], bool]) -> tuple[str, int, bool]:
        """Return the digest and size of the copy, and whether it is needed; stop copying if `is_kept(digest, size)`."""
        thread = threading.Thread(target=self._copy, name="recorder-copy", daemon=True)
        thread.start()
        try:
            # Read by descriptor if the lease holds: the name may refer to another file by now.
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
