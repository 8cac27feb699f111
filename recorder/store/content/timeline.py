"""Merge the two streams of a console in the order of their arrival."""

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
# Milliseconds since the start, the index of the arrival, the bytes.
_Keyed: TypeAlias = tuple[int, int, "Printed"]


class Printed(NamedTuple):
    """Bytes that a run wrote to a stream, and their arrival in seconds since the start of the run, if known."""

    stream: Stream
    data: bytes
    time_s: float | None = None


class Timeline:
    """The known arrivals of a console."""

    def __init__(self) -> None:
        self._decoder = ArrivalDecoder()
        self._count = 0
        # For each stream, the offsets of its stretches, and their arrival times and indices.
        self._offsets: dict[Stream, list[int]] = {stream: [] for stream in STREAMS}
        self._keys: dict[Stream, list[tuple[int, int]]] = {stream: [] for stream in STREAMS}

    def add(self, index: bytes) -> int:
        """Add the arrivals in the next part of a console index; return the size of its complete lines."""
        arrivals, size_bytes = self._decoder.decode(index)
        for stream, offset, at_ms in arrivals:
            name = STREAMS[stream]
            self._offsets[name].append(offset)
            self._keys[name].append((at_ms, self._count))
            self._count += 1
        return size_bytes

    def order(self, *parts: tuple[Stream, int, bytes]) -> Iterator[Printed]:
        """Yield parts of the streams, each given with its offset, as pieces in the order of arrival.

        A piece ends at the end of a line (a carriage return ends one too) or of its part. The rest of a line that
        arrived later belongs to the piece with its beginning.
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
            # Several stretches may begin in one line: the text after the line belongs to the last of them.
            number = bisect_right(offsets, begin + at)
            at_ms, order = keys[number - 1] if number else (0, -1)
            if at < end:
                time_s = at_ms / 1000 if number else None
                yield at_ms, order, Printed(stream, data[at:end], time_s)


def _line_begin(data: bytes, at: int) -> int:
    """Return the offset of the first line that begins at or after `at`, the size of the data if there is none."""
    if data[at - 1 : at] == b"\n" or (data[at - 1 : at] == b"\r" and data[at : at + 1] != b"\n"):
        return at
    end = _LINE_END.search(data, at)
    return end.end() if end else len(data)
