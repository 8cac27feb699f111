"""The console files of one run: two streams and the index of arrivals."""

from __future__ import annotations

from .index import Index
from .inflow import Inflow
from .sink import Sink


class Transcript:
    """A writer for the files `fds` of stdout, stderr, and the index. Times count from `since_s`.

    `taken` are the removed credentials with the letter of their stream. `cut_bytes` and `errno`, the last error of
    writing a file, are final once it is closed.
    """

    def __init__(self, fds: tuple[int, int, int], *, limit_bytes: int, since_s: float) -> None:
        self._sinks = (
            Sink(fds[0], limit_bytes=limit_bytes),
            Sink(fds[1], limit_bytes=limit_bytes),
        )
        self._index = Index(fds[2], sinks=self._sinks)
        self._since_s = since_s
        self.taken: set[tuple[str, bytes]] = set()

    def close(self) -> None:
        """Write what was kept for the end, and close the files."""
        for sink in self._sinks:
            sink.close()
        self._index.close()

    @property
    def cut_bytes(self) -> tuple[int, int]:
        """The missing bytes of stdout and stderr."""
        return self._sinks[0].cut_bytes, self._sinks[1].cut_bytes

    @property
    def errno(self) -> int:
        """The last error of writing a file, or 0."""
        return self._sinks[0].errno or self._sinks[1].errno or self._index.errno

    def write(self, stream: int, data: bytes, *, at_s: float) -> None:
        """Take in the output of a stream with its arrival time (`time.monotonic`)."""
        if data:
            at_ms = max(0, int((at_s - self._since_s) * 1000))
            self._index.note(stream, len(data), at_ms=at_ms)
            self._sinks[stream].write(data)


def write_all(transcripts: list[Transcript], inflow: Inflow) -> None:
    """Give new output to each of the transcripts."""
    pieces, taken = inflow.take()
    for transcript in transcripts:
        for data, at_s in pieces:
            transcript.write(inflow.stream, data, at_s=at_s)
        transcript.taken.update(taken)
