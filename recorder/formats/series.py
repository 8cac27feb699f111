"""Metric series: a writer that appends points to a CSV file while the run lasts and keeps a summary of each series.

Adding a point only appends it to a list; formatting and summing are done for many points at once, when they are
written. A point is written immediately if none was written just before it; else with the points that follow it, or by
a thread that exists only while points are waiting.
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
from .points import HEADER, Number, Point, Row, write_rows

# Seconds of its series that a killed run loses at most.
FLUSH_EVERY_S = 0.5
# A point is written immediately if none was written for this long: code in C that holds the GIL for an hour keeps the
# flushing thread from running.
_AT_ONCE_S = 0.05
_FLUSH_EVERY_POINTS = 1 << 12
# A series file up to this size is kept in memory too, so that finishing the run need not read it back.
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
        """Add consecutive values; the caller maintains `last_step` and `next_step`."""
        self.count += len(values)
        self.last = values[-1]
        numbers = [value for value in values if value == value]
        if numbers:
            # A comparison with NaN is false, so the first number replaces the initial NaN.
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
    """A thread-safe writer that appends points to the file at `path`, which is created with the first point.

    Each point is in the file after at most `FLUSH_EVERY_S` seconds, even if no other point follows.
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
        """Add a point for each name in `values`, at `step` or at the next step of that name.

        Raises OSError if the file cannot be written; the points are kept and written with the next ones.
        """
        # Appending to a list needs no lock; `_settle` takes a prefix off it.
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
        """True if some points are not in the file yet."""
        return bool(self._waiting or self._unwritten)

    def flush(self) -> None:
        """Write all points added so far to the file. Raises OSError."""
        with self._lock:
            self._settle()
            if self._unwritten:
                self._write()
            self._due = time.monotonic() + _AT_ONCE_S

    def _settle(self) -> None:
        """Convert the waiting points to lines, and add them to the summaries."""
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
            # Inlined: a call for each of a million points takes as long as the rest.
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
        """Flush and close; a writer without points leaves no file. Raises OSError."""
        _writers.discard(self)
        self.flush()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def keep(
        self, *, data: Callable[[bytes], StoredBytes], file: Callable[[Path], StoredBytes | None]
    ) -> StoredBytes | None:
        """Store the points of a closed writer: `data` takes a small CSV, `file` the path of a gzipped large one."""
        if self._size <= _REMEMBERED_BYTES:
            return data(self._small) if self._small else None
        packed = self._path.with_name(f"{self._path.name}.gz")
        compress(self._path, packed)
        return file(packed)

    def forget_parent(self) -> None:
        """Drop the waiting points in a forked child: the parent writes them."""
        self._waiting, self._unwritten, self._ticked = [], b"", False
        self._lock = threading.Lock()

    def metrics(self, encode: Callable[[Number], JSON]) -> dict[str, Metric]:
        """Return the summary of each series; `encode` makes JSON of numbers, since NaN is not JSON."""
        with self._lock:
            self._settle()
            return {name: total.metric(encode) for name, total in self._sums.items()}


class _Ticker:
    """A thread that flushes every writer each `FLUSH_EVERY_S` seconds, and ends when nothing is left to flush."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Start the thread unless it runs."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="recorder-series", daemon=True)
                # No more threads can be started, or the interpreter is shutting down: only a kill could lose points.
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
                with contextlib.suppress(OSError):  # raised again by the next `add` or by `close`
                    writer.flush()


def summarise(
    series: Mapping[str, Sequence[Point]], *, encode: Callable[[Number], JSON]
) -> dict[str, Metric]:
    """Return the summary of each series, equal to the one that its writer would have made."""
    metrics = {}
    for name, points in series.items():
        total = _Sum()
        total.add([point.value for point in points])
        total.last_step = points[-1].step
        metrics[name] = total.metric(encode)
    return metrics


_writers: weakref.WeakSet[SeriesWriter] = weakref.WeakSet()
_ticker = _Ticker()


def _forget_parents() -> None:
    global _ticker
    _ticker = _Ticker()
    for writer in list(_writers):
        writer.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
