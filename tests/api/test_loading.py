"""Tests of values, files and series of a run from Python: data is loaded, and nothing untrusted is unpickled."""

from __future__ import annotations

import math
import shutil
import sys
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import Project

from recorder import Run, Store
from recorder.api.loading import load_file
from recorder.api.series import Series
from recorder.api.values import Tagged
from recorder.errors import (
    ContentNotFoundError,
    DamageError,
    DecodeError,
    DestinationError,
    TrustError,
)
from recorder.formats.points import Point

# The extra `test` does without PyTorch, which is large: what it writes and reads is tested where it is installed.
pytestmark = pytest.mark.torch(needed=False)

FIT = """
    import dataclasses, datetime, enum, gzip, json, os, pickle
    from pathlib import Path
    import joblib, numpy as np, pandas as pd, safetensors.numpy
    from recorder import log, record, save

    try:
        import torch
    except ImportError:
        torch = None

    class Colour(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Optim:
        rate: float = 0.5
        betas: tuple = (0.9, 0.99)

    class Own:
        def __init__(self):
            self.x = 1
        def __reduce__(self):
            return (Own, ())

    class Loud:
        def __reduce__(self):
            return (os.system, ("touch was-unpickled",))

    @record
    def fit(rate=float("nan"), path=Path("a/b"), when=datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
            some={3, 1}, grid=np.arange(3), colour=Colour.RED, optim=Optim(), own=Own(), password="hunter2-hunter2",
            table={"a": {"b": [1, None]}}, big=2**70, keyed={1: "x"}):
        read = Path("data.csv").read_text()
        frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1.5]})
        np.save("array.npy", np.arange(4.0))
        np.savez("arrays.npz", a=np.arange(2), b=np.ones(1))
        np.save("objects.npy", np.array([Loud()], dtype=object))
        Path("values.json").write_text(json.dumps({"a": [1, 2]}))
        Path("lines.jsonl").write_text('{"a": 1}\\n{"a": 2}\\n')
        frame.to_csv("frame.csv", index=False)
        frame.to_csv("frame.tsv.gz", index=False, sep="\\t")
        frame.to_parquet("frame.parquet")
        if torch is not None:
            torch.save({"w": torch.ones(2)}, "state.pt")
            torch.save({"w": torch.ones(2), "own": Loud()}, "loud.pt")
        safetensors.numpy.save_file({"w": np.ones(2, dtype="f4")}, "state.safetensors")
        Path("own.pkl").write_bytes(pickle.dumps({"loud": Loud()}))
        joblib.dump({"w": np.ones(3)}, "model.joblib")
        Path("notes.txt").write_text("caf\\u00e9")
        Path("raw.bin").write_bytes(bytes(range(7)))
        Path("broken.json").write_text("{")
        os.makedirs("ckpt/sub")
        Path("ckpt/one.json").write_text("1")
        Path("ckpt/sub/two.txt").write_text("two")
        save("ckpt")
        save(frame, name="frame")
        save({"colour": colour}, name="named")
        for i in range(3):
            log(step=10 * i, loss=1 / (i + 1), count=i)
        log({"odd": float("nan")})
        return {"optim": optim, "n": 3}

    if __name__ == "__main__":
        fit()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `fit` ran."""
    root = tmp_path_factory.mktemp("fitted") / "project"
    root.mkdir()
    project = Project(root)
    project.write("train.py", FIT)
    project.write("data.csv", "a,b\n1,2\n")
    project.commit()
    project.python("-c", "import train; train.fit()")
    return project


