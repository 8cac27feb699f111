"""Metric series: points taken in as they come, appended to a CSV file while the run is live, summed up.

To take a point in is to append it to a list: what it costs more (its line, the sums) is done for many at once, when
they are written. They are written at once where nothing was for a moment, and else by the next ones, or by a thread
that there is only while points are waiting.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..records import JSON, Metric, StoredBytes
from .compression import compress
from .points import HEADER, Number, Point, Row, parse_series, read_points, write_rows

__all__ = ["SeriesWriter", "parse_series", "read_points", "summarise"]

# A killed run loses no more than this of its series.
FLUSH_EVERY_S = 0.5
# A point is written at once where none was for this long: one that is followed by an hour of C code that lets no
# other thread run is not lost.
_AT_ONCE_S = 0.05
_FLUSH_EVERY_POINTS = 1 << 12
# A run that logs no more is read back from memory.
_REMEMBERED_BYTES = 4096

_Waiting = tuple[str, Number | None, float, Number]


class _Sum:
    """The running summary of one series."""

    __slots__ = ("count", "last", "last_step", "max", "min", "next_step")

    def __init__(self) -> None:
        self.count = 0
        self.next_step: Number = 0
        self.last: Number = math.nan
        self.last_step: Number = 0
        self.min: Number = math.nan
        self.max: Number = math.nan

    def add(self, values: Sequence[Number]) -> None:
        """Take in values that came one after the other; `next_step` is known by then."""
        self.count += len(values)
        self.last = values[-1]
        numbers = [value for value in values if value == value]
        if numbers:
            # A comparison with NaN is false, so the first number takes the place of the NaN at the start.
            least, greatest = min(numbers), max(numbers)
            self.min = self.min if self.min <= least else least
            self.max = self.max if self.max >= greatest else greatest

    def metric(self, encode: Callable[[Number], JSON]) -> Metric:
        return Metric(
            last=encode(self.last),
            min=encode(self.min),
            max=encode(self.max),
            count=self.count,
            last_step=self.last_step,
        )


class SeriesWriter:
    """Appends points to the file at `path`, made with the first one; safe from several threads.

    What was added is in the file after `FLUSH_EVERY_S`, whether or not anything is added after it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._size = 0
        self._waiting: list[_Waiting] = []
        self._unwritten = b""
        self._small = b""
        self._sums: dict[str, _Sum] = {}
        self._started = time.monotonic()
        self._due = 0.0
        self._lock = threading.Lock()
        self._ticked = False
        _writers.add(self)

    def add(self, values: dict[str, Number], *, step: Number | None = None) -> None:
        """One point for each name in `values`, at `step` or the name's own next one.

        Raises OSError where the file cannot be written; the point is kept, and written when it can be.
        """
        # Appending to a list needs no lock; whoever writes takes what has come by then off its front.
        now = time.monotonic()
        waiting = self._waiting
        for name, value in values.items():
            waiting.append((name, step, now, value))
        if now >= self._due or len(waiting) >= _FLUSH_EVERY_POINTS:
            self.flush()
        elif not self._ticked:
            self._ticked = True
            _ticker.wake()

    @property
    def is_waiting(self) -> bool:
        """Whether something is not in the file yet."""
        return bool(self._waiting or self._unwritten)

    def flush(self) -> None:
        """Hand what was added so far to the operating system. Raises OSError."""
        with self._lock:
            self._settle()
            if self._unwritten:
                self._write()
            self._due = time.monotonic() + _AT_ONCE_S

    def _settle(self) -> None:
        """Turn the points that are waiting into lines and sums."""
        self._ticked = False
        taken = self._waiting[:]
        del self._waiting[: len(taken)]
        if taken:
            data = write_rows(self._sum_up(taken))
            self._unwritten += data if self._size or self._unwritten else HEADER.encode() + data

    def _sum_up(self, taken: Sequence[_Waiting]) -> list[Row]:
        rows: list[Row] = []
        values: dict[str, list[Number]] = {}
        started, sums, at = self._started, self._sums, 0.0
        last = stamp = -1.0
        for name, step, now, value in taken:
            try:
                values[name].append(value)
            except KeyError:
                values[name] = [value]
                sums.setdefault(name, _Sum())
            if now != last:
                last, stamp = now, int((now - started) * 1000) / 1000
            # (Written out: a call for each of a million points takes as long as the rest.)
            total = sums[name]
            at = total.next_step if step is None else step
            total.last_step, total.next_step = at, at + 1
            rows.append((name, at, stamp, value))
        for name, some in values.items():
            sums[name].add(some)
        return rows

    def _write(self) -> None:
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            self._fd = os.open(self._path, flags | getattr(os, "O_BINARY", 0), 0o666)
        data = memoryview(self._unwritten)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(self._unwritten)
        self._small = self._small + self._unwritten if self._size <= _REMEMBERED_BYTES else b""
        self._unwritten = b""

    def close(self) -> None:
        """Flush and close; a writer that never had a point leaves no file. Raises OSError."""
        _writers.discard(self)
        self.flush()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def keep(
        self, *, data: Callable[[bytes], StoredBytes], file: Callable[[Path], StoredBytes | None]
    ) -> StoredBytes | None:
        """What `data` makes of the points of a closed writer where they are few, else `file` of them gzipped."""
        if self._size <= _REMEMBERED_BYTES:
            return data(self._small) if self._small else None
        packed = self._path.with_name(f"{self._path.name}.gz")
        compress(self._path, packed)
        return file(packed)

    def forget_parent(self) -> None:
        """In a forked child: what was not yet written is its parent's to write."""
        self._waiting, self._unwritten, self._ticked = [], b"", False
        self._lock = threading.Lock()

    def metrics(self, encode: Callable[[Number], JSON]) -> dict[str, Metric]:
        """The summary of each series, its numbers as `encode` writes them (NaN is not plain JSON)."""
        with self._lock:
            self._settle()
            return {name: total.metric(encode) for name, total in self._sums.items()}


class _Ticker:
    """A thread that flushes every writer each `FLUSH_EVERY_S`, until there is nothing to flush any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to flush."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="recorder-series", daemon=True)
                # No thread to be had, or Python is ending: a kill may cost the last points.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_EVERY_S)
            with self._lock:
                writers = [writer for writer in list(_writers) if writer.is_waiting]
                if not writers:
                    self._thread = None
                    return
            for writer in writers:
                with contextlib.suppress(OSError):  # said by the next `add` or by `close`
                    writer.flush()


def summarise(
    series: Mapping[str, Sequence[Point]], *, encode: Callable[[Number], JSON]
) -> dict[str, Metric]:
    """The summary of each series, as its writer would have made it."""
    found = {}
    for name, points in series.items():
        total = _Sum()
        total.add([point.value for point in points])
        total.last_step = points[-1].step
        found[name] = total.metric(encode)
    return found


_writers: weakref.WeakSet[SeriesWriter] = weakref.WeakSet()
_ticker = _Ticker()


def _forget_parents() -> None:
    global _ticker
    _ticker = _Ticker()
    for writer in list(_writers):
        writer.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
