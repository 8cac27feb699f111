"""Removal of credentials from a stream of bytes that arrives in arbitrary pieces.

The module imports nothing else of recorder, and nothing slow, because the tee process uses it and starts with each
program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

# The replacement for a credential in a text.
REDACTED = b"[redacted]"
# The limits on held-back data: for a line without an end, and for a private key without one.
HELD_BYTES = 1 << 13
_HELD_KEY_BYTES = 1 << 15
_BEGIN, _END = b"-----BEGIN ", b"-----END"

Find = Callable[[bytes, Iterable[bytes]], list[tuple[int, int]]]


class Rules:
    """The rules for removal: the function `find`, and `values`, the credentials known by their text."""

    values: tuple[bytes, ...]

    def __init__(self, find: Find) -> None:
        self._find = find
        self.set_values(())

    def set_values(self, values: Iterable[bytes]) -> None:
        """Set the values to remove, for all users of these rules."""
        self.values = tuple(sorted(values, key=len, reverse=True))
        # A value of several lines can begin on a line that has ended.
        self.heads = [
            (value[: value.index(b"\n") + 1], len(value)) for value in self.values if b"\n" in value
        ]

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Return the spans of credentials in `data`."""
        return self._find(data, self.values)


class Scrubber:
    """A scrubber for one stream.

    Only private keys and multi-line values span lines. So the beginning of a line is held back until the line ends,
    or until `flush`. `found` are the removed credentials; its reader empties it.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.found: list[bytes] = []
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take in `data` and return the bytes that can be written now."""
        data = self._held + data
        clean, self._held = self._clean(data, self._safe(data))
        return clean

    def flush(self) -> bytes:
        """Return the held-back bytes at the end."""
        clean, self._held = self._clean(self._held, len(self._held))
        return clean

    @property
    def is_holding(self) -> bool:
        """True while the beginning of a line is held back."""
        return bool(self._held)

    def _safe(self, data: bytes) -> int:
        """Return the position up to which later data cannot change the result."""
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
        """Return True if a credential can begin before `safe` and end after it."""
        if data[safe - 1 : safe] not in (b"\n", b"\r") or _BEGIN in data:
            return True
        return any(head in data for head, _ in self.rules.heads)

    def _clean(self, data: bytes, safe: int) -> tuple[bytes, bytes]:
        """Return `data` up to `safe` scrubbed, and the rest unchanged. A credential across `safe` is removed whole."""
        if not safe:
            return b"", data
        parts: list[bytes] = []
        at = 0
        for start, end in self.rules.spans(data if self._may_span(data, safe) else data[:safe]):
            if start >= safe:
                break
            if end == len(data) > safe and end - start < HELD_BYTES:
                safe = start  # it may continue in later data
                break
            self.found.append(data[start:end])
            parts += (data[at:start], REDACTED)
            at = end
        safe = max(safe, at)
        return (b"".join((*parts, data[at:safe])) if at else data[:safe]), data[safe:]
