"""Taking credentials out of a stream of bytes, however it is cut into pieces.

It imports nothing of recorder's, and nothing slow: the tee's process uses it too, and starts with each program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

# What stands in a text in the place of a credential.
REDACTED = b"[redacted]"
# No more than this of a line without an end is held back, and of a private key without one.
HELD_BYTES = 1 << 13
_HELD_KEY_BYTES = 1 << 15
_BEGIN, _END = b"-----BEGIN ", b"-----END"

Find = Callable[[bytes, Iterable[bytes]], list[tuple[int, int]]]


class Rules:
    """What is taken out: what `find` finds, and `values`, the credentials that are known by their text."""

    values: tuple[bytes, ...]

    def __init__(self, find: Find) -> None:
        self._find = find
        self.set_values(())

    def set_values(self, values: Iterable[bytes]) -> None:
        """Take out these from now on, whoever uses these rules."""
        self.values = tuple(sorted(values, key=len, reverse=True))
        # A value of several lines can begin on one that has ended.
        self.heads = [
            (one[: one.index(b"\n") + 1], len(one)) for one in self.values if b"\n" in one
        ]

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where credentials stand in `data`."""
        return self._find(data, self.values)


class Scrubber:
    """One stream. A credential never spans two lines, but for private keys and values that have lines themselves: so
    the beginning of a line is held back until its end comes, or `flush`.

    `found` are the credentials taken out; whoever reads them takes them off.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.found: list[bytes] = []
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take in `data`; what may be written by now."""
        data = self._held + data
        clean, self._held = self._clean(data, self._safe(data))
        return clean

    def flush(self) -> bytes:
        """What is held back, at the end."""
        clean, self._held = self._clean(self._held, len(self._held))
        return clean

    @property
    def is_holding(self) -> bool:
        """Whether the beginning of a line is held back."""
        return bool(self._held)

    def _safe(self, data: bytes) -> int:
        """Up to where `data` can be looked at: what comes later changes nothing there."""
        safe = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        begin = data.rfind(_BEGIN)
        if 0 <= begin < safe and len(data) - begin < _HELD_KEY_BYTES:
            end = data.find(_END, begin)
            if end < 0 or data.find(b"-----", end + len(_END)) < 0:
                safe = begin
        for head, size in self.rules.heads:
            at = data.rfind(head)
            if 0 <= at < safe and at + size > len(data):
                safe = at
        return safe if len(data) - safe <= HELD_BYTES or safe == begin else len(data) - HELD_BYTES

    def _may_span(self, data: bytes, safe: int) -> bool:
        """Whether a credential may begin before `safe` and end after it."""
        if data[safe - 1 : safe] not in (b"\n", b"\r") or _BEGIN in data:
            return True
        return any(head in data for head, _ in self.rules.heads)

    def _clean(self, data: bytes, safe: int) -> tuple[bytes, bytes]:
        """`data` up to `safe`, scrubbed, and the rest as it is; what stands across `safe` is taken out whole."""
        if not safe:
            return b"", data
        parts: list[bytes] = []
        at = 0
        for start, end in self.rules.spans(data if self._may_span(data, safe) else data[:safe]):
            if start >= safe:
                break
            if end == len(data) > safe and end - start < HELD_BYTES:
                safe = start  # it may go on in what comes
                break
            self.found.append(data[start:end])
            parts += (data[at:start], REDACTED)
            at = end
        safe = max(safe, at)
        return (b"".join((*parts, data[at:safe])) if at else data[:safe]), data[safe:]
