"""When the bytes of a console came: the index beside a run's stdout and stderr.

It is text, a line for each stretch of a stream that came at once::

    o0 12
    e0 3
    o55 210

stdout came 12 ms after the run's start, from its byte 0 on; stderr 3 ms later, from its byte 0 on; stdout 210 ms after
that, from its byte 55 on. So a line is the stream's letter, the bytes since the stream's last line, and the
milliseconds since the last line of all, less than 0 where a stretch was kept later than one that came after it. A
stretch reaches to the stream's next.

The process that writes down what is printed imports this too: it imports nothing of recorder's, and nothing slow.
"""

from __future__ import annotations

import re

# Stream (0 stdout, 1 stderr), the offset in it at which a stretch begins, milliseconds since the run's start.
Arrival = tuple[int, int, int]

_LETTERS = "oe"
_LINE = re.compile(rb"([oe])(\d{1,18}) (-?\d{1,18})\n")


class ArrivalEncoder:
    """Turns arrivals into lines, one after the other."""

    def __init__(self) -> None:
        self._offsets = [0, 0]
        self._at_ms = 0

    def encode(self, stream: int, offset: int, at_ms: int) -> bytes:
        """The line of the next arrival; no offset is before the stream's last."""
        line = b"%c%d %d\n" % (
            ord(_LETTERS[stream]),
            offset - self._offsets[stream],
            at_ms - self._at_ms,
        )
        self._offsets[stream], self._at_ms = offset, at_ms
        return line


class ArrivalDecoder:
    """Turns lines into arrivals, as they come."""

    def __init__(self) -> None:
        self._offsets = [0, 0]
        self._at_ms = 0

    def decode(self, data: bytes) -> tuple[list[Arrival], int]:
        """The arrivals of the whole lines at the beginning of `data`, and how many bytes these are.

        A process that was killed may have left half of a line.
        """
        found: list[Arrival] = []
        end = 0
        for match in _LINE.finditer(data):
            if match.start() != end:
                break
            end = match.end()
            stream = _LETTERS.index(match[1].decode())
            self._offsets[stream] += int(match[2])
            self._at_ms += int(match[3])
            found.append((stream, self._offsets[stream], self._at_ms))
        return found, end
