"""Copying a file's bytes: shared extents where the filesystem can, and the digest of what was written."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import IO, Any

from ..digest import Hasher, digest_file
from .disk import write_all

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_CHUNK_BYTES = 1 << 20
# ioctl_ficlone(2): share the extents of a file on btrfs, XFS and others; the copies part when one is written to.
_FICLONE = 0x40049409


def copy_bytes(source: IO[bytes], dest: IO[bytes], dest_path: Path) -> tuple[str, int]:
    """Copy `source`, from where it stands, to the new file `dest`; the digest and size of what is in `dest` then.

    Whatever is written to the source meanwhile, the digest is that of the copy: of the bytes on their way into
    it, or of the clone, which nobody else writes to.
    """
    if _share_extents(source, dest):
        return digest_file(dest_path), dest_path.stat().st_size
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


def _share_extents(source: IO[bytes], dest: IO[bytes]) -> bool:
    if fcntl is None:
        return False
    try:
        if source.tell() == 0:
            fcntl.ioctl(dest.fileno(), _FICLONE, source.fileno())
            return True
    except (OSError, AttributeError):  # no such filesystem; no real file
        pass
    return False


def is_ours_alone(fd: int) -> bool:
    """Whether nobody else has the file open for writing, by any name; False where that cannot be told.

    `fd` is open for reading only. fcntl(2): a read lease is given on no file that anybody has open for writing, or
    mapped for it.
    """
    if not hasattr(fcntl, "F_SETLEASE") or os.fstat(fd).st_nlink != 1:
        return False
    try:
        # Who opens it in the next microsecond breaks the lease, which by default is told by SIGIO: that kills.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True
