"""What comes of one stream: without its credentials, and with the times at which it came."""

from __future__ import annotations

from time import monotonic

from ....secrets.scrub import Rules, Scrubber

# Bytes, and when they came, by `time.monotonic`.
Piece = tuple[bytes, float]


class Inflow:
    """What is fed and may be written by now, until it is taken; `stream` is 0 for stdout, 1 for stderr.

    The beginning of a line is held back for the sake of its credentials, and is as old as it is when it is let go.
    """

    def __init__(self, stream: int, *, rules: Rules) -> None:
        self.stream = stream
        self._scrubber = Scrubber(rules)
        self._pieces: list[Piece] = []
        self._held_s = -1.0

    def feed(self, data: bytes) -> None:
        """Take in what has just come."""
        now = monotonic()
        clean = self._scrubber.feed(data)
        if clean:
            self._add(clean, now)
            self._held_s = -1.0
        if self._held_s < 0 and self._scrubber.is_holding:
            self._held_s = now

    def flush(self) -> None:
        """Hold nothing back: a run begins or ends here, or the stream does."""
        if clean := self._scrubber.flush():
            self._add(clean, monotonic())
        self._held_s = -1.0

    def take(self) -> tuple[list[Piece], set[tuple[str, bytes]]]:
        """What may be written, and the credentials taken out of it, with the stream's letter; each is given once."""
        pieces, self._pieces = self._pieces, []
        taken, self._scrubber.found = self._scrubber.found, []
        return pieces, {("oe"[self.stream], one) for one in taken}

    def _add(self, clean: bytes, now: float) -> None:
        """What was held back is the beginning, up to the end of its line."""
        end = _line_end(clean) if self._held_s >= 0 else 0
        if end:
            self._pieces.append((clean[:end], self._held_s))
        if end < len(clean):
            self._pieces.append((clean[end:], now))


def _line_end(data: bytes) -> int:
    """The end of the first line, which the end of `data` ends too."""
    ends = [at + 1 for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0]
    return min(ends, default=len(data))