@pytest.fixture
def record(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The run of `fit`; unpickling leaves a file in the empty working directory."""
    monkeypatch.chdir(tmp_path)
    return Store(project.root / ".recorder").last()


@pytest.fixture
def foreign(record: Run, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The same run, read by a user with another key."""
    monkeypatch.setenv("RECORDER_KEY_FILE", str(tmp_path / "key"))
    return Store(project.root / ".recorder").last()


def test_the_config_is_data(record: Run) -> None:
    """Config values are Python objects and NumPy arrays, and nested ones have dotted keys."""
    config = record.config
    assert math.isnan(config["rate"]) and config["path"] == Path("a/b") and config["some"] == {1, 3}
    assert config["when"] == datetime(2026, 1, 2, tzinfo=timezone.utc)
    assert config["grid"].tolist() == [0, 1, 2] and config["big"] == 2**70
    assert config["table"] == {"a": {"b": [1, None]}} and config["keyed"] == {1: "x"}
    assert config["table.a"] == {"b": [1, None]} and config["table.a.b"] == [1, None]
    assert config["optim.rate"] == 0.5 and config.flat["optim.betas"] == (0.9, 0.99)
    assert "rate" in config and "nothing" not in config and len(config) == 12
    assert {"optim", "optim.rate"} <= set(config._ipython_key_completions_())
    with pytest.raises(KeyError, match=r"there is table\.a"):
        config["table.b"]


def test_what_would_run_code_is_described(record: Run) -> None:
    """User classes, pickles and credentials are described in the config, and nothing is imported."""
    config = record.config
    for key, tag in (
        ("colour", "enum"),
        ("optim", "dataclass"),
        ("own", "pickle"),
        ("password", "redacted"),
    ):
        assert isinstance(config[key], Tagged) and config[key].tag == tag
    assert repr(config["optim"]) == "Optim(rate=0.5, betas=(0.9, 0.99))"
    assert config["optim"].fields == {"rate": 0.5, "betas": (0.9, 0.99)}
    assert config["colour"] == config["colour"] != config["optim"]
    assert len({config["colour"], config["colour"]}) == 1
    with pytest.raises(DecodeError, match="redacted"):
        config["password"].load()


def test_a_result_is_made(record: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of the user's own run is the returned value, with its classes imported."""
    monkeypatch.syspath_prepend(project.root)
    result = record.result()
    assert type(result["optim"]).__name__ == "Optim" and result["optim"].rate == 0.5
    assert record.config["colour"].load().name == "RED"


def test_a_result_as_data(foreign: Run) -> None:
    """Without its classes or without trust, a result can be read as data, and the error names this way."""
    assert foreign.result(load=False)["optim"].fields == {"rate": 0.5, "betas": (0.9, 0.99)}
    with pytest.raises(TrustError):
        foreign.result()


def test_a_result_of_a_class_that_is_not_here(record: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a class of the run's script cannot be imported here, the error says what to do."""
    monkeypatch.delitem(sys.modules, "train", raising=False)
    with pytest.raises(
        DecodeError, match=r"cannot import train:Optim: .*; try result\(load=False\)"
    ):
        record.result()


@pytest.mark.parametrize(
    "what",
    [
        *("result", "named", "own.pkl", "model.joblib", "objects.npy"),
        pytest.param("loud.pt", marks=pytest.mark.torch),
    ],
)
def test_a_foreign_run_runs_no_code(foreign: Run, what: str, tmp_path: Path) -> None:
    """For a run that another user signed, importing and unpickling are refused, and the error says how to trust it."""
    with pytest.raises(TrustError, match=r"store\.trust\(1\)"):
        foreign.result() if what == "result" else foreign.output(what).load()
    assert not (tmp_path / "was-unpickled").exists()


def test_a_foreign_run_is_data_all_the_same(foreign: Run) -> None:
    """Arrays, frames, tensors and values of another user's run can be read without trust."""
    assert foreign.output("array.npy").load().shape == (4,)
    assert foreign.output("frame").load().shape == (2, 2)
    assert foreign.config["grid"].shape == (3,)
    if find_spec("torch"):
        assert foreign.output("state.pt").load()["w"].tolist() == [1, 1]


def test_a_trusted_run_is_unpickled(record: Run, tmp_path: Path) -> None:
    """Pickles of the user's own runs are loaded."""
    assert record.output("model.joblib").load()["w"].tolist() == [1, 1, 1]
    for name in ("own.pkl", "objects.npy", *(["loud.pt"] if find_spec("torch") else [])):
        record.output(name).load()
        (tmp_path / "was-unpickled").unlink()


def test_files_by_their_formats(record: Run) -> None:
    """Each file format loads as its library would load it."""
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1.5]})
    for name in ("frame", "frame.csv", "frame.tsv.gz", "frame.parquet"):
        pd.testing.assert_frame_equal(record.output(name).load(), frame)
    assert record.output("array.npy").load().tolist() == [0, 1, 2, 3]
    assert {k: v.tolist() for k, v in record.output("arrays.npz").load().items()} == {
        "a": [0, 1],
        "b": [1],
    }
    assert record.output("values.json").load() == {"a": [1, 2]}
    assert record.output("lines.jsonl").load() == [{"a": 1}, {"a": 2}]
    tensor = record.output("state.safetensors").load()["w"]  # NumPy's where there is no PyTorch
    assert type(tensor).__module__ == ("torch" if find_spec("torch") else "numpy")
    assert tensor.tolist() == [1, 1]
    assert record.output("notes.txt").load() == record.output("notes.txt").read_text() == "café"
    for name, said in (("raw.bin", "unknown format"), ("broken.json", "cannot be read")):
        with pytest.raises(DecodeError, match=said):
            record.output(name).load()


def test_bytes_paths_and_copies(record: Run, tmp_path: Path) -> None:
    """A file is available as bytes and as the store's read-only file, and can be restored under its name."""
    raw = record.output("raw.bin")
    assert raw.read_bytes() == raw.path.read_bytes() == bytes(range(7)) and raw.size_bytes == 7
    assert not raw.path.stat().st_mode & 0o222
    copy = raw.restore(tmp_path / "out")
    assert copy == tmp_path / "out/raw.bin" and copy.read_bytes() == bytes(range(7))
    with pytest.raises(DestinationError):
        raw.restore(tmp_path / "out")
    assert [p.name for p in record.restore(tmp_path / "all", names=["*.json"])] == [
        "broken.json",
        "one.json",
        "values.json",
    ]


