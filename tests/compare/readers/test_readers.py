"""Tests of the readers with files written by the real libraries."""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sqlite3
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save_file
from strategies import PLAIN_JSON

from recorder.codec import Comparison
from recorder.compare.content import compare_files
from recorder.compare.readers import pair as limits

Write = Callable[[Path, Any], object]
VALUES = np.linspace(0.5, 3.0, 12)


def first(found: Comparison) -> Any:
    """Return the first difference."""
    return found.differences[0]


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., Comparison]:
    """Return a function that compares two files written by two calls."""

    def compare(name: str, one: Any, other: Any, **tolerance: float) -> Comparison:
        paths = []
        for i, write in enumerate((one, other)):
            folder = tmp_path / str(i)
            folder.mkdir(exist_ok=True)
            paths.append(folder / name)
            if isinstance(write, bytes):
                paths[-1].write_bytes(write)
            else:
                paths[-1].unlink(missing_ok=True)
                write(paths[-1])
        back = compare_files(name, paths[1], paths[0], **tolerance)
        found = compare_files(name, *paths, **tolerance)
        assert back.verdict == found.verdict
        return found

    return compare


# Arrays


def test_one_element_of_a_million(compare: Any) -> None:
    """One differing element of a million is found with its index and its errors."""
    array = np.random.default_rng(0).normal(size=(1000, 1000))
    other = array.copy()
    other[317, 42] *= 1 + 1e-6
    found = compare("w.npy", lambda p: np.save(p, array), lambda p: np.save(p, other))
    d = first(found)
    assert (found.verdict, d.index, d.count, d.size) == ("different", (317, 42), 1, 1_000_000)
    assert d.rel_error == pytest.approx(1e-6, rel=1e-3)
    assert d.abs_error == pytest.approx(abs(array[317, 42]) * 1e-6, rel=1e-3)
    close = compare("w.npy", lambda p: np.save(p, array), lambda p: np.save(p, other), rtol=1e-5)
    assert close.verdict == "close"


