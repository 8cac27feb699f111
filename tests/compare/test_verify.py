"""Tests of the verdict: planted divergences are found and located."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import VALUES

from recorder import codec, record
from recorder.codec import Numbers
from recorder.compare.content import compare_files
from recorder.compare.departures import compare_series
from recorder.compare.diff import diff
from recorder.compare.verify import Item, Verification, verify
from recorder.digest import digest_bytes
from recorder.errors import DamageError
from recorder.formats.points import Columns
from recorder.recording.options import declare_tolerance as declare
from recorder.records import (
    Code,
    Failure,
    Function,
    Metric,
    Output,
    Process,
    Record,
    StoredBytes,
    Tolerance,
)
from recorder.store.objects.objects import Objects


class Made:
    """Records made by hand, and the objects that they refer to."""

    def __init__(self, folder: Path) -> None:
        for name in ("objects", "staging"):
            (folder / name).mkdir()
        self.objects = Objects(folder / "objects", staging=folder / "staging")

    def form(self, value: Any) -> Any:
        """Return the form of a value and store its payloads."""
        encoded = codec.encode(value)
        for payload in encoded.objects.values():
            self.objects.put_bytes(payload)
        return encoded.form

    def record(
        self, result: Any = None, *, outputs: dict[str, Any] | None = None, **fields: Any
    ) -> Record:
        """Return a finished record whose outputs are files (bytes), folders (paths) or values."""
        fields.setdefault("status", "finished")
        fields.setdefault("config", {})
        fields["config"] = {key: self.form(value) for key, value in fields["config"].items()}
        return Record(
            id="a" * 20,
            experiment="f",
            function=Function(module="m", qualname="f"),
            started=datetime.now(timezone.utc),
            result=self.form(result),
            outputs=tuple(self.output(name, value) for name, value in (outputs or {}).items()),
            **fields,
        )

    def output(self, name: str, value: Any) -> Output:
        """Return an output."""
        if isinstance(value, bytes):
            return Output(
                name=name, kind="file", digest=self.objects.put_bytes(value), size_bytes=len(value)
            )
        if isinstance(value, Path):
            tree = self.objects.put_tree(value)
            return Output(name=name, kind="folder", digest=tree.digest, size_bytes=tree.size_bytes)
        form = self.form(value)
        return Output(name=name, kind="value", digest=codec.identity(form), size_bytes=1, form=form)

    def series(self, **points: list[float]) -> StoredBytes:
        """Return the series of metrics."""
        lines = [
            f"{name},{i},0.0,{v!r}\n"
            for name, values in points.items()
            for i, v in enumerate(values)
        ]
        data = ("name,step,time_s,value\n" + "".join(lines)).encode()
        if len(data) < 4096:
            return StoredBytes(digest=digest_bytes(data), size_bytes=len(data), text=data.decode())
        return StoredBytes(digest=self.objects.put_bytes(data), size_bytes=len(data))

    def verify(self, a: Record, b: Record, **tolerance: float) -> Verification:
        """Return the verdict on `b` as a replay of `a`."""
        return verify(a, b, self.objects, **tolerance)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return an empty maker of records."""
    return Made(tmp_path)


def only(found: Verification) -> Item:
    """Return the single item of a verification."""
    (item,) = found.items
    return item


def test_the_same_is_reproduced(made: Made) -> None:
    """A run with the same result, outputs and series is reproduced."""
    record = made.record(
        {"a": 1.5}, outputs={"f": b"x", "v": [1]}, series=made.series(loss=[1.0, float("nan")])
    )
    found = made.verify(record, record)
    assert found.verdict == "reproduced"
    assert {item.verdict for item in found.items} == {"identical"}
    assert found.counts == {"identical": 4}


def test_nothing_is_no_success(made: Made) -> None:
    """A result of None, or an opaque result, without other evidence is "nothing verified"."""
    assert made.verify(made.record(), made.record()).verdict == "nothing verified"
    import threading

    opaque = made.record({"lock": threading.Lock()})
    assert made.verify(opaque, opaque).verdict == "nothing verified"
    mixed = made.record({"lock": threading.Lock()}, outputs={"f": b"x"})
    found = made.verify(mixed, mixed)
    assert found.verdict == "reproduced" and "result" in found.reason