def test_folders_and_values(record: Run, tmp_path: Path) -> None:
    """A folder lists its files, each of which is an output; a value has no file."""
    folder = record.output("ckpt")
    assert folder.names == ["one.json", "sub/two.txt"] and folder.size_bytes == 4
    assert (
        record.output("ckpt/sub/two.txt").load() == "two"
        and record.output("ckpt/one.json").load() == 1
    )
    assert (folder.restore(tmp_path / "out") / "sub/two.txt").read_text() == "two"
    for content in (folder, record.output("named")):
        for get in (content.open, content.read_bytes, lambda c=content: c.path):
            with pytest.raises(ContentNotFoundError):
                get()


def test_inputs(record: Run, tmp_path: Path) -> None:
    """An input is available like an output, by the end of its path."""
    data = record.input("data.csv")
    assert data.name == "data.csv" and data.read_text() == "a,b\n1,2\n"
    assert data.load()["b"].tolist() == [2]
    assert data.restore(tmp_path / "in").read_text() == "a,b\n1,2\n"


def test_series(record: Run) -> None:
    """A series has steps, times and values, also for NumPy and pandas; NaN is preserved."""
    loss = record.series("loss")
    assert loss.steps == [0, 10, 20] and loss.values == [1, 1 / 2, 1 / 3] and len(loss[1:]) == 2
    assert loss.times_s == sorted(loss.times_s)
    assert (
        np.asarray(loss).dtype == "float64" and record.series("count").to_numpy().dtype == "int64"
    )
    series = loss.to_pandas()
    assert series.name == "loss" and series.index.name == "step" and series[20] == 1 / 3
    assert math.isnan(record.series("odd").values[0]) and math.isnan(record.metrics["odd"].last)
    assert "nan" in repr(record.series("odd"))


def test_series_for_what_reads_arrow(record: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars, pandas and PyArrow read a series as a table of three numeric columns, whatever was logged."""
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    loss = record.series("loss")
    columns = {"step": loss.steps, "time_s": loss.times_s, "value": loss.values}
    assert pyarrow.table(loss).to_pydict() == columns
    if hasattr(pd.DataFrame, "from_arrow"):
        assert pd.DataFrame.from_arrow(loss).to_dict("list") == columns
    huge = Series("huge", [Point(0, 0.0, 1), Point(1, 0.1, 0.5), Point(2, 0.2, 2**70)])
    assert pyarrow.table(huge)["value"].to_pylist() == [1, 0.5, 2.0**70]
    assert huge.to_numpy().dtype == huge.to_pandas().dtype == "float64"
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.sql("select max(value) from loss").fetchall() == [(1.0,)]
    monkeypatch.setattr("recorder.api.series.find_spec", lambda name: name == "polars" or None)
    assert polars.DataFrame(loss).to_dict(as_series=False) == columns


def test_a_frame_of_everything(record: Run, project: Project) -> None:
    """Values that no column type can hold become strings, and nothing is imported for them."""
    frame = Store(project.root / ".recorder").frame()
    row = frame.loc[1]
    assert row["config.colour"] == "Colour.RED" and row["config.grid"].startswith("int64[3]")
    assert row["config.path"] == Path("a/b") and row["config.big"] == 2**70
    assert frame["metrics.odd"].dtype == "float64" and frame["metrics.odd"].isna().all()
    assert frame["metrics.count"].dtype == "int64"


def test_damage_is_noticed(project: Project, tmp_path: Path) -> None:
    """A damaged file is not loaded."""
    shutil.copytree(project.root / ".recorder", tmp_path / ".recorder", symlinks=True)
    own = Store(tmp_path / ".recorder").last().output("own.pkl")
    own.path.chmod(0o644)
    own.path.write_bytes(own.path.read_bytes()[:-1] + b"!")
    with pytest.raises(DamageError, match="recorder check"):
        own.load()


def test_a_missing_package_is_named(record: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas, a frame and a CSV file raise an error that says what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    for get in (record.output("frame.csv").load, record.series("loss").to_pandas):
        with pytest.raises(ImportError, match="pip install pandas"):
            get()


def test_a_header_like_a_pickle(tmp_path: Path) -> None:
    """A safetensors file that begins like a pickle is read by its name, and nothing is unpickled."""
    import io

    import safetensors.numpy

    data = safetensors.numpy.save({"w": np.ones(2, dtype="f4")}, metadata={"pad": "x" * 556})
    pad = 0x0280 - int.from_bytes(data[:8], "little")
    data = safetensors.numpy.save(
        {"w": np.ones(2, dtype="f4")}, metadata={"pad": "x" * (556 + pad)}
    )
    assert data.startswith(b"\x80\2")

    def refuse(what: str) -> None:
        raise AssertionError(what)

    found = load_file(io.BytesIO(data), name="a.safetensors", allow=refuse)
    assert found["w"].tolist() == [1, 1]