def npy(array: Any) -> bytes:
    """Return the array as a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


NAN, INF = float("nan"), float("inf")
ARRAYS = [
    ([1.0, NAN, INF], [1.0, NAN, INF], {}, "identical", None),
    (np.float32([1, 2]), np.float64([1, 2]), {}, "equal", None),
    (np.float32([1, 2]), np.int64([1, 2]), {}, "equal", None),
    (np.array([0.0]), np.array([-0.0]), {}, "equal", None),
    ([1.0, INF], [1.0, -INF], {"rtol": 9}, "different", (1,)),
    ([1.0, 2.0], [NAN, 2.0], {"rtol": 9, "atol": 9}, "different", (0,)),
    ([10, 20], [10, 21], {"rtol": 0.5}, "different", (1,)),
    ([10, 20], [10, 21], {"atol": 1}, "close", (1,)),
    (np.uint8([0]), np.uint8([255]), {"atol": 254}, "different", (0,)),
    (np.int64([2**63 - 1]), np.int64([2**63 - 2]), {}, "different", (0,)),
    (np.int64([-(2**63)]), np.int64([2**63 - 1]), {"atol": 1e18}, "different", (0,)),
    ([True, False], [True, True], {}, "different", (1,)),
    ([1 + 2j, complex(NAN, 1)], [1 + 2j, complex(NAN, 1)], {}, "identical", None),
    ([complex(NAN, 1)], [complex(NAN, 2)], {"rtol": 1}, "different", (0,)),
    ([3 + 4j], [3 + 4.001j], {"rtol": 1e-3}, "close", (0,)),
    (["a", "b"], ["a", "c"], {}, "different", (1,)),
    (np.array(["2020", "NaT"], "M8[D]"), np.array(["2020", "NaT"], "M8[D]"), {}, "identical", None),
    (np.array(["2020", "NaT"], "M8[D]"), np.array(["2020", "2021"], "M8[D]"), {}, "different", (1,)),
    (np.zeros((2, 3)), np.zeros((3, 2)), {}, "different", None),
    (np.zeros((0, 3)), np.zeros((0, 3), "f4"), {}, "equal", None),
    (np.array(1.0), np.array(2.0), {}, "different", ()),
    ([1e308], [-1e308], {"rtol": 0.1}, "different", (0,)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "tolerance", "verdict", "index"), ARRAYS)
def test_arrays(
    compare: Any, a: Any, b: Any, tolerance: dict[str, float], verdict: str, index: Any
) -> None:
    """NaN equals NaN, infinities compare by sign, integers are exact without atol, and dtypes do not matter."""
    found = compare("x.npy", npy(a), npy(b), **tolerance)
    assert found.verdict == verdict
    if index is not None:
        assert first(found).index == index


def test_memory_orders_and_records(compare: Any) -> None:
    """Arrays in C and Fortran order are equal; differences have the index in C order, or the name of a field."""
    array = np.arange(200_000.0).reshape(400, 500)
    other = np.asfortranarray(array).copy(order="F")
    assert compare("x.npy", npy(array), npy(other)).verdict == "equal"
    other[3, 400] = other[399, 0] = -1
    found = first(compare("x.npy", npy(array), npy(other)))
    assert (found.index, found.count) == ((3, 400), 2)
    wide = np.arange(300_000.0).reshape(2, 150_000)
    turned = np.asfortranarray(wide).copy(order="F")
    turned[1, 149_999] += 1
    assert first(compare("x.npy", npy(wide), npy(turned))).index == (1, 149_999)
    records = np.zeros(3, dtype=[("id", int), ("w", float)])
    changed = records.copy()
    changed["w"][2] = 1
    found = compare("x.npy", npy(records), npy(changed))
    assert (first(found).path, first(found).index) == ("['w']", (2,))


@settings(deadline=None)  # a library's import is no part of it
@given(
    hnp.arrays(st.sampled_from(["f8", "f4", "c16", "i8", "u1", "?", "U2"]), hnp.array_shapes()),
    st.data(),
)
def test_the_laws_of_arrays(array: Any, data: st.DataObject) -> None:
    """Comparison is reflexive and symmetric, and a larger tolerance never makes the verdict worse."""
    other = data.draw(hnp.arrays(array.dtype, array.shape))
    a, b = npy(array), npy(other)
    assert compare_files("x.npy", a, a).verdict == "identical"
    ranks = {"identical": 0, "equal": 0, "close": 1, "different": 2}
    last = 2
    for tolerance in (0.0, 1e-9, 0.1, 3.0, 1e300):
        there = compare_files("x.npy", a, b, rtol=tolerance, atol=tolerance)
        back = compare_files("x.npy", b, a, rtol=tolerance, atol=tolerance)
        assert there.verdict == back.verdict
        assert (there.max_abs_error, there.max_rel_error) == (
            back.max_abs_error,
            back.max_rel_error,
        )
        assert ranks[there.verdict] <= last
        last = ranks[there.verdict]


# Values and tables


@settings(deadline=None)  # a library's import is no part of it
@given(PLAIN_JSON, PLAIN_JSON)
def test_the_laws_of_json(a: Any, b: Any) -> None:
    """White space and the order of keys do not matter, other values are different, and comparison is symmetric."""
    one = json.dumps(a).encode()
    spaced = json.dumps(a, indent=3, sort_keys=True).encode() + b"\n"
    assert compare_files("x.json", one, spaced).verdict == "equal"
    other = json.dumps(b).encode()
    there, back = compare_files("x.json", one, other), compare_files("x.json", other, one)
    assert there.verdict == back.verdict and there.count == back.count
    if there.verdict == "equal":
        assert a == b


VALUE_FILES = [
    ("x.yaml", b"a: 1\nb: [1, 2]\n", b"b:\n- 1\n- 2\na: 1\n", "equal", ""),
    ("x.yml", b"a: {b: 1}\n", b"a:\n  b: 2\n", "different", "[0].a.b"),
    ("x.ipynb", b'{"cells":[{"id":"a","source":"x"}]}', b'{"cells":[{"id":"b","source":"x"}]}', "equal", ""),
    ("x.json", b'{"n": NaN, "i": [Infinity]}', b'{"i": [Infinity], "n": NaN}', "equal", ""),
    ("x.jsonl", b'{"a":1}\n', b'{"a":1}\n{"a":2}\n', "different", "[1]"),
    ("x.csv", b"a,b\n1,x\n2,y\n", b"a,b\n1.0,x\n2,z\n", "different", "row 2, column b"),
    ("x.csv", b"a,b\n1,x\n", b"a,c\n1,x\n", "different", "row 0, column 1"),
    ("x.csv", b"a\n1\n2\n", b"a\n1\n", "different", ""),
    ("x.csv", b'a\n"one\ntwo"\nx\n', b'a\n"one\ntwo"\ny\n', "different", "row 2, column a"),
    ("x.csv", b"a\n1_0\n", b"a\n10\n", "different", "row 1, column a"),
    ("x.csv", b"id\n007\n", b"id\n7\n", "different", "row 1, column id"),
    ("x.csv", b"a\n1e400\n", b"a\ninf\n", "different", "row 1, column a"),
    ("x.csv", b"\xef\xbb\xbfa\nnan\n", b"a\nNaN\n", "equal", ""),
    ("x.tsv", b"a\tb\n1\t2\n", b"a\tb\n1\t3\n", "different", "row 1, column b"),
    ("x.txt", b"x" * 500 + b"1\n", b"x" * 500 + b"2\n", "different", "line 1"),
    ("x.txt", b"a\r\nb\r\n", b"a\nb\n", "different", "line 1"),
    ("x.txt", "é\nü\n".encode(), "é\nö\n".encode(), "different", "line 2"),
    ("x.bin", b"\0" * 3_000_000 + b"a", b"\0" * 3_000_000 + b"b", "different", "byte 3000000"),
    ("x.bin", b"\0\1", b"\0\1\2", "different", "byte 2"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "a", "b", "verdict", "path"), VALUE_FILES)
def test_values_tables_and_text(
    compare: Any, name: str, a: bytes, b: bytes, verdict: str, path: str
) -> None:
    """Differences are located by key, by row and column name, by line, or by byte."""
    found = compare(name, a, b)
    assert found.verdict == verdict
    assert [d.path for d in found.differences[:1]] == ([path] if verdict != "equal" else [])
    assert all(len(d.left) < 90 for d in found.differences)


def test_a_column_is_one_difference(compare: Any) -> None:
    """A column that drifts is one difference with its first row, the number of rows and the largest error."""
    frame = pd.DataFrame({"step": range(1000), "loss": np.linspace(1, 2, 1000)})
    other = frame.assign(loss=frame.loss.where(frame.step < 400, frame.loss * 1.01))
    one, two = (f.to_csv(index=False).encode() for f in (frame, other))
    found = compare("x.csv", one, two)
    assert (found.count, first(found).path) == (1, "row 401, column loss")
    assert (first(found).count, first(found).size) == (600, 1000)
    assert found.max_rel_error == pytest.approx(0.01 / 1.01)
    assert compare("x.csv", one, two, rtol=0.011).verdict == "close"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")
def test_toml(compare: Any) -> None:
    """TOML files are compared by key."""
    assert compare("x.toml", b"a=1\n[b]\nc=2\n", b"a = 1\nb.c = 2\n").verdict == "equal"
    assert first(compare("x.toml", b"[b]\nc=2\n", b"b.c = 3\n")).path == "b.c"


def test_parquet_and_feather(compare: Any) -> None:
    """Columns are compared by name, with nulls and strings; compression does not matter."""
    frame = pd.DataFrame({"a": [1.0, 2, 3], "s": ["x", None, "z"], "l": [[1], [2], [3]]})
    other = frame.assign(a=[1.0, 2.5, 3], s=["x", "y", "z"])
    for name, write in (("x.parquet", "to_parquet"), ("x.feather", "to_feather")):
        plain = "none" if name == "x.parquet" else "uncompressed"
        same = compare(
            name,
            getattr(frame, write),
            lambda p, w=write, c=plain: getattr(frame, w)(p, compression=c),
        )
        assert same.verdict == "equal"
        found = compare(name, getattr(frame, write), getattr(other, write))
        assert [(d.path, d.index) for d in found.differences] == [
            ("column a", (1,)),
            ("column s", (1,)),
        ]
    fewer = compare("x.parquet", frame.to_parquet, frame.drop(columns="s").to_parquet)
    assert (first(fewer).path, first(fewer).what) == ("column s", "removed")
    table = pa.table({"a": pa.array([1, 2], pa.int32())})
    wider = pa.table({"a": pa.array([1, 2], pa.int64())})
    found = compare(
        "x.parquet", lambda p: pq.write_table(table, p), lambda p: pq.write_table(wider, p)
    )
    assert (found.verdict, first(found).what) == ("equal", "dtype")


# Tensors


def test_safetensors(compare: Any) -> None:
    """Tensors are compared by name in any order; metadata matter."""
    w, b = VALUES.reshape(3, 4), np.arange(4, dtype=np.int32)
    off = w.copy()
    off[2, 1] *= 1.001
    one = compare(
        "m.safetensors",
        lambda p: save_file({"w": w, "b": b}, p),
        lambda p: save_file({"b": b, "w": off}, p),
    )
    assert (first(one).path, first(one).index, first(one).count) == ("w", (2, 1), 1)
    noted = compare(
        "m.safetensors",
        lambda p: save_file({"w": w}, p, {"k": "1"}),
        lambda p: save_file({"w": w}, p, {"k": "2"}),
    )
    assert first(noted).path == "__metadata__.k"
    gone = compare(
        "m.safetensors", lambda p: save_file({"w": w, "b": b}, p), lambda p: save_file({"w": w}, p)
    )
    assert (first(gone).path, first(gone).what) == ("b", "removed")


@pytest.mark.torch
def test_safetensors_of_types_that_numpy_lacks(compare: Any) -> None:
    """bfloat16 and 8-bit floats have the same values as in PyTorch."""
    import torch
    from safetensors.torch import save_file as save

    from recorder.codec.torch import widening

    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        bits = torch.arange(256, dtype=torch.uint8)
        if dtype == torch.bfloat16:
            bits = torch.arange(0, 65536, 7, dtype=torch.int32).to(torch.uint16)
        widen = widening(str(dtype).removeprefix("torch."))
        assert widen is not None
        np.testing.assert_array_equal(widen(bits.numpy()), bits.view(dtype).float().numpy())
        one = torch.ones(4, dtype=dtype)
        two = one.clone()
        two[3] = 2
        found = compare(
            "m.safetensors", lambda p, t=one: save({"w": t}, p), lambda p, t=two: save({"w": t}, p)
        )
        d = first(found)
        assert (d.path, d.index, d.left, d.right, d.abs_error) == ("w", (3,), "1.0", "2.0", 1.0)
    full = torch.ones(4)
    same = compare(
        "m.safetensors", lambda p: save({"w": full.bfloat16()}, p), lambda p: save({"w": full}, p)
    )
    assert (same.verdict, first(same).what) == ("equal", "dtype")


class Unsafe:
    """An object whose pickle creates a folder when it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("loaded",)