def test_a_discovered_log_does_not_decide(made: Made) -> None:
    """A discovered log does not decide; a saved one does."""

    def run(log: bytes, events: str, *, found: bool) -> Record:
        record = made.record(1, outputs={"runs/train.log": log, events: b"x"})
        outputs = tuple(msgspec.structs.replace(o, found=found) for o in record.outputs)
        return msgspec.structs.replace(record, outputs=outputs)

    logs = [
        (b"10:00 begun", "events.out.tfevents.17.host"),
        (b"11:00 begun", "events.out.tfevents.18.host"),
    ]
    found = made.verify(*(run(*log, found=True) for log in logs))
    assert found.verdict == "reproduced" and found.counts == {"identical": 1}
    assert [(i.kind, i.verdict) for i in found.items[1:]] == [
        ("log", "different"), ("log", "missing"), ("log", "extra"),
    ]  # fmt: skip
    assert made.verify(*(run(*log, found=False) for log in logs)).verdict == "diverged"
    only_logs = [msgspec.structs.replace(run(*log, found=True), result=None) for log in logs]
    assert made.verify(*only_logs).verdict == "nothing verified"


def test_the_console_does_not_decide(made: Made) -> None:
    """A difference in the console is reported with its first line and does not affect the verdict."""
    a, b = (
        made.record(
            1, stdout=StoredBytes(digest="x", size_bytes=1, text=f"same\n{text} 0x7f00aa11\n")
        )
        for text in ("one", "two")
    )
    found = made.verify(a, b)
    assert found.verdict == "reproduced"
    item = found.items[-1]
    assert (item.kind, item.verdict, item.decides) == ("console", "different", False)
    assert "line 2" in item.detail


def test_the_console_decides_where_there_is_nothing_else(made: Made) -> None:
    """Without a result, outputs, or metrics, stdout decides, and the reason says so."""
    a, b = (
        made.record(None, stdout=StoredBytes(digest="x", size_bytes=1, text=f"{text} 0x7f00aa11\n"))
        for text in ("one", "two")
    )
    same = made.verify(a, a)
    assert (same.verdict, same.reason) == ("reproduced", "only stdout was compared")
    assert made.verify(a, b).verdict == "diverged"
    assert made.verify(a, made.record(None)).verdict == "diverged"


def test_the_workspace_is_the_recorded_place(made: Made) -> None:
    """The workspace folder in the console of a replay is not a difference."""
    root = "/home/a/project"
    workspace = f"/home/a/project/.recorder/workspaces/{'0a' * 10}/files"
    a, b = (
        made.record(
            1,
            code=Code(root=root),
            process=Process(pid=1, host="h", user="u", argv=(), cwd=f"{place}{root}/sub"),
            stdout=StoredBytes(
                digest="x", size_bytes=1, text=f"{place}{root}/sub and {place}/data\n"
            ),
        )
        for place in ("", workspace)
    )
    for left, right in ((a, b), (b, a), (b, b)):
        assert made.verify(left, right).items[-1].verdict == "identical"


def test_a_series_that_departs_at_step_400(made: Made) -> None:
    """A differing series is located by its first step, with the errors there and at the end."""
    steady = [1.0 / (i + 1) for i in range(1000)]
    off = [v if i < 400 else v * 1.01 for i, v in enumerate(steady)]
    a, b = (
        made.record(1, series=made.series(loss=steady)),
        made.record(1, series=made.series(loss=off)),
    )
    item = made.verify(a, b).items[1]
    assert (item.name, item.verdict) == ("loss", "different")
    assert "first differs at step 400" in item.detail and "600 of 1000 points" in item.detail
    assert "9.9e-03 relative" in item.detail
    assert made.verify(a, b, rtol=0.02).verdict == "close"
    shorter = made.record(1, series=made.series(loss=steady[:-1]))
    assert "1000 -> 999 points" in made.verify(a, shorter).items[1].detail
    assert made.verify(a, shorter).verdict == "diverged"


