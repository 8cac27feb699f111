"""A tap for systems where the tee cannot run. It captures only the output of Python itself."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection

from ...secrets import patterns
from ...secrets.scrub import Rules
from .streams import StandIns
from .tap import Files, Written
from .tee.inflow import Inflow
from .tee.transcript import Transcript, write_all


class LocalTap:
    """A replacement for `Tap` within this process."""

    def __init__(self) -> None:
        self._transcripts: dict[int, Transcript] = {}
        self._stand_ins = StandIns()
        self._rules = Rules(patterns.find)
        self._inflows = (Inflow(0, rules=self._rules), Inflow(1, rules=self._rules))

    def add(
        self, files: Files, *, limit_bytes: int, since_s: float, values: Collection[bytes] = ()
    ) -> int:
        """Begin to copy Python's output to the files, and return the number of the new sink."""
        self._flush()
        self._rules.set_values({*self._rules.values, *values})
        out, err, index = map(os.dup, files)
        transcript = Transcript((out, err, index), limit_bytes=limit_bytes, since_s=since_s)
        number = id(transcript)
        self._transcripts[number] = transcript
        for fd in self._stand_ins.find_strangers(frozenset()):
            self._stand_ins.place(fd, take=functools.partial(self._take, fd - 1))
        return number

    def _take(self, stream: int, data: bytes) -> None:
        self._inflows[stream].feed(data)
        self._write(self._inflows[stream])

    def _flush(self) -> None:
        for inflow in self._inflows:
            inflow.flush()
            self._write(inflow)

    def _write(self, inflow: Inflow) -> None:
        write_all(list(self._transcripts.values()), inflow)

    def remove(self, number: int) -> Written:
        """End a sink, and return what its files lack."""
        self._flush()
        transcript = self._transcripts.pop(number)
        if not self._transcripts:
            self._stand_ins.remove()
        transcript.close()
        return Written(transcript.cut_bytes, transcript.errno, frozenset(transcript.taken))

    @property
    def is_idle(self) -> bool:
        """True if no sink is left."""
        return not self._transcripts

    def forget(self) -> None:
        """Stop in a forked child, because its parent writes the files."""
        self._stand_ins.remove()
