"""Metric series: appended as CSV while the run is live, summed up as they come.

The columns are ``name,step,time_s,value``: a step is a number given or counted from 0 for each name,
`time_s` the seconds since the run began. NaN and the infinities are written ``nan``, ``inf``, ``-inf``, which
`float`, pandas, Polars and DuckDB all read.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .records import JSON, Metric

HEADER = "name,step,time_s,value\n"
# What the series of a sampled run's processor and memory use begin with. They are another one every time: no
# replay is held against them, and no two runs differ by them.
SAMPLED = "usage."
# A killed run loses no more than this of its series.
FLUSH_EVERY_S = 0.5
# A point is written at once where none was for this long: one that is followed by an hour of C code that lets no
# other thread run is not lost.
_AT_ONCE_S = 0.05
_FLUSH_EVERY_POINTS = 4096

Number = int | float


class Point(NamedTuple):
    """One value of a series; `step` counts what the experiment counts, `time_s` is since its start."""

    step: Number
    time_s: float
    value: Number


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

    def add(self, step: Number | None, value: Number) -> Number:
        if step is None:
            step = self.next_step
        self.next_step = step + 1
        self.count += 1
        self.last, self.last_step = value, step
        # A comparison with NaN is false, so the first number takes the place of the NaN at the start.
        if not self.min <= value and value == value:
            self.min = value
        if not self.max >= value and value == value:
            self.max = value
        return step

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
        self._lines: list[str] = []
        self._sums: dict[str, _Sum] = {}
        self._quoted: dict[str, str] = {}
        self._started = time.monotonic()
        self._flushed = -math.inf
        self._renew()
        _writers.add(self)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._flusher: threading.Thread | None = None

    def add(self, values: dict[str, Number], *, step: Number | None = None) -> None:
        """One point for each name in `values`, at `step` or the name's own next one.

        Raises OSError where the file cannot be written; the point is kept, and written when it can be.
        """
        now = time.monotonic()
        stamp = f"{now - self._started:.3f}"
        with self._lock:
            for name, value in values.items():
                total = self._sums.get(name)
                if total is None:
                    total = self._sums[name] = _Sum()
                    self._quoted[name] = _quote(name)
                at = total.add(step, value)
                self._lines.append(f"{self._quoted[name]},{at},{stamp},{value!r}\n")
            if now - self._flushed >= _AT_ONCE_S or len(self._lines) >= _FLUSH_EVERY_POINTS:
                self._write(now)
            elif self._flusher is None:
                self._keep_flushing()

    def flush(self) -> None:
        """Hand what was added so far to the operating system."""
        with self._lock:
            self._write(time.monotonic())

    def _write(self, now: float) -> None:
        self._flushed = now
        if not self._lines:
            return
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            self._fd = os.open(self._path, flags | getattr(os, "O_BINARY", 0), 0o666)
        size = os.fstat(self._fd).st_size
        data = memoryview(("" if size else HEADER).encode() + "".join(self._lines).encode())
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os.ftruncate(self._fd, size)
            raise
        self._lines.clear()

    def _keep_flushing(self) -> None:
        self._flusher = threading.Thread(
            target=self._flush_often, name="recorder-series", daemon=True
        )
        with contextlib.suppress(
            RuntimeError
        ):  # no thread to be had: a kill may cost the last points
            self._flusher.start()

    def _flush_often(self) -> None:
        while not self._closed.wait(FLUSH_EVERY_S):
            with contextlib.suppress(OSError):  # said by the next `add` or by `close`
                self.flush()

    def close(self) -> None:
        """Flush and close; a writer that never had a point leaves no file."""
        self._closed.set()
        self.flush()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def forget_parent(self) -> None:
        """In a forked child: what was not yet written is its parent's to write."""
        self._lines.clear()
        self._renew()

    def metrics(self, encode: Callable[[Number], JSON]) -> dict[str, Metric]:
        """The summary of each series, its numbers as `encode` writes them (NaN is not plain JSON)."""
        with self._lock:
            return {name: total.metric(encode) for name, total in self._sums.items()}


_writers: weakref.WeakSet[SeriesWriter] = weakref.WeakSet()


def _forget_parents() -> None:
    for writer in list(_writers):
        writer.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


def _quote(name: str) -> str:
    """The name as a CSV field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([name])
    return text.getvalue().removesuffix("\r\n")


def parse_series(text: str) -> dict[str, list[Point]]:
    """The points of each series in CSV that a `SeriesWriter` wrote; a torn last line is left out."""
    found: dict[str, list[Point]] = {}
    for row in _rows(text):
        name, step, time_s, value = row
        point = Point(_number(step), float(time_s), _number(value))
        found.setdefault(name, []).append(point)
    return found


def summarise(
    series: Mapping[str, list[Point]], *, encode: Callable[[Number], JSON]
) -> dict[str, Metric]:
    """The summary of each series, as its writer would have made it."""
    found = {}
    for name, points in series.items():
        total = _Sum()
        for point in points:
            total.add(point.step, point.value)
        found[name] = total.metric(encode)
    return found


def _rows(text: str) -> Iterator[list[str]]:
    whole = text[: text.rfind("\n") + 1]
    reader = csv.reader(io.StringIO(whole))
    next(reader, None)
    for row in reader:
        if len(row) == 4:
            yield row


def _number(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)


def named_values(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Names and values, nested mappings with dots."""
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += named_values(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat


def as_number(value: Any) -> int | float | None:
    """`value` as a plain int or float, through `.item()` for scalars of NumPy and PyTorch."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    item: Callable[[], Any] | None = getattr(value, "item", None)
    if item is None or getattr(value, "size", 1) == 0:
        return None
    try:
        plain = item()
    except (TypeError, ValueError, RuntimeError):  # more than one element
        return None
    return as_number(plain) if isinstance(plain, bool | int | float) else None