def test_series_missing_and_extra(made: Made) -> None:
    """A series that only one run has is a difference."""
    a, b = made.record(1, series=made.series(x=[1])), made.record(1, series=made.series(y=[1]))
    found = made.verify(a, b)
    assert found.verdict == "diverged"
    assert {item.name: item.verdict for item in found.items[1:]} == {"x": "missing", "y": "extra"}


def test_series_are_compared_by_step(made: Made) -> None:
    """Missing and extra steps are named, times do not matter, NaN equals NaN, and 1 equals 1.0."""

    def series(*points: tuple[Any, Any], time: float = 0.0) -> Record:
        text = "name,step,time_s,value\n" + "".join(f"x,{s},{time},{v!r}\n" for s, v in points)
        return made.record(1, series=StoredBytes(digest="d", size_bytes=len(text), text=text))

    nan, inf = float("nan"), float("inf")
    a = series((0, 1.0), (1, nan), (2, inf), (2, 5.0))
    assert made.verify(a, series((0, 1.0), (1, nan), (2, inf), (2, 5.0), time=9)).verdict == (
        "reproduced"
    )
    equal = made.verify(a, series((0, 1), (1.0, nan), (2, inf), (2, 5.0))).items[1]
    assert equal.verdict == "equal"
    other = made.verify(a, series((0, 1.0), (1, nan), (2, -inf), (2, 5.0)), rtol=9).items[1]
    assert other.verdict == "different" and other.departure is not None
    assert (other.departure.step, other.departure.end_rel_error) == (2, 0.0)
    gone = made.verify(a, series((0, 1.0), (2, inf), (2, 5.0), (3, 1.0))).items[1]
    assert gone.departure is not None and gone.verdict == "different"
    assert (gone.departure.missing_step, gone.departure.extra_step) == (1, 3)
    assert "1 step missing from step 1 on; 1 step extra from step 3 on" in gone.detail
    quoted = series()
    text = 'name,step,time_s,value\n"a,b",0,0.0,1.0\n"a,b",1,0.0,2.0\n'
    quoted = made.record(1, series=StoredBytes(digest="d", size_bytes=1, text=text))
    assert made.verify(quoted, quoted).items[1].name == "a,b"


@settings(deadline=None)
@given(
    st.lists(st.floats(), min_size=1, max_size=20),
    st.lists(st.floats(), min_size=1, max_size=20),
)
def test_the_laws_of_series(a: list[float], b: list[float]) -> None:
    """Comparison of series is reflexive and symmetric at any tolerance."""
    one, other = (Columns([str(i) for i in range(len(v))], [repr(x) for x in v]) for v in (a, b))
    ranks = {"identical": 0, "equal": 0, "close": 1, "different": 2}
    last = 2
    for rtol in (0.0, 0.1, 1.0, 1e300):
        there, back = (
            compare_series("x", *p, Numbers(rtol=rtol)) for p in ((one, other), (other, one))
        )
        assert there.verdict == back.verdict and ranks[there.verdict] <= last
        assert there.max_abs_error == back.max_abs_error
        last = ranks[there.verdict]
    assert compare_series("x", one, one, Numbers()).verdict == "identical"


def test_long_series_give_the_same_result_as_short_ones(made: Made) -> None:
    """A long series, compared with NumPy, gives the same result as a short one; integers are exact."""
    values = [1.5 + i for i in range(60_000)]
    off = [v * 1.001 for v in values]
    for rtol, verdict in ((0.01, "close"), (1e-5, "different")):
        found = made.verify(
            made.record(1, series=made.series(x=values)),
            made.record(1, series=made.series(x=off)),
            rtol=rtol,
        ).items[1]
        assert found.verdict == verdict and found.departure is not None
        assert (found.departure.step, found.departure.count) == (0, 60_000)
        assert found.departure.end_rel_error == pytest.approx(0.001, rel=0.01)
        assert found.max_abs_error == pytest.approx(60.0, rel=0.01)
    a = made.record(1, series=made.series(x=[*values, 1000]))
    b = made.record(1, series=made.series(x=[*off, 1001]))
    assert made.verify(a, b, rtol=0.01).items[1].verdict == "different"


