"""A file that receives the output of a stream, up to a limit."""

from __future__ import annotations

import os

_SLACK_BYTES = 1 << 20


class Sink:
    """A file that keeps the first and the last half of `limit_bytes`. `cut_bytes` are left out between them.

    The first half is written as it arrives, the last half when the sink is closed. `taken_bytes` is the total
    received. `errno` is the last error of writing the file, or 0; an error ends the writing.
    """

    def __init__(self, fd: int, *, limit_bytes: int) -> None:
        self._fd = fd
        self.tail_bytes = limit_bytes // 2
        self.head_bytes = limit_bytes - self.tail_bytes
        self._tail = bytearray()
        self.taken_bytes = 0
        self.cut_bytes = 0
        self.errno = 0

    def write(self, data: bytes) -> None:
        """Take in `data`."""
        room = max(0, self.head_bytes - self.taken_bytes)
        self.taken_bytes += len(data)
        if room >= len(data):
            self._put(data)
            return
        self._put(data[:room])
        self._tail += data[room:]
        if len(self._tail) > self.tail_bytes + _SLACK_BYTES:
            self._trim()

    def close(self) -> None:
        """Write the tail, preceded by a line with the number of missing bytes, and close the file."""
        self._trim()
        self._put(self.note)
        self._put(self._tail)
        os.close(self._fd)

    @property
    def note(self) -> bytes:
        """The line that replaces the cut bytes, or b""."""
        return b"\n[recorder: %d bytes cut here]\n" % self.cut_bytes if self.cut_bytes else b""

    def _trim(self) -> None:
        excess = max(0, len(self._tail) - self.tail_bytes)
        self.cut_bytes += excess
        del self._tail[:excess]

    def _put(self, data: bytes | bytearray) -> None:
        self.errno = self.errno or append(self._fd, data)


def append(fd: int, data: bytes | bytearray) -> int:
    """Write all of `data`, and return 0 or the errno of a failure."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        return error.errno or 5
    return 0
