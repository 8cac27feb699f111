"""Tests of metric series: writing, reading, and summaries."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import random
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.formats.points import parse_series, read_points
from recorder.formats.series import SeriesWriter
from recorder.records import StoredBytes

NUMBERS = st.one_of(st.integers(), st.floats())


@given(
    st.lists(
        st.tuples(st.sampled_from(["loss", "a,b", 'say "x"', "nested.acc", "two\nlines"]), NUMBERS),
        max_size=40,
    )
)
def test_points_come_back_as_they_were(points: list[tuple[str, float]]) -> None:
    """Every value is read back exactly, under its name, in order, with steps from 0."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.csv"
        writer = SeriesWriter(path)
        for name, value in points:
            writer.add({name: value})
        writer.close()
        text = path.read_bytes().decode() if path.exists() else ""
    found = parse_series(text)
    for name in {name for name, _ in points}:
        said = [value for other, value in points if other == name]
        assert [repr(p.value) for p in found[name]] == [repr(v) for v in said]
        assert [p.step for p in found[name]] == list(range(len(said)))
    assert sum(map(len, found.values())) == len(points)


def test_steps_are_kept_and_counted_on_from(tmp_path: Path) -> None:
    """An explicit step is kept, and the next point without one counts on from it."""
    writer = SeriesWriter(tmp_path / "s")
    writer.add({"loss": 1.0}, step=10)
    writer.add({"loss": 2.0})
    writer.add({"loss": 3.0}, step=2.5)
    writer.close()
    assert [p.step for p in parse_series((tmp_path / "s").read_text())["loss"]] == [10, 11, 2.5]


def test_the_summary_passes_over_nan(tmp_path: Path) -> None:
    """Minimum and maximum are those of the numbers; the last value is the last one, NaN included."""
    writer = SeriesWriter(tmp_path / "s")
    for value in (math.nan, 3.0, -math.inf, 2, math.nan):
        writer.add({"x": value})
    total = writer.metrics(lambda value: value)["x"]
    assert (total.min, total.max, total.count, total.last_step) == (-math.inf, 3.0, 5, 4)
    assert math.isnan(total.last)


def test_a_torn_last_line_is_left_out() -> None:
    """An incomplete line left by a kill is not a point."""
    text = "name,step,time_s,value\nloss,0,0.000,1.5\nloss,1,0.100,1.2"
    assert [p.value for p in parse_series(text)["loss"]] == [1.5]


def test_threads_lose_no_point(tmp_path: Path) -> None:
    """Four threads that log at once lose no point, and each line is complete."""
    writer = SeriesWriter(tmp_path / "s")
    threads = [
        threading.Thread(target=lambda n=n: [writer.add({f"m{n}": i}) for i in range(3000)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    rows = list(csv.reader(io.StringIO((tmp_path / "s").read_text())))
    assert all(len(row) == 4 for row in rows)
    found = parse_series((tmp_path / "s").read_text())
    assert {name: [p.value for p in points] for name, points in found.items()} == {
        f"m{n}": list(range(3000)) for n in range(4)
    }


def test_a_point_is_not_held_back(tmp_path: Path) -> None:
    """A point after a pause is in the file when `add` returns, since C code may then block other threads."""
    writer = SeriesWriter(tmp_path / "s")
    writer.add({"loss": 1.0})
    assert [p.value for p in parse_series((tmp_path / "s").read_text())["loss"]] == [1.0]
    writer.add({"loss": 2.0})
    writer.close()
    assert [p.value for p in parse_series((tmp_path / "s").read_text())["loss"]] == [1.0, 2.0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_writes_no_point_twice(tmp_path: Path) -> None:
    """A child that was forked while points were waiting does not write them, and is not blocked by a lock."""
    writer = SeriesWriter(tmp_path / "s")
    for n in range(100):
        writer.add({"loss": n})
    pid = os.fork()
    if pid == 0:
        writer.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    writer.close()
    assert [p.value for p in parse_series((tmp_path / "s").read_text())["loss"]] == list(range(100))


def keep(path: Path) -> StoredBytes:
    """Store the bytes of a file in `text`, as if it were an object."""
    data = path.read_bytes()
    return StoredBytes(digest="", size_bytes=len(data), text=data.hex())


def test_many_points_are_kept_gzipped(tmp_path: Path) -> None:
    """Ten thousand points are read back exactly, take at most 20 bytes each, and are readable by gzip."""
    values = [random.Random(1).gauss(0, 1) * 10.0**n for n in range(-5000, 5000, 1) if abs(n) < 300]
    values = values * 20 + [math.inf, 2**70, math.nan, 1, -0.0]
    writer = SeriesWriter(tmp_path / "s")
    for i, value in enumerate(values):
        writer.add({"loss": value, "two\nlines, quoted": i}, step=i / 2)
    writer.close()
    kept = writer.keep(data=lambda data: pytest.fail("these are not few"), file=keep)
    assert kept is not None and kept.text is not None
    assert kept.size_bytes <= 20 * 2 * len(values)
    found = read_points(bytes.fromhex(kept.text))
    assert [repr(p.value) for p in found["loss"]] == [repr(value) for value in values]
    assert [p.step for p in found["two\nlines, quoted"]] == [i / 2 for i in range(len(values))]
    assert gzip.decompress(bytes.fromhex(kept.text)) == (tmp_path / "s").read_bytes()
    total = writer.metrics(lambda value: value)["loss"]
    numbers = [value for value in values if value == value]
    assert (total.min, total.max, total.count) == (min(numbers), max(numbers), len(values))
    with pytest.raises(ValueError, match="truncated"):
        read_points(bytes.fromhex(kept.text)[:100])


def test_few_points_are_kept_as_they_are(tmp_path: Path) -> None:
    """Few points are stored as the CSV of the file, no points as None."""
    writer = SeriesWriter(tmp_path / "s")
    never = SeriesWriter(tmp_path / "never")
    writer.add({"loss": 1.5})
    writer.close()
    never.close()
    kept = writer.keep(
        data=lambda d: StoredBytes(digest="", size_bytes=len(d), text=d.decode()), file=keep
    )
    assert kept is not None and kept.text == (tmp_path / "s").read_text()
    assert never.keep(data=lambda d: pytest.fail("there is nothing"), file=keep) is None


def test_the_thread_that_writes_ends(tmp_path: Path) -> None:
    """Points that are followed by none are written by a thread, which ends when nothing is left to write."""
    writer = SeriesWriter(tmp_path / "s")
    for i in range(10):
        writer.add({"loss": i})
    deadline = time.monotonic() + 30
    while len(parse_series((tmp_path / "s").read_text())["loss"]) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.close()
    while any(thread.name == "recorder-series" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