def test_declared_tolerances(made: Made) -> None:
    """Declared tolerances apply to the matching names, and an explicit tolerance replaces them."""
    values = {"loss": 1.0, "deep": {"acc": 2.0}}
    off = {"loss": 1.001, "deep": {"acc": 2.02}}

    def verdicts(tolerance: Any, **given: float) -> list[str]:
        declared = {name: Tolerance(**bounds) for name, bounds in declare(tolerance).items()}
        a, b = (
            made.record(
                result,
                outputs={"out/w.npy": npy(ONE * scale), "t.csv": b"n,v\n1,%g\n" % scale},
                series=made.series(acc=[scale]),
                tolerance=declared,
            )
            for result, scale in ((values, 1.0), (off, 1.01))
        )
        return [item.verdict for item in made.verify(a, b, **given).items]

    assert verdicts(None) == ["different"] * 4
    assert verdicts(0.1) == ["close"] * 4
    assert verdicts({"*": 0.1, "*.npy": 1e-9}) == ["close", "different", "close", "close"]
    assert verdicts({"acc": 0.1}) == ["different", "different", "different", "close"]
    assert verdicts({"*acc": 0.1, "result.loss": {"atol": 0.01}}) == [
        "close", "different", "different", "close",
    ]  # fmt: skip
    assert verdicts({"w.npy": 0.1, "v": 0.1}) == ["different", "close", "close", "different"]
    assert verdicts({"result": 0.1, "result.loss": 1e-9})[0] == "different"
    assert verdicts(0.1, rtol=1e-9) == ["different"] * 4
    assert verdicts(1e-9, atol=0.1) == ["close"] * 4


@pytest.mark.parametrize(
    ("tolerance", "error"),
    [(-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError), ("x", TypeError), ({1: 1}, TypeError), ({"a": "b"}, TypeError), ({"a": {"tol": 1}}, TypeError), (True, TypeError)],
)  # fmt: skip
def test_invalid_tolerances_are_refused(tolerance: Any, error: type[Exception]) -> None:
    """An invalid tolerance is refused where it is declared."""
    with pytest.raises(error, match=r"tolerance|rtol"):
        record(tolerance=tolerance)(lambda: None)


def test_many_differences_in_a_folder(made: Made, tmp_path: Path) -> None:
    """A difference beyond the listed ones still affects the verdict."""
    for name, last in (("a", 1.0), ("b", 9.0)):
        (tmp_path / name).mkdir()
        values = [1.0 if name == "a" else 1.001] * 200 + [last]
        (tmp_path / name / "v.json").write_text(json.dumps(values))
    a, b = (made.record(1, outputs={"out": tmp_path / name}) for name in "ab")
    item = made.verify(a, b, rtol=0.01).items[1]
    assert (item.verdict, item.count, len(item.differences)) == ("different", 201, 100)
    assert item.max_abs_error == 8.0


def test_a_damaged_object_is_no_divergence(made: Made) -> None:
    """A damaged object raises an error instead of counting as a difference."""
    a, b = (made.record(1, outputs={"f": data}) for data in (b"one", b"two"))
    path = made.objects.path(a.outputs[0].digest)
    path.chmod(0o644)
    path.write_bytes(b"eno")
    with pytest.raises(DamageError):
        made.verify(a, b)


def test_outputs_missing_extra_and_swapped(made: Made) -> None:
    """Missing and extra outputs are differences, and swapped contents are reported as swapped."""
    a = made.record(1, outputs={"one": b"1", "two": b"2", "gone": b"3"})
    b = made.record(1, outputs={"one": b"2", "two": b"1", "new": b"3"})
    found = {item.name: item for item in made.verify(a, b).items}
    assert (found["gone"].verdict, found["new"].verdict) == ("missing", "extra")
    assert found["one"].verdict == "different" and found["one"].detail == "swapped with two"
    assert found["gone"].detail.endswith("the same bytes as new there")