@pytest.mark.torch
def test_checkpoints(compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors and values of a checkpoint are compared by name at any depth, and nothing in the file is executed."""
    import torch

    monkeypatch.chdir(tmp_path)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()

    def write(**more: Any) -> Callable[[Path], None]:
        state = {
            "model": model.state_dict(), "optimizer": optimizer.state_dict(), "half": model[0].weight.bfloat16(),
            "turned": model[0].weight.detach().T, "args": argparse.Namespace(lr=0.1), **more,
        }  # fmt: skip
        stream = io.BytesIO()
        torch.save(state, stream)
        data = stream.getvalue()
        return lambda path: path.write_bytes(data) and None

    unsafe = Unsafe()
    same = write(epoch=1, unsafe=unsafe)
    named = lambda path: torch.save(model.state_dict(), path)  # noqa: E731
    assert compare("m.pt", named, named).verdict in ("identical", "equal")
    assert compare("m.pt", same, write(epoch=2, unsafe=unsafe)).differences[0].path == "epoch"
    found = compare("m.pt", same, write(epoch=1, unsafe=unsafe, more=1))
    assert (first(found).path, first(found).what) == ("more", "added")
    with torch.no_grad():
        model[1].bias += 0.5
        model[0].weight[1, 2] += 1
    found = compare("m.pt", same, write(epoch=1, unsafe=unsafe))
    assert [(d.path, d.index, d.count) for d in found.differences] == [
        ("model.0.weight", (1, 2), 1),
        ("model.1.bias", (0,), 1),
        ("half", (1, 2), 1),
        ("turned", (2, 1), 1),
    ]
    lines = compare(
        "m.pt", write(args=argparse.Namespace(lr=0.1)), write(args=argparse.Namespace(lr=0.2))
    )
    assert first(lines).path == "args.state.lr" and first(lines).rel_error == 0.5
    assert not (tmp_path / "loaded").exists()


@pytest.mark.torch
def test_tensors_of_other_kinds_are_compared_by_their_bytes(compare: Any) -> None:
    """Sparse, quantized and other unknown tensors are never equal to different ones."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = [
            (torch.eye(3).to_sparse(), (torch.eye(3) * 2).to_sparse()),
            (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8), torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.quint8)),
            (torch.tensor([1 + 1j]).conj(), torch.tensor([1 + 1j])),
            ((1, 2), [1, 2]),
            ({torch.float32: 1, "x": [torch.int8]}, {torch.float32: 1, "x": [torch.int16]}),
            ({"s": {1, 2}}, {"s": {1, 3}}),
            (torch.ones(3).untyped_storage(), torch.zeros(3).untyped_storage()),
        ]  # fmt: skip
        for one, other in pairs:
            found = compare(
                "m.pt",
                lambda p, v=one: torch.save({"x": v}, p),
                lambda p, v=other: torch.save({"x": v}, p),
            )
            assert found.verdict == "different"


