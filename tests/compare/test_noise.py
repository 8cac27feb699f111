"""Tests of the rules for values that differ in every run: what is noise, and which similar values are content."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from recorder import codec
from recorder.codec.differences import ONLY_NOISE
from recorder.compare.clock_names import Span, mark, match_names
from recorder.compare.content import compare_files
from recorder.compare.near import DeclaredNumbers, RunNumbers
from recorder.compare.noise import DURATION, RATE, Noise, Replacement
from recorder.records import Tolerance

NOISE = Noise([], [Replacement("/w/files", "")], longest_s=10.0)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("train_runtime", (1.0, 2.0), DURATION),
        ("metrics.eval.eval_runtime", (1.0, 2), DURATION),
        ("log_history[3].train_runtime", (1.0, 2.0), DURATION),
        ("elapsed", (0.0, 10.9), DURATION),
        ("time/time_elapsed", (3, 4), DURATION),
        ("elapsedTime", (3, 4), DURATION),
        ("wall_time_ms", (9000.0, 9500.0), DURATION),
        ("mean_fit_time", (0.1, 0.2), DURATION),
        ("elapsed", ("0:00:03", "0:00:04.5"), DURATION),
        ("train_samples_per_second", (1e6, 2e6), RATE),
        ("steps-per-sec", (1.0, 2.0), RATE),
        # The same words in parameters and results, and values that no duration of the run can have.
        ("walltime_limit", (1.0, 2.0), ""),
        ("max_runtime", (1.0, 2.0), ""),
        ("runtime_budget_s", (1.0, 2.0), ""),
        ("predicted_runtime", (1.0, 2.0), ""),
        ("simulated_elapsed", (1.0, 2.0), ""),
        ("elapsed", (1.0, 12.0), ""),
        ("elapsed", (-1.0, 2.0), ""),
        ("elapsed", (1.0, float("nan")), ""),
        ("elapsed", (1.0, float("inf")), ""),
        ("elapsed_ms", (9000.0, 12000.0), ""),
        ("elapsed", ("0:00:03", "0:01:00"), ""),
        ("elapsed", ("three", "four"), ""),
        ("meters_per_second", (1.0, 2.0), ""),
        ("samples_per_second", (1.0, -2.0), ""),
        ("samples_per_class", (1.0, 2.0), ""),
        ("duration", (1.0, 2.0), ""),
        ("waiting_time", (1.0, 2.0), ""),
        ("time_step", (1.0, 2.0), ""),
        ("loss", (1.0, 2.0), ""),
        ("timestamp", (1.0, 2.0), ""),
        ("runtimes.loss", (1.0, 2.0), ""),
        ("elapsed.loss", (1.0, 2.0), ""),
    ],
)
def test_measurements_are_known_by_name_and_value(
    name: str, values: tuple[float | str, ...], kind: str
) -> None:
    """A duration has a name that says so and is not longer than the run; anything else is content."""
    assert NOISE.measure(name, *values) == kind


def test_without_the_length_of_a_run_no_number_is_a_duration() -> None:
    """For a run of unknown length, durations are content."""
    assert Noise().measure("elapsed", 1.0, 2.0) == ""


def test_a_declared_duration_is_content() -> None:
    """A duration with a declared tolerance is held to it; a tolerance for everything declares no duration."""
    one, other = {"elapsed": 1.0, "loss": 0.5}, {"elapsed": 2.0, "loss": 0.5}
    for pattern, verdict in (
        ("*", "equal"),
        ("result", "equal"),
        ("elapsed", "different"),
        ("*elapsed", "different"),
        ("result.elapsed", "different"),
    ):
        numbers = DeclaredNumbers({pattern: Tolerance(rtol=0.1)}, "result", noise=NOISE)
        found = codec.compare(one, other, load=lambda _: b"", numbers=numbers)
        assert found.verdict == verdict, pattern


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("x.json", b'{"elapsed": 1.0}', b'{"elapsed": 2.0}'),
        ("x.json", b'[{"fit_time": 1.0}, []]', b'[{"fit_time": 2.0}, []]'),
        ("x.csv", b"elapsed,items_per_second\n1.0,2.0\n", b"elapsed,items_per_second\n2.0,1.0\n"),
    ],
)
def test_durations_alone_are_no_evidence(name: str, one: bytes, other: bytes) -> None:
    """A file that holds nothing but durations is opaque, so that nothing is verified by it."""
    found = compare_files(name, one, other, numbers=RunNumbers(name, noise=NOISE))
    assert found.verdict == "opaque"
    assert found.differences[-1].note == ONLY_NOISE


def test_a_result_of_durations_alone_is_no_evidence() -> None:
    """A returned value that holds nothing but durations is opaque."""
    numbers = RunNumbers("result", noise=NOISE)
    for one, other, verdict in (
        ({"elapsed": 1.0}, {"elapsed": 2.0}, "opaque"),
        ({"elapsed": 1.0, "n": 1}, {"elapsed": 2.0, "n": 1}, "equal"),
        ({"elapsed": 1.0, "n": 1}, {"elapsed": 2.0, "n": 2}, "different"),
        ({"a": ({"elapsed": 1.0},)}, {"a": ({"elapsed": 2.0},)}, "opaque"),
    ):
        forms = codec.encode(one).form, codec.encode(other).form
        found = codec.compare(*forms, load=lambda _: b"", numbers=numbers)
        assert found.verdict == verdict


@pytest.mark.parametrize(
    ("name", "one", "other", "verdict"),
    [
        ("x.txt", b"in /p/a\n", b"in /w/files/p/a\n", "equal"),
        ("x.txt", b"in /p/a\n", b"in /w/files/p/b\n", "different"),
        ("x.txt", b"in /p/a\n", b"in /w/filed/p/a\n", "different"),
        ("x.txt", b"/p/a 1\n/p/b 2\n", b"/w/files/p/a 1\n/w/files/p/b 3\n", "different"),
        ("x.bin", b"\0/p/a\xff", b"\0/w/files/p/a\xff", "equal"),
        ("x.json", b'{"/p/a": 1}', b'{"/w/files/p/a": 1}', "equal"),
        ("x.json", b'{"/p/a": 1}', b'{"/w/files/p/a": 2}', "different"),
        ("x.csv", b"path\n/p/a\n", b"path\n/w/files/p/a\n", "equal"),
        ("x.csv", b"path\n/p/a\n/x\n", b"path\n/w/files/p/a\n/y\n", "different"),
        ("x.yaml", b"p: /p/a\n", b"p: /w/files/p/a\n", "equal"),
    ],
)
def test_the_workspace_is_the_recorded_place(
    name: str, one: bytes, other: bytes, verdict: str
) -> None:
    """A path in the workspace equals the recorded path, and any other path differs."""
    found = compare_files(name, one, other, numbers=RunNumbers(name, noise=NOISE))
    assert found.verdict == verdict
    assert compare_files(name, one, other).verdict == "different"


def test_the_place_of_a_difference_is_the_content() -> None:
    """Among lines with paths, the first line that differs in content is shown."""
    one, other = b"/p/a 1\n/p/b 2\n", b"/w/files/p/a 1\n/w/files/p/b 3\n"
    found = compare_files("x.txt", one, other, numbers=RunNumbers("x.txt", noise=NOISE))
    assert found.differences[0].path == "line 2"


BEGIN = datetime(2026, 11, 29, 4, 33, 10, tzinfo=timezone.utc)
SPAN = Span(BEGIN, BEGIN + timedelta(seconds=30))
UNIX = int(BEGIN.timestamp()) + 5


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (f"run-{UNIX}.log", "run-<time>.log"),
        (f"run-{UNIX}.123456.log", "run-<time>.log"),
        (f"m_{UNIX}250.pt", "m_<time>.pt"),
        ("outputs/2026-11-29/04-33-12/x.json", "outputs/<time>/x.json"),
        ("outputs/2026-11-29/05-33-12/x.json", "outputs/<time>/x.json"),  # local time
        ("20261129_043312.csv", "<time>.csv"),
        ("20261129T043312Z.csv", "<time>.csv"),
        ("2026-11-29.csv", "<time>.csv"),
        ("runs/Nov29_04-33-12_host/x", "runs/<time>_host/x"),
        ("2026-11-29_04:33:12.345678.json", "<time>.json"),
        # Times of other days, and numbers that are not times.
        (f"run-{UNIX - 3600}.log", None),
        (f"run-{UNIX + 60}.log", None),
        ("outputs/2026-11-29/04-43-12/x.json", None),
        ("2020-01-01.csv", None),
        ("2026-11-25.csv", None),
        ("20261129-439912.csv", None),
        ("model-1234567890123.pt", None),
        ("seed-20.json", None),
        ("epoch=0-step=2.ckpt", None),
        ("runs/Nov28_04-33-12_host/x", None),
    ],
)
def test_times_of_the_run_are_marked(name: str, form: str | None) -> None:
    """A time in a name is marked if it can lie within the run, in UTC or in any time zone."""
    assert mark(name, SPAN).form == (name if form is None else form)
    assert mark(name, None).parts == ()


def test_names_are_matched_in_order_if_both_sides_have_as_many() -> None:
    """Names with equal forms are matched in order, and none is if the numbers of names differ."""
    later = Span(BEGIN + timedelta(days=2), BEGIN + timedelta(days=2, seconds=30))
    ours = [f"a-{UNIX}.txt", f"a-{UNIX + 9}.txt", f"b-{UNIX}.txt", "c.txt"]
    theirs = [f"a-{UNIX + 2 * 86400 + n}.txt" for n in (1, 2)]
    found = list(match_names(ours, [*theirs, "d.txt"], [SPAN, later]))
    assert [(match.left, match.right) for match in found] == list(
        zip(ours[:2], theirs, strict=True)
    )
    assert found[0].replacements == (Replacement(str(UNIX + 2 * 86400 + 1), str(UNIX)),)
    assert list(match_names(ours, theirs[:1], [SPAN, later])) == []


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("x.txt", b"a b\n", b"a\tb\n"),
        ("x.txt", b"a\n", b"a  \n"),
        ("x.json", b'"a b"', b'"a  b"'),
        ("x.csv", b"k\na b\n", b"k\na  b\n"),
    ],
)
def test_differences_in_white_space_are_shown(name: str, one: bytes, other: bytes) -> None:
    """A difference in white space alone is shown as such, with both sides visibly different."""
    (found,) = compare_files(name, one, other).differences
    assert found.note == "only white space differs" and found.left != found.right


def test_the_differing_part_of_long_strings_is_shown() -> None:
    """Long strings are cut around the first difference, and numbers of two dtypes have all digits."""
    long = "x" * 500
    for name, one, other in (
        ("x.json", f'"{long}1{long}"', f'"{long}2{long}"'),
        ("x.csv", f"k\n{long}1{long}\n", f"k\n{long}2{long}\n"),
        ("x.txt", f"{long}1{long}\n", f"{long}2{long}\n"),
    ):
        (found,) = compare_files(name, one.encode(), other.encode()).differences
        assert "1" in found.left and "2" in found.right and len(found.left) < 90
    forms = [codec.encode({"k": f"{long}{n}"}).form for n in (1, 2)]
    (found,) = codec.compare(forms[0], forms[1], load=lambda _: b"").differences
    assert found.left != found.right