def test_rounding_errors_are_recognized(made: Made) -> None:
    """Small numeric errors are distinguished from large ones, from strings and from missing steps."""
    a = made.record({"x": 1.0, "s": "a"}, series=made.series(loss=[1.0, 2.0]))

    def is_rounding(result: dict[str, Any], loss: list[float]) -> bool:
        return made.verify(a, made.record(result, series=made.series(loss=loss))).is_rounding

    assert is_rounding({"x": 1 + 1e-9, "s": "a"}, [1.0, 2.0])
    assert is_rounding({"x": 1.0, "s": "a"}, [1 + 1e-9, 50.0])  # it departed by little
    assert not is_rounding({"x": 1.0, "s": "a"}, [1.0, 2.0])
    assert not is_rounding({"x": 1 + 1e-9, "s": "b"}, [1.0, 2.0])
    assert not is_rounding({"x": 1 + 1e-9, "s": "a"}, [1.5, 2.0])
    assert not is_rounding({"x": 1 + 1e-9, "s": "a"}, [1.0])


def test_files_of_concurrent_runs_do_not_decide(made: Made) -> None:
    """A discovered file that a concurrent run may have written does not decide."""
    saved = made.record(1, outputs={"child.txt": b"1"})
    found_one = msgspec.structs.replace(saved.outputs[0], found=True)
    found = msgspec.structs.replace(saved, outputs=(found_one,))
    unsure = made.record(1, unlisted=("child.txt",))
    for a, b, verdict in ((unsure, found, "extra"), (found, unsure, "missing")):
        verification = made.verify(a, b)
        assert verification.verdict == "reproduced" and verification.counts == {"identical": 1}
        item = verification.items[-1]
        assert (item.verdict, item.decides) == (verdict, False) and "concurrent run" in item.detail
    # A saved file decides, and so does a file that the other run certainly did not write.
    assert made.verify(saved, unsure).verdict == made.verify(unsure, saved).verdict == "diverged"
    assert made.verify(made.record(1), found).verdict == "diverged"


def test_folders_are_compared_path_by_path(made: Made, tmp_path: Path) -> None:
    """A difference in a folder has the path of the file and the place in it."""
    for name, text in (("a", "x,y\n1,2\n"), ("b", "x,y\n1,3\n")):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "t.csv").write_text(text)
        (tmp_path / name / f"only-{name}").write_text("")
    a, b = (made.record(1, outputs={"out": tmp_path / name}) for name in "ab")
    item = made.verify(a, b).items[1]
    assert {d.path for d in item.differences} == {"deep/t.csv: row 1, column y", "only-a", "only-b"}


def test_how_it_ended(made: Made) -> None:
    """The same exception reproduces, another exception diverges, and a replay that fails has failed."""

    def failed(kind: str, message: str) -> Record:
        failure = Failure(type=kind, message=message, traceback="")
        return made.record(status="failed", failure=failure)

    error = failed("builtins.ValueError", "at 0x7f0011223344")
    assert (
        made.verify(error, failed("builtins.ValueError", "at 0x7f9999999999")).verdict
        == "reproduced"
    )
    assert made.verify(error, failed("builtins.ValueError", "else")).verdict == "diverged"
    assert made.verify(error, made.record(1)).verdict == "diverged"
    found = made.verify(made.record(1), error)
    assert found.verdict == "failed" and "ValueError" in found.reason


