"""The index of a console: when what of its two streams came, written as it comes, cut as the streams are."""

from __future__ import annotations

import os
from collections import deque

from ....formats.console_index import Arrival, ArrivalEncoder
from .sink import Sink, append

# What a stream prints within this of the beginning of a stretch belongs to it, unless the other prints between.
_STRETCH_MS = 10
# The same, whatever the other prints, of a console whose index has become long for its size.
_LONG_STRETCH_MS = 100
# An index may have so many arrivals, and one more for each so many bytes of the console.
_ARRIVALS, _BYTES_AN_ARRIVAL = 1 << 13, 1 << 8
_NEVER_MS = -(1 << 60)


class Index:
    """Appends to the file `fd` when what came to the two `sinks`.

    What a sink keeps for its end (see `Sink`) the index does, too: only then is it known where in the file it lies.
    """

    def __init__(self, fd: int, *, sinks: tuple[Sink, Sink]) -> None:
        self._fd = fd
        self._sinks = sinks
        self._encoder = ArrivalEncoder()
        self._late: tuple[deque[Arrival], deque[Arrival]] = (deque(), deque())
        self._last_stream = -1
        self._last_ms = [_NEVER_MS, _NEVER_MS]
        self._count = 0
        self.errno = 0

    def note(self, stream: int, size_bytes: int, *, at_ms: int) -> None:
        """The next `size_bytes` of a stream have come; to be said before the sink is given them."""
        sink, late = self._sinks[stream], self._late[stream]
        begin, end = sink.taken_bytes, sink.taken_bytes + size_bytes
        is_new = not self._goes_on(stream, at_ms)
        if is_new:
            self._last_stream, self._last_ms[stream] = stream, at_ms
            self._count += 1
            if begin < sink.head_bytes:
                self._put(stream, begin, at_ms)
        if end > sink.head_bytes and (is_new or not late):
            late.append((stream, max(begin, sink.head_bytes), at_ms))
            _forget(late, before=end - sink.tail_bytes)

    def close(self) -> None:
        """Write what was kept for the end, and close the file; the sinks are closed by now."""
        late = [one for stream in (0, 1) for one in self._moved(stream)]
        for stream, offset, at_ms in sorted(late, key=lambda one: one[2]):
            self._put(stream, offset, at_ms)
        os.close(self._fd)

    def _goes_on(self, stream: int, at_ms: int) -> bool:
        """Whether what comes belongs to the stream's last stretch."""
        taken = self._sinks[0].taken_bytes + self._sinks[1].taken_bytes
        is_long = self._count > _ARRIVALS + taken // _BYTES_AN_ARRIVAL
        if not is_long and stream != self._last_stream:
            return False
        return abs(at_ms - self._last_ms[stream]) < (_LONG_STRETCH_MS if is_long else _STRETCH_MS)

    def _moved(self, stream: int) -> list[Arrival]:
        """What was kept of a stream, with the offsets in its file; the note of the cut came with what follows it."""
        sink, late = self._sinks[stream], self._late[stream]
        kept = sink.head_bytes + sink.cut_bytes
        _forget(late, before=kept)
        shift = len(sink.note) - sink.cut_bytes
        return [
            (stream, sink.head_bytes if offset <= kept else offset + shift, at_ms)
            for _, offset, at_ms in late
        ]

    def _put(self, stream: int, offset: int, at_ms: int) -> None:
        self.errno = self.errno or append(self._fd, self._encoder.encode(stream, offset, at_ms))


def _forget(late: deque[Arrival], *, before: int) -> None:
    """Drop the stretches that end before that offset, or at it."""
    while len(late) > 1 and late[1][1] <= before:
        late.popleft()
