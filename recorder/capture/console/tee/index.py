"""The index of a console: the arrival times of its two streams, written as they arrive and cut like the streams."""

from __future__ import annotations

import os
from collections import deque

from ....formats.console_index import Arrival, ArrivalEncoder
from .sink import Sink, append

# Output within this time of the beginning of a stretch belongs to it, unless the other stream prints in between.
_STRETCH_MS = 10
# The same, regardless of the other stream, once the index has become long for the size of the console.
_LONG_STRETCH_MS = 100
# The limit on arrivals in an index, plus one for each of this number of bytes of the console.
_ARRIVALS, _BYTES_AN_ARRIVAL = 1 << 13, 1 << 8
_NEVER_MS = -(1 << 60)


class Index:
    """An index, appended to the file `fd`, of the arrivals at the two `sinks`.

    Like a sink (see `Sink`), it keeps the last arrivals for the end, because their offsets in the file are known
    only then.
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
        """Note the arrival of the next `size_bytes` of a stream. Call this before the sink gets them."""
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
        """Write the kept arrivals and close the file. The sinks must be closed by now."""
        late = [arrival for stream in (0, 1) for arrival in self._moved(stream)]
        for stream, offset, at_ms in sorted(late, key=lambda arrival: arrival[2]):
            self._put(stream, offset, at_ms)
        os.close(self._fd)

    def _goes_on(self, stream: int, at_ms: int) -> bool:
        """Return True if new output belongs to the stream's last stretch."""
        taken = self._sinks[0].taken_bytes + self._sinks[1].taken_bytes
        is_long = self._count > _ARRIVALS + taken // _BYTES_AN_ARRIVAL
        if not is_long and stream != self._last_stream:
            return False
        return abs(at_ms - self._last_ms[stream]) < (_LONG_STRETCH_MS if is_long else _STRETCH_MS)

    def _moved(self, stream: int) -> list[Arrival]:
        """Return the kept arrivals of a stream with offsets in its file. The cut note arrives with what follows it."""
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
    """Drop the stretches that end at or before that offset."""
    while len(late) > 1 and late[1][1] <= before:
        late.popleft()
