"""The two streams of a console in the order in which they came."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from heapq import merge
from itertools import pairwise, starmap
from typing import Literal, NamedTuple, TypeAlias

from ...formats.console_index import ArrivalDecoder

Stream: TypeAlias = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")

_LINE_END = re.compile(rb"\r\n|\r|\n")
# When, the number of the arrival among all of them, what.
_Keyed: TypeAlias = tuple[int, int, "Printed"]


class Printed(NamedTuple):
    """Bytes that a run wrote to one of its streams, and when they came: seconds since its start, None if not known."""

    stream: Stream
    data: bytes
    time_s: float | None = None


class Timeline:
    """The arrivals of a console, as far as they are known."""

    def __init__(self) -> None:
        self._decoder = ArrivalDecoder()
        self._count = 0
        # Of each stream, where its stretches begin; when, and the number among all.
        self._offsets: dict[Stream, list[int]] = {stream: [] for stream in STREAMS}
        self._keys: dict[Stream, list[tuple[int, int]]] = {stream: [] for stream in STREAMS}

    def add(self, index: bytes) -> int:
        """Learn of the arrivals in the next part of an index; how many bytes of it are whole lines."""
        arrivals, size_bytes = self._decoder.decode(index)
        for stream, offset, at_ms in arrivals:
            name = STREAMS[stream]
            self._offsets[name].append(offset)
            self._keys[name].append((at_ms, self._count))
            self._count += 1
        return size_bytes

    def order(self, *parts: tuple[Stream, int, bytes]) -> Iterator[Printed]:
        """Parts of the streams, each with its offset, in pieces as they came.

        A piece ends with a line (a carriage return ends one too), or with its part. What of a line came later is with
        its beginning.
        """
        for _, _, printed in merge(*starmap(self._pieces, parts), key=lambda one: one[:2]):
            yield printed

    def _pieces(self, stream: Stream, begin: int, data: bytes) -> Iterator[_Keyed]:
        offsets, keys = self._offsets[stream], self._keys[stream]
        inside = slice(bisect_right(offsets, begin), bisect_left(offsets, begin + len(data)))
        cuts = [0]
        for offset in offsets[inside]:
            if offset - begin > cuts[-1]:
                cuts.append(_line_begin(data, offset - begin))
        for at, end in pairwise([*cuts, len(data)]):
            # Several stretches may have begun in one line: what begins after it belongs to the last of them.
            number = bisect_right(offsets, begin + at)
            at_ms, order = keys[number - 1] if number else (0, -1)
            if at < end:
                time_s = at_ms / 1000 if number else None
                yield at_ms, order, Printed(stream, data[at:end], time_s)


def _line_begin(data: bytes, at: int) -> int:
    """Where the first line begins at `at` or after it; the end where none does."""
    if data[at - 1 : at] == b"\n" or (data[at - 1 : at] == b"\r" and data[at : at + 1] != b"\n"):
        return at
    found = _LINE_END.search(data, at)
    return found.end() if found else len(data)
