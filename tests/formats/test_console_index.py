"""Tests of the console index: incremental reading, and arrival times that match the stored console."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.capture.console.tee import inflow
from recorder.capture.console.tee.inflow import Inflow
from recorder.capture.console.tee.transcript import Transcript
from recorder.formats.console_index import Arrival, ArrivalDecoder, ArrivalEncoder
from recorder.secrets import patterns
from recorder.secrets.scrub import Rules
from recorder.store.content.timeline import STREAMS, Printed, Timeline

# A stream, the bytes it prints, and the milliseconds since the last print.
PRINTS = st.lists(
    st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=40), st.integers(0, 30)),
    max_size=30,
)


def decode(data: bytes) -> list[Arrival]:
    return ArrivalDecoder().decode(data)[0]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1 << 40), st.integers(-99, 1 << 40))),
    st.data(),
)
def test_arrivals_are_read_as_they_were_written(steps: list[Arrival], data: st.DataObject) -> None:
    """Arrivals are read as they were written, in any parts; an incomplete line and the rest are ignored."""
    encoder, offsets, written, lines = ArrivalEncoder(), [0, 0], [], []
    for stream, step, at_ms in steps:
        offsets[stream] += step
        written.append((stream, offsets[stream], at_ms))
        lines.append(encoder.encode(*written[-1]))
    text = b"".join(lines)
    assert decode(text) == written
    cut = data.draw(st.integers(0, len(text)))
    decoder = ArrivalDecoder()
    first, size = decoder.decode(text[:cut])
    assert size <= cut and first + decoder.decode(text[size:])[0] == written
    assert decode(text[:size] + b"o1") == decode(text[:size] + b"?\n" + text) == first


@settings(max_examples=150, deadline=None)
@given(PRINTS, st.integers(0, 300))
def test_the_index_is_true_of_what_is_kept(
    tmp_path_factory: pytest.TempPathFactory, prints: list[tuple[int, bytes, int]], limit: int
) -> None:
    """The arrival of each stored byte is within 10 ms of the index, also if a part was cut out."""
    paths = [tmp_path_factory.mktemp("sink") / name for name in ("out", "err", "index")]
    out, err, index = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in paths)
    transcript = Transcript((out, err, index), limit_bytes=limit, since_s=100.0)
    now, came = 0, ([], [])  # type: ignore[var-annotated]
    for stream, data, wait_ms in prints:
        now += wait_ms
        transcript.write(stream, data, at_s=100 + (now + 0.5) / 1000)
        came[stream].extend([now] * len(data))
    transcript.close()
    arrivals = decode(paths[2].read_bytes())
    for stream, cut in enumerate(transcript.cut_bytes):
        kept = paths[stream].read_bytes()
        note = b"\n[recorder: %d bytes cut here]\n" % cut if cut else b""
        head = limit - limit // 2 if cut else 0
        times = [*came[stream][:head], *[None] * len(note), *came[stream][head + cut :]]
        assert len(times) == len(kept)
        said = [-1] * len(kept)
        for one, offset, at_ms in arrivals:
            if one == stream:
                said[offset:] = [at_ms] * (len(kept) - offset)
        assert all(t is None or 0 <= t - s <= 10 for t, s in zip(times, said, strict=True))


@settings(max_examples=150, deadline=None)
@given(PRINTS)
def test_the_streams_are_put_together_again(
    tmp_path_factory: pytest.TempPathFactory, prints: list[tuple[int, bytes, int]]
) -> None:
    """Complete lines come in the order in which they were printed, and each stream exactly, also in parts."""
    paths = [tmp_path_factory.mktemp("sink") / name for name in ("out", "err", "index")]
    out, err, index = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in paths)
    transcript, now = Transcript((out, err, index), limit_bytes=1 << 20, since_s=0.0), 0
    lines = [(stream, data.replace(b"\r", b"").replace(b"\n", b"") + b"\n", ms) for stream, data, ms in prints]  # fmt: skip
    for stream, data, wait_ms in lines:
        now += wait_ms
        transcript.write(stream, data, at_s=now / 1000)
    transcript.close()
    timeline = Timeline()
    timeline.add(paths[2].read_bytes())
    kept = [path.read_bytes() for path in paths[:2]]
    found = list(timeline.order(("stdout", 0, kept[0]), ("stderr", 0, kept[1])))
    split = [(p.stream, line) for p in found for line in p.data.splitlines(keepends=True)]
    assert split == [(STREAMS[stream], data) for stream, data, _ in lines]
    for at in (1, len(kept[0]) // 2):
        parts = [p.data for p in timeline.order(("stdout", at, kept[0][at:]))]
        assert b"".join(parts) == kept[0][at:]


def test_what_no_arrival_is_known_of() -> None:
    """Without an index the streams come one after the other, without times."""
    found = list(Timeline().order(("stdout", 0, b"a\nb"), ("stderr", 0, b"c")))
    assert found == [Printed("stdout", b"a\nb"), Printed("stderr", b"c")]


def test_a_line_is_as_old_as_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that was held back to redact a credential has the time at which it was printed."""
    times = iter(range(10))
    monkeypatch.setattr(inflow, "monotonic", lambda: float(next(times)))
    found = Inflow(0, rules=Rules(patterns.find))
    for data in (b"whole\nbegun ", b"on ", b"end\nnext\n\r10%", b"\r20%"):
        found.feed(data)
    found.flush()
    assert found.take()[0] == [
        (b"whole\n", 0), (b"begun on end\n", 0), (b"next\n\r", 2), (b"10%\r", 2), (b"20%", 3),
    ]  # fmt: skip


def test_an_index_of_many_small_pieces_stays_small(tmp_path: Path) -> None:
    """However the streams alternate, the index of a long console is a few percent of its size."""
    paths = [tmp_path / name for name in ("out", "err", "index")]
    out, err, index = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in paths)
    transcript = Transcript((out, err, index), limit_bytes=1 << 24, since_s=0.0)
    for number in range(400_000):
        transcript.write(number % 2, b"a short line\n", at_s=number / 10_000)
    transcript.close()
    assert paths[2].stat().st_size < 0.05 * 400_000 * len(b"a short line\n")
