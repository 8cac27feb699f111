"""The console index: the arrival times of the bytes of a run's stdout and stderr.

The format is a text line for each stretch of a stream that arrived at once::

    o0 12
    e0 3
    o55 210

The example: 12 ms after the run's start, stdout from byte 0 on; 3 ms later, stderr from byte 0 on; 210 ms after that,
stdout from byte 55 on. A line holds the letter of the stream, the bytes since the previous line of that stream, and
the milliseconds since the previous line of either stream. The milliseconds are negative if a stretch was written after
one that arrived later. A stretch ends where the next one of the same stream begins.

The process that records the console imports this module: keep it free of slow imports and of the rest of recorder.
"""

from __future__ import annotations

import re

# Stream (0 stdout, 1 stderr), the offset in it at which a stretch begins, milliseconds since the run's start.
Arrival = tuple[int, int, int]

_LETTERS = "oe"
_LINE = re.compile(rb"([oe])(\d{1,18}) (-?\d{1,18})\n")


class ArrivalEncoder:
    """An encoder of arrivals into lines; it keeps the offsets that lines are relative to."""

    def __init__(self) -> None:
        self._offsets = [0, 0]
        self._at_ms = 0

    def encode(self, stream: int, offset: int, at_ms: int) -> bytes:
        """Return the line of the next arrival; `offset` must not be less than the stream's previous one."""
        line = b"%c%d %d\n" % (
            ord(_LETTERS[stream]),
            offset - self._offsets[stream],
            at_ms - self._at_ms,
        )
        self._offsets[stream], self._at_ms = offset, at_ms
        return line


class ArrivalDecoder:
    """An incremental decoder of lines into arrivals."""

    def __init__(self) -> None:
        self._offsets = [0, 0]
        self._at_ms = 0

    def decode(self, data: bytes) -> tuple[list[Arrival], int]:
        """Return the arrivals of the complete lines at the beginning of `data`, and the number of bytes they take.

        A process that was killed may have left half of a line.
        """
        arrivals: list[Arrival] = []
        end = 0
        for match in _LINE.finditer(data):
            if match.start() != end:
                break
            end = match.end()
            stream = _LETTERS.index(match[1].decode())
            self._offsets[stream] += int(match[2])
            self._at_ms += int(match[3])
            arrivals.append((stream, self._offsets[stream], self._at_ms))
        return arrivals, end
