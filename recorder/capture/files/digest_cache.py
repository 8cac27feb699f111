"""A cache of file digests, valid while a file is unchanged.

Like git and make, it compares inode, size, and times. A program that writes through a shared memory map updates
these only now and then.
"""

# Paths are strings here: this runs for each file that a run opens, and a Path costs as much as the lookup.

from __future__ import annotations

import os
import time
from pathlib import Path

from ...digest import digest_bytes, digest_file

# A file that changed within this time before it was digested may change again with the same times: ext3 and HFS+
# count in seconds, FAT in steps of two seconds.
_RACY_NS = 2_000_000_000
# Larger files are read in pieces and digested by several threads.
_SMALL_BYTES = 1 << 20
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_MAX_KNOWN = 100_000

_Signature = tuple[int, int, int, int, int]
# By path, for further runs in this process that read the same files.
_memo: dict[str, tuple[_Signature, str]] = {}


def digest_now(real: str, status: os.stat_result) -> str:
    """Return the digest of the file, from the cache if inode, size, and times are unchanged. Raises OSError."""
    signature = (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
    known = _memo.get(real)
    if known is not None and known[0] == signature:
        return known[1]
    small = status.st_size <= _SMALL_BYTES
    digest = digest_bytes(_read_small(real, status.st_size)) if small else digest_file(Path(real))
    if time.time_ns() - status.st_ctime_ns > _RACY_NS:
        if len(_memo) >= _MAX_KNOWN:
            _memo.clear()
        _memo[real] = (signature, digest)
    return digest


def _read_small(real: str, size_bytes: int) -> bytes:
    fd = os.open(real, _READ_FLAGS)
    try:
        data = os.read(fd, size_bytes + 1)
        while len(data) != size_bytes and (more := os.read(fd, _SMALL_BYTES)):
            data += more
    finally:
        os.close(fd)
    return data
