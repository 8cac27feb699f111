"""Tests for readers in C that the audit hook does not see, with the real libraries."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import ROOT

from recorder.capture.files.audit_hook import watch_inputs
from recorder.capture.files.library_hooks import attach
from recorder.digest import digest_file

pytestmark = pytest.mark.torch(needed=False)

MAKE = """
import os
import h5py, netCDF4, numpy, polars, pyarrow as pa, pyarrow.feather, pyarrow.orc, pyarrow.parquet
import safetensors.numpy
table = pa.table({"a": [1, 2]})
pyarrow.parquet.write_table(table, "a.parquet")
os.mkdir("parts")
pyarrow.parquet.write_table(table, "parts/1.parquet")
pyarrow.feather.write_feather(table, "a.feather")
pyarrow.orc.write_table(table, "a.orc")
open("a.csv", "w").write("a\\n1\\n")
open("a.ndjson", "w").write('{"a": 1}\\n')
h5py.File("a.h5", "w").close()
netCDF4.Dataset("a.nc", "w").close()
safetensors.numpy.save_file({"x": numpy.ones(2)}, "a.safetensors")
"""
MAKE_TORCH = """
import torch
torch.save({"x": torch.ones(3)}, "a.pt")
"""
# The import, the call, and the file that it reads.
CALLS = [
    ("pyarrow.parquet as pq", "pq.read_table('a.parquet')", "a.parquet"),
    ("pyarrow.parquet as pq", "pq.ParquetFile(source='a.parquet').read()", "a.parquet"),
    ("pyarrow.parquet as pq", "pq.read_metadata('a.parquet')", "a.parquet"),
    ("pyarrow.parquet as pq", "pq.read_table('parts')", "parts/1.parquet"),
    ("pyarrow.dataset as ds", "ds.dataset(['a.parquet']).to_table()", "a.parquet"),
    ("pyarrow.feather as f", "f.read_table('a.feather')", "a.feather"),
    ("pyarrow.csv as c", "c.read_csv('a.csv')", "a.csv"),
    ("pyarrow.json as j", "j.read_json('a.ndjson')", "a.ndjson"),
    ("pyarrow.orc as o", "o.read_table('a.orc')", "a.orc"),
    ("pyarrow as pa", "pa.memory_map('a.csv').read()", "a.csv"),
    ("pandas as pd", "pd.read_parquet('a.parquet')", "a.parquet"),
    ("h5py", "h5py.File('a.h5').close()", "a.h5"),
    ("h5py", "h5py.File('a.h5', mode='r+').close()", "a.h5"),
    ("netCDF4", "netCDF4.Dataset('a.nc').close()", "a.nc"),
    ("safetensors.numpy as s", "s.load_file('a.safetensors')", "a.safetensors"),
    ("safetensors.torch as s", "s.load_file('a.safetensors')", "a.safetensors"),
    ("safetensors as s", "s.safe_open('a.safetensors', framework='np').keys()", "a.safetensors"),
    ("torch", "torch.load('a.pt')", "a.pt"),
    ("torch", "torch.load('a.pt', mmap=True)", "a.pt"),
    ("polars as pl", "pl.read_parquet('a.parquet')", "a.parquet"),
    ("polars as pl", "pl.scan_parquet('*.parquet').collect()", "a.parquet"),
    ("polars as pl", "pl.read_csv(source='a.csv')", "a.csv"),
    ("polars as pl", "pl.scan_ndjson('a.ndjson').collect()", "a.ndjson"),
]
if find_spec("torch"):
    MAKE += MAKE_TORCH
else:  # not part of the extra `test`
    CALLS = [call for call in CALLS if "torch" not in call[0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each format."""
    path = tmp_path_factory.mktemp("data").resolve()
    subprocess.run([sys.executable, "-c", MAKE], cwd=path, check=True)
    return path


def run(folder: Path, *lines: str) -> str:
    """Return the output of a process that runs the lines."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


IMPORTS = [
    "from recorder.capture.files.audit_hook import watch_inputs",
    "from recorder.capture.files.library_hooks import OPENERS, attach",
]


@pytest.mark.parametrize("order", ["before", "after"])
def test_each_reader(folder: Path, order: str) -> None:
    """A file opened in C is an input, whether the library was loaded before the first run or later."""
    libraries = [f"import {library}" for library in dict.fromkeys(name for name, _, _ in CALLS)]
    steps = [*IMPORTS, *libraries, "attach()"] if order == "before" else [*IMPORTS, "attach()"]
    for library, call, _ in CALLS:
        steps += [f"import {library}", "watch = watch_inputs()", call]
        steps.append("print([reading.path.rpartition('/')[2] for reading in watch.stop()])")
    found = [ast.literal_eval(line) for line in run(folder, *steps).splitlines()]
    wanted = [(call, [Path(file).name]) for _, call, file in CALLS]
    assert [(call, read) for (_, call, _), read in zip(CALLS, found, strict=True)] == wanted


def test_the_digest_is_of_what_was_read(folder: Path) -> None:
    """A file opened for changes has its earlier digest, and one created anew is not an input."""
    import h5py

    attach()
    before = digest_file(folder / "a.h5")
    watch = watch_inputs()
    with h5py.File(folder / "a.h5", "r+") as file:
        file["x"] = 1
    with h5py.File(folder / "new.h5", "w") as file:
        file["x"] = 1
    h5py.File(folder / "new.h5").close()
    readings = watch.stop()
    assert [(Path(r.path).name, r.digest) for r in readings] == [("a.h5", before)]
    assert str(folder / "new.h5") in watch.written


@pytest.mark.parametrize(
    "room", ["capture", "capture/files", "secrets", "store/objects", "compare"]
)
def test_recorder_itself_reads_nothing(room: str, folder: Path) -> None:
    """A file that recorder's own code opens through such a library is not an input, and a user's is."""
    attach()
    namespace: dict[str, object] = {}
    source = "import h5py\ndef read(path):\n    h5py.File(path).close()\n"
    exec(compile(source, str(ROOT / "recorder" / room / "module.py"), "exec"), namespace)
    watch = watch_inputs()
    namespace["read"](str(folder / "a.h5"))  # type: ignore[operator]
    assert watch._readings == {}
    exec(compile(source, str(folder / "module.py"), "exec"), namespace)
    namespace["read"](str(folder / "a.h5"))  # type: ignore[operator]
    assert [Path(reading.path).name for reading in watch.stop()] == ["a.h5"]


def test_libraries_stay_what_they_are(folder: Path) -> None:
    """Names, signatures, classes, and errors of the libraries are unchanged, and outside runs nothing is noted."""
    import h5py
    import netCDF4
    import polars
    import pyarrow.parquet as pq

    attach()
    assert next(iter(inspect.signature(polars.read_csv).parameters)) == "source"
    assert list(inspect.signature(h5py.File.__init__).parameters)[:3] == ["self", "name", "mode"]
    assert pq.ParquetFile.__init__.__name__ == "__init__"
    with netCDF4.Dataset(folder / "a.nc") as file:
        assert isinstance(file, netCDF4.Dataset) and type(file).__name__ == "Dataset"
    with pytest.raises(FileNotFoundError):
        pq.read_table(folder / "missing.parquet")
    watch = watch_inputs()
    assert watch.stop() == ()


def test_a_library_that_is_not_loaded_costs_nothing(folder: Path) -> None:
    """The hooks import no library."""
    run(folder, *IMPORTS, "attach()", "import sys", "assert not set(OPENERS) & set(sys.modules)")