@pytest.mark.parametrize("status", ["lost", "interrupted"])
def test_a_cut_run_is_compared_up_to_its_end(made: Made, status: str) -> None:
    """A killed or interrupted run is compared only up to the point of its end."""
    failure = Failure(type="builtins.KeyboardInterrupt", message="", traceback="")
    cut = made.record(
        status=status,
        failure=failure if status == "interrupted" else None,
        outputs={"f": b"x"},
        series=made.series(loss=[1.0, 0.5]),
    )
    whole = {"f": b"x", "g": b"y"}
    going_on = made.record(3, outputs=whole, series=made.series(loss=[1.0, 0.5, 0.2], acc=[1.0]))
    found = made.verify(cut, going_on)
    assert found.verdict == "reproduced" and "up to the point" in found.reason
    other = made.record(3, outputs=whole, series=made.series(loss=[1.0, 0.4, 0.2]))
    assert made.verify(cut, other).verdict == "diverged"
    assert made.verify(made.record(status=status), going_on).verdict == "nothing verified"


def test_a_file_differs_from_a_value(made: Made) -> None:
    """A file and a value with the same name are different."""
    item = made.verify(made.record(1, outputs={"x": b"1"}), made.record(1, outputs={"x": 1})).items[
        1
    ]
    assert item.verdict == "different" and "a file -> a value" in item.detail


def zipped(members: dict[str, bytes], year: int) -> bytes:
    """Return a zip of the members with times of the given year."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), data)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return the array as a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """Return the arrays as a .npz file."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


ONE = np.arange(6.0).reshape(2, 3)
CASES = [
    ("x.json", b'{"a": 1, "b": [2]}', b'{"b":[2],"a":1}', "equal", ""),
    ("x.json", b'{"a": 1}', b'{"a": 1.0}', "different", "a"),
    ("x.json", b'{"a": {"b": [1, 2]}}', b'{"a": {"b": [1, 3]}}', "different", "a.b[1]"),
    ("x.jsonl", b'{"a":1}\n{"b":2}\n', b'{"a": 1}\n{"b": 3}\n', "different", "[1].b"),
    ("x.csv", b"n,v\na,1.0\n", b"n,v\r\na,1.00\r\n", "equal", ""),
    ("x.csv", b"n,v\na,1.0\n", b"n,v\na,1.5\n", "different", "row 1, column v"),
    ("x.tsv", b"a\tb\n", b"a\tc\n", "different", "row 0, column 1"),
    ("x.npy", npy(ONE), npy(np.asfortranarray(ONE)), "equal", ""),
    ("x.npz", npz(w=ONE), npz(w=ONE * 2), "different", "w.npy"),
    ("x.txt", b"one\ntwo\nthree", b"one\n2\nthree", "different", "line 2"),
    ("x.txt", b"one\n", b"one\ntwo\n", "different", "line 2"),
    ("x.bin", b"\0\1\2\3", b"\0\1\x09\3", "different", "byte 2"),
    ("x.gz", gzip.compress(b"same", mtime=1), gzip.compress(b"same", mtime=2), "equal", ""),
    ("x.csv.gz", gzip.compress(b"a\n1\n"), gzip.compress(b"a\n2\n"), "different", "row 1, column a"),
    ("x.zip", zipped({"a": b"1"}, 1990), zipped({"a": b"1"}, 2000), "equal", ""),
    ("x.zip", zipped({"a": b"1", "b": b""}, 1990), zipped({"a": b"2"}, 1990), "different", "a: line 1"),
    ("m.pt", zipped({"one/data.pkl": b"p", "one/data/0": b"\0"}, 1990), zipped({"two/data.pkl": b"p", "two/data/0": b"\0"}, 1990), "equal", ""),
    ("x.json", b"{broken", b"{broken too", "different", "line 1"),
    ("x.npy", b"no array", b"none either", "different", "line 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict", "path"),
    CASES,
    ids=[f"{c[0]}-{c[3]}-{i}" for i, c in enumerate(CASES)],
)
def test_files_by_their_format(name: str, a: bytes, b: bytes, verdict: str, path: str) -> None:
    """Equal content in different bytes is equal, and differing content is located according to the format."""
    found = compare_files(name, a, b)
    assert found.verdict == verdict
    assert [d.path for d in found.differences[:1]] == ([path] if path else [])
    assert compare_files(name, a, a).verdict == "identical"
    assert compare_files(name, b, a).verdict == verdict


