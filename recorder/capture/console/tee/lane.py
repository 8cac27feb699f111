"""The streams that the tee reads, and the destinations it passes them on to."""

from __future__ import annotations

import os
import select

from ....secrets.scrub import Rules
from .inflow import Inflow
from .ready import Ready
from .transcript import Transcript, write_all

_CHUNK_BYTES = 1 << 16
# More than any pipe holds, so that a child that prints endlessly does not keep a run from ending.
_DRAIN_BYTES = 1 << 22


class Lane:
    """One input of a tap: the output read from `fd` belongs to a stream (0 or 1) and is passed on to `onward`."""

    def __init__(
        self, fd: int, *, stream: int, onward: int | None, rules: Rules, ready: Ready
    ) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._ready = ready
        ready.add(fd)
        self.onward = onward
        self.closed = False
        self.inflow = Inflow(stream, rules=rules)

    def read(self) -> bytes | None:
        """Return available data, or None if there is none. At end of file, close the lane."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            self._ready.again(self.fd)
            return None
        except OSError:
            data = b""  # EIO: the other side of the pseudo-terminal was closed
        if not data:
            self.close()
            return None
        self._ready.again(self.fd)
        return data

    def pass_on(self, data: bytes) -> None:
        """Write to the original destination, blocking as the program itself would have."""
        view = memoryview(data)
        while view and self.onward is not None:
            try:
                view = view[os.write(self.onward, view) :]
            except BlockingIOError:
                select.select([], [self.onward], [])
            except BrokenPipeError:
                self.close()  # so that the program gets the broken pipe at its own next write
            except OSError:
                self._forget_onward()

    def close(self) -> None:
        """Close both ends."""
        if not self.closed:
            self.closed = True
            self._ready.remove(self.fd)
            os.close(self.fd)
            self._forget_onward()

    def _forget_onward(self) -> None:
        if self.onward is not None:
            os.close(self.onward)
            self.onward = None


class Lanes:
    """The lanes of one tap, and the transcripts that currently receive their output."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.transcripts: dict[int, Transcript] = {}

    def pump(self, lane: Lane) -> int:
        """Copy and pass on available data, and return the number of bytes."""
        data = lane.read()
        if data is None:
            if lane.closed:
                self._flush(lane)
            return 0
        lane.inflow.feed(data)
        self._write(lane)
        lane.pass_on(data)
        return len(data)

    def drain(self) -> None:
        """Take in everything printed so far."""
        for lane in self.lanes:
            done = 0
            while done < _DRAIN_BYTES and not lane.closed:
                count = self.pump(lane)
                if not count:
                    break
                done += count
            self._flush(lane)
        self.drop_closed()

    def drop_closed(self) -> None:
        """Forget the lanes that have ended."""
        self.lanes = [lane for lane in self.lanes if not lane.closed]

    def remove(self, number: int) -> Transcript:
        """Close a transcript."""
        transcript = self.transcripts.pop(number)
        transcript.close()
        return transcript

    def _flush(self, lane: Lane) -> None:
        lane.inflow.flush()
        self._write(lane)

    def _write(self, lane: Lane) -> None:
        write_all(list(self.transcripts.values()), lane.inflow)
