"""The incoming output of one stream, without credentials and with arrival times."""

from __future__ import annotations

from time import monotonic

from ....secrets.scrub import Rules, Scrubber

# Bytes, with their arrival time (`time.monotonic`).
Piece = tuple[bytes, float]


class Inflow:
    """A queue of output that can be written. `stream` is 0 for stdout and 1 for stderr.

    The beginning of a line is held back because it may be part of a credential. It keeps its original arrival time.
    """

    def __init__(self, stream: int, *, rules: Rules) -> None:
        self.stream = stream
        self._scrubber = Scrubber(rules)
        self._pieces: list[Piece] = []
        self._held_s = -1.0

    def feed(self, data: bytes) -> None:
        """Take in new output."""
        now = monotonic()
        clean = self._scrubber.feed(data)
        if clean:
            self._add(clean, now)
            self._held_s = -1.0
        if self._held_s < 0 and self._scrubber.is_holding:
            self._held_s = now

    def flush(self) -> None:
        """Release held-back output, because a run begins or ends here, or the stream ends."""
        if clean := self._scrubber.flush():
            self._add(clean, monotonic())
        self._held_s = -1.0

    def take(self) -> tuple[list[Piece], set[tuple[str, bytes]]]:
        """Return the output to write and the removed credentials with the letter of the stream, and clear both."""
        pieces, self._pieces = self._pieces, []
        taken, self._scrubber.found = self._scrubber.found, []
        return pieces, {("oe"[self.stream], value) for value in taken}

    def _add(self, clean: bytes, now: float) -> None:
        # Held-back output is the beginning of `clean`, up to the end of its line.
        end = _line_end(clean) if self._held_s >= 0 else 0
        if end:
            self._pieces.append((clean[:end], self._held_s))
        if end < len(clean):
            self._pieces.append((clean[end:], now))


def _line_end(data: bytes) -> int:
    """Return the end of the first line of `data`, or the end of `data`."""
    ends = [at + 1 for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0]
    return min(ends, default=len(data))