@pytest.mark.torch
def test_torch_checkpoints_under_two_names(tmp_path: Path) -> None:
    """The same state saved under two names is equal; one differing weight is found."""
    import torch

    model = torch.nn.Linear(3, 2)
    torch.save(model.state_dict(), tmp_path / "one.pt")
    torch.save(model.state_dict(), tmp_path / "two.pt")
    one, two = (tmp_path / "one.pt").read_bytes(), (tmp_path / "two.pt").read_bytes()
    assert one != two
    assert compare_files("one.pt", one, two).verdict == "equal"
    with torch.no_grad():
        model.weight[0, 0] += 1
    torch.save(model.state_dict(), tmp_path / "two.pt")
    assert compare_files("one.pt", one, (tmp_path / "two.pt").read_bytes()).verdict == "different"


def test_numbers_in_files_are_close() -> None:
    """Cells, JSON numbers and arrays within the tolerance are close."""
    for name, a, b in (
        ("x.csv", b"1.0,2\n", b"1.001,2\n"),
        ("x.json", b"[1.0]", b"[1.001]"),
        ("x.npy", npy(ONE), npy(ONE * 1.001)),
    ):
        assert compare_files(name, a, b).verdict == "different"
        assert compare_files(name, a, b, rtol=0.01).verdict == "close"


# diff


def test_diff_of_a_run_with_itself(made: Made) -> None:
    """A run does not differ from itself."""
    record = made.record({"a": [1]}, config={"x": (1, 2)}, outputs={"f": b"x"})
    assert diff(record, record, made.objects).same


@given(
    st.dictionaries(st.sampled_from("abcd"), VALUES),
    st.dictionaries(st.sampled_from("abcd"), VALUES),
)
def test_diff_is_symmetric(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Swapping the runs swaps added and removed, and configs are the same exactly if their identities are."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = Made(Path(folder))
        one, other = made.record(config=a), made.record(config=b)
        there = diff(one, other, made.objects).sections["config"]
        back = diff(other, one, made.objects).sections["config"]
    turned = {"added": "removed", "removed": "added", "changed": "changed"}
    assert {(e.key, e.change) for e in there} == {(e.key, turned[e.change]) for e in back}
    assert (not there) == (codec.identity(one.config) == codec.identity(other.config))


def test_the_sections_of_a_diff(made: Made) -> None:
    """Each section has its differences, and the diff is valid JSON."""
    environments = [
        made.objects.put_bytes(
            json.dumps({"packages": {"numpy": {"version": v}}, "python": {"version": "3"}}).encode()
        )
        for v in ("1.0", "2.0")
    ]
    a = made.record(
        {"acc": 0.5}, config={"lr": 0.1, "n": 1, "d": {"x": [1, 2]}, "old": 1}, outputs={"m": b"1"}, environment=environments[0],
        metrics={"acc": Metric(last=0.5, min=0, max=1, count=2)}, number=1,
    )  # fmt: skip
    b = made.record(
        {"acc": 0.6}, config={"lr": 0.2, "n": 1.0, "d": {"x": [1, 3]}, "new": 1}, outputs={"m": b"2"}, environment=environments[1],
        metrics={"acc": Metric(last=0.6, min=0, max=1, count=2)}, number=2,
    )  # fmt: skip
    found = diff(a, b, made.objects)
    keys = {
        name: [(e.key, e.change) for e in entries]
        for name, entries in found.sections.items()
        if entries
    }
    assert keys == {
        "config": [
            ("lr", "changed"),
            ("n", "changed"),
            ("d.x[1]", "changed"),
            ("old", "removed"),
            ("new", "added"),
        ],
        "environment": [("packages.numpy", "changed")],
        "metrics": [("acc", "changed")],
        "outputs": [("m", "changed")],
        "result": [("acc", "changed")],
    }
    assert found.sections["config"][0].ratio == 2.0
    assert found.sections["metrics"][0].note == "+0.1 (+20.0%)"
    assert json.loads(json.dumps(found.to_json()))["same"] is False
    assert found.only("seed").same and not found.only("config").same