# Pickles


def test_pickles_are_not_loaded(
    compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickles with the same opcodes are equal, others are opaque, and none is loaded."""
    monkeypatch.chdir(tmp_path)
    shared = "a text that is one object"
    one = pickle.dumps({"x": [shared, shared], "u": Unsafe()}, protocol=4)
    copy = shared.encode().decode()
    two = pickle.dumps({"x": [shared, copy], "u": Unsafe()}, protocol=4)
    assert one != two
    assert compare("x.pkl", one, two).verdict == "equal"
    found = compare("x.pkl", one, pickle.dumps({"x": [shared, "else"]}, protocol=4))
    assert found.verdict == "opaque" and "never loaded" in first(found).note
    assert compare("x.pkl", one + b"more", two + b"else").verdict == "opaque"
    assert compare("x.joblib", b"\x80\4no pickle", b"\x80\4no pickle either").verdict == "opaque"
    assert not (tmp_path / "loaded").exists()


def test_joblib(compare: Any) -> None:
    """Arrays between the opcodes of a joblib file are not taken for opcodes."""
    joblib = pytest.importorskip("joblib")
    one, two = (
        np.frombuffer(bytes(range(256)), "f8"),
        np.frombuffer(bytes(range(1, 257 - 1)) + b"\0", "f8"),
    )
    found = compare("x.joblib", lambda p: joblib.dump(one, p), lambda p: joblib.dump(two, p))
    assert found.verdict == "opaque"


# Images


def test_images(compare: Any) -> None:
    """Pixels are compared by row, column and channel; metadata, compression and palettes do not matter."""
    pixels = np.zeros((20, 30, 3), np.uint8)
    info = PngInfo()
    info.add_text("Creation Time", "now")
    image = Image.fromarray(pixels)
    assert (
        compare(
            "x.png", image.save, lambda p: image.save(p, pnginfo=info, compress_level=0)
        ).verdict
        == "equal"
    )
    pixels[3, 4, 1] = 9
    other = Image.fromarray(pixels)
    for name in ("x.png", "x.bmp", "x.tiff"):
        found = compare(name, image.save, other.save)
        d = first(found)
        assert (d.index, d.count, d.size, d.abs_error) == ((3, 4, 1), 1, 1800, 9.0)
    assert compare("x.png", image.save, other.save, atol=10).verdict == "close"
    assert compare("x.png", image.save, image.convert("P").save).verdict == "equal"
    assert first(compare("x.png", image.save, image.resize((5, 5)).save)).what == "shape"


def test_frames_of_an_animation(compare: Any) -> None:
    """The frames of an animation are compared one by one."""
    frames = [Image.new("L", (4, 4), i * 40) for i in range(3)]
    other = [*frames[:2], Image.new("L", (4, 4), 200)]
    one = lambda p: frames[0].save(p, save_all=True, append_images=frames[1:])  # noqa: E731
    two = lambda p: other[0].save(p, save_all=True, append_images=other[1:])  # noqa: E731
    assert first(compare("x.gif", one, two)).path == "frame 2"


# Packed and archived


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
def test_packed_files(compare: Any, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """Compressed files are compared by their content, including concatenated streams."""
    one, two = b"a,b\n1,2\n", b"a,b\n1,3\n"
    assert compare(f"x.csv.{suffix}", pack(one), pack(one[:4]) + pack(one[4:])).verdict == "equal"
    assert first(compare(f"x.csv.{suffix}", pack(one), pack(two))).path == "row 1, column b"


def zipped(members: dict[str, bytes], *, year: int = 2000, packed: bool = True) -> bytes:
    """Return a zip of the members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(info, data)
    return stream.getvalue()


def tarred(members: dict[str, bytes], *, mtime: int = 0) -> bytes:
    """Return a tar of the members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), mtime
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def test_archives(compare: Any) -> None:
    """Members are compared by their format, also in nested archives; order, times and compression do not matter."""
    one = {"a.json": b'{"x": 1}', "b": b"2"}
    turned = {"b": b"2", "a.json": b'{"x":1}'}
    assert compare("x.zip", zipped(one), zipped(turned, year=1999, packed=False)).verdict == "equal"
    assert compare("x.tar", tarred(one), tarred(turned, mtime=5)).verdict == "equal"
    assert (
        compare("x.tgz", gzip.compress(tarred(one)), gzip.compress(tarred(turned, mtime=5))).verdict
        == "equal"
    )
    inner, changed = zipped(one), zipped({**one, "a.json": b'{"x": 2}'})
    found = compare("x.tar", tarred({"in.zip": inner}), tarred({"in.zip": changed}))
    assert first(found).path == "in.zip/a.json: x"
    gone = compare("x.zip", zipped(one), zipped({"b": b"2", "c": b""}))
    assert [(d.path, d.what) for d in gone.differences] == [("a.json", "removed"), ("c", "added")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO(zipped({"a": b"1"}))
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr("a", b"2")
    twice = stream.getvalue()
    assert compare("x.zip", twice, zipped({"a": b"2"})).verdict == "different"


def test_office_files(compare: Any) -> None:
    """The time at which a workbook was written does not matter."""
    core = b"<cp:coreProperties><dcterms:modified a='b'>%d</dcterms:modified></cp:coreProperties>"
    one = {"docProps/core.xml": core % 1, "xl/sheet1.xml": b"<v>1</v>"}
    assert (
        compare("x.xlsx", zipped(one), zipped({**one, "docProps/core.xml": core % 2})).verdict
        == "equal"
    )
    found = compare("x.xlsx", zipped(one), zipped({**one, "xl/sheet1.xml": b"<v>2</v>"}))
    assert first(found).path == "xl/sheet1.xml: line 1"


def test_drawings(compare: Any) -> None:
    """The date and the random ids of a drawing do not matter; the targets of references do."""
    drawing = b'<svg><dc:date>%d</dc:date><path id="p%s"/><path id="q"/><use href="#%s"/></svg>'
    assert (
        compare("x.svg", drawing % (1, b"1a", b"p1a"), drawing % (2, b"2b", b"p2b")).verdict
        == "equal"
    )
    assert (
        compare("x.svg", drawing % (1, b"1a", b"p1a"), drawing % (1, b"1a", b"q")).verdict
        == "different"
    )
    document = b"%%PDF-1.4\n/CreationDate (D:%d)\n%s"
    assert compare("x.pdf", document % (1, b"\0x"), document % (2, b"\0x")).verdict == "equal"
    assert compare("x.pdf", document % (1, b"\0x"), document % (2, b"\0y")).verdict == "different"


# Hierarchies and databases


def test_hdf5(compare: Any, tmp_path: Path) -> None:
    """Datasets and attributes are compared by path; compression does not matter; external links are not followed."""
    secret = tmp_path / "secret.h5"

    def write(
        values: Any, *, note: str = "n", level: int = 4, target: str = "/x"
    ) -> Callable[[Path], None]:
        def write_to(path: Path) -> None:
            with h5py.File(path, "w") as file:
                file.create_dataset("a/w", data=values, compression="gzip", compression_opts=level)
                file["names"] = ["x", "y"]
                file["a"].attrs["note"] = note
                file["out"] = h5py.ExternalLink(str(secret), target)

        return write_to

    assert compare("x.h5", write(VALUES), write(VALUES, level=1)).verdict == "equal"
    off = VALUES.copy()
    off[7] += 1
    found = compare("x.h5", write(VALUES), write(off, note="m"))
    assert [d.path for d in found.differences] == ["a@note", "a/w"]
    assert found.differences[1].index == (7,)
    found = compare("x.h5", write(VALUES), write(VALUES, target="/y"))
    assert "/y" in first(found).right and not secret.exists()

    def external(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("e", (3,), "f8", external=str(secret))

    found = compare("x.nc", write(VALUES), external)
    assert found.verdict == "different"


def test_references_in_hdf5(compare: Any) -> None:
    """References are compared by the path of their target, in datasets and in attributes."""

    def write(target: str) -> Callable[[Path], None]:
        def write_to(path: Path) -> None:
            with h5py.File(path, "w") as file:
                file["x"] = file["y"] = VALUES
                file["r"] = np.array([file[target].ref], dtype=h5py.ref_dtype)
                file["x"].make_scale("axis")
                file["y"].dims[0].attach_scale(file["x"])
                file.attrs["ref"], file.attrs["none"] = file[target].ref, h5py.Empty("f8")
                file.create_dataset("v", (1,), h5py.vlen_dtype(int))[0] = [1, len(target)]

        return write_to

    assert compare(
        "x.h5", write("/x"), lambda p: [write("/x")(p), h5py.File(p, "a").close()]
    ).verdict in ("identical", "equal")
    found = compare("x.h5", write("/x"), write("/y"))
    assert [d.path for d in found.differences] == ["@ref", "r"]
    assert (found.differences[1].left, found.differences[1].right) == ("/x", "/y")


def test_sqlite(compare: Any) -> None:
    """Rows are compared by table and column; pages, history and order do not matter, and no file is written."""

    def write(rows: list[tuple[Any, ...]], *, churn: bool = False) -> Callable[[Path], None]:
        def write_to(path: Path) -> None:
            connection = sqlite3.connect(path)
            connection.execute("create table t (id integer primary key, v real, s text)")
            if churn:
                connection.execute("insert into t values (9, 9, 'x')")
                connection.execute("delete from t")
            connection.executemany("insert into t values (?, ?, ?)", rows)
            connection.execute("create view boom as select 1 / 0")
            connection.commit()
            connection.close()
            assert [p.name for p in path.parent.iterdir() if p.name.startswith("x.db-")] == []

        return write_to

    rows = [(1, 1.5, "a"), (2, 2.5, "b")]
    assert compare("x.db", write(rows), write(rows[::-1], churn=True)).verdict == "equal"
    found = compare("x.db", write(rows), write([rows[0], (2, 2.75, "b")]))
    assert first(found).path == "table t, row 1, column v" and first(found).abs_error == 0.25
    assert (
        compare("x.db", write(rows), write([rows[0], (2, 2.75, "b")]), rtol=0.1).verdict == "close"
    )
    found = compare("x.sqlite", write(rows), write(rows[:1]))
    assert first(found).what == "shape"


# Hostile content


def test_bombs_are_compared_as_bytes(compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content beyond the limits of size or number of values is compared as bytes, with a note."""
    monkeypatch.setattr(limits, "MOST_UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "MOST_VALUES", 10_000)
    zeros = bytes(3 << 20)
    for name, pack in (("x.gz", gzip.compress), ("x.bz2", bz2.compress), ("x.xz", lzma.compress)):
        found = compare(name, pack(zeros), pack(zeros + b"1"))
        assert found.verdict == "different" and "unpacks" in first(found).note
    found = compare("x.zip", zipped({"a": zeros}), zipped({"a": zeros + b"1"}))
    assert found.verdict == "different" and "unpacks" in first(found).note
    image = Image.new("L", (3000, 3000))
    found = compare("x.png", image.save, lambda p: image.save(p, compress_level=1))
    assert found.verdict == "different"
    laughs = "a: &a [x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    found = compare("x.yaml", laughs.encode(), laughs.encode() + b"z: 1\n")
    assert found.verdict == "different" and "values" in first(found).note


def test_archives_nested_too_deep(compare: Any) -> None:
    """Archives nested too deeply are compared as bytes, with a note."""
    one, two = b"1", b"2"
    for _ in range(limits.DEEPEST + 3):
        one, two = zipped({"x.zip": one}), zipped({"x.zip": two})
    found = compare("x.zip", one, two)
    assert found.verdict == "different" and "nested" in first(found).note


def test_deep_json_is_text(compare: Any) -> None:
    """JSON nested beyond the recursion limit is compared as text."""
    deep = b"[" * 100_000 + b"]" * 100_000
    assert first(compare("x.json", deep, deep + b" ")).path == "line 1"


NAMES = ["x.json", "x.csv", "x.npy", "x.npz", "x.parquet", "x.feather", "x.pt", "x.safetensors", "x.png", "x.gz",
         "x.bz2", "x.xz", "x.zip", "x.tar", "x.h5", "x.db", "x.pkl", "x.yaml", "x.toml", "x.svg", "x.pdf", "x"]  # fmt: skip


@settings(deadline=None)  # a library's import is no part of it
@given(st.sampled_from(NAMES), st.binary(max_size=300), st.binary(max_size=300))
def test_anything_gets_a_verdict(name: str, a: bytes, b: bytes) -> None:
    """Any bytes under any name get a symmetric verdict, which is identical only for equal bytes."""
    there, back = compare_files(name, a, b), compare_files(name, b, a)
    assert there.verdict == back.verdict
    assert (there.verdict == "identical") == (a == b)
    assert compare_files(name, a, a).verdict == "identical"


def test_files_that_were_cut_short(compare: Any) -> None:
    """A truncated file of each format differs from the complete one."""
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    stream = io.BytesIO()
    frame.to_parquet(stream)
    for name, data in (
        ("x.npy", npy(VALUES)),
        ("x.npz", zipped({"a.npy": npy(VALUES)})),
        ("x.gz", gzip.compress(os.urandom(1000))),
        ("x.xz", lzma.compress(os.urandom(1000))),
        ("x.parquet", stream.getvalue()),
        ("x.tar", tarred({"a": os.urandom(1000)})),
    ):
        cut = data[: min(len(data) * 2 // 3, 1200)]  # a tar has ten kilobytes of padding
        assert compare(name, data, cut).verdict == "different", name
