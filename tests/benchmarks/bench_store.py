"""Measure the cost of recording: ``python tests/benchmarks/bench_store.py [NAME...]``.

Each figure has a baseline: the least work with which any recorder could keep the same promise, measured in turn with
it. Ratios are comparable between machines; times are not. Each measurement runs in a new process (`workloads.py`). NAME
selects from `MEASUREMENTS`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

FILES = 50
MANY, FEW = 100_000, 100
HERE = Path(__file__).parent


class Row(NamedTuple):
    """A figure and its baseline, both in `unit`; `limit` is the largest acceptable ratio or figure."""

    name: str
    value: float
    floor_name: str
    floor: float
    unit: str
    limit: str = ""


class Project:
    """A committed repository of 50 files, with the experiments and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for i in range(FILES - 1):
            (folder / f"module_{i}.py").write_text(f"VALUE = {i}\n" * 20)
        shutil.copy(HERE / "workloads.py", folder)
        git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org"]
        for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
            subprocess.run([*git, *args], cwd=folder, check=True)
        time.sleep(0.1)  # files written a moment ago cannot be distinguished from changed ones

    def measure(self, name: str, *args: object) -> dict[str, float]:
        """Run the workload in a new process; return its figures by name."""
        command = [sys.executable, "workloads.py", name, *map(str, args)]
        done = subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.PIPE)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def measure_start(code: str) -> float:
    """Return the median time of an interpreter that runs the code, in milliseconds."""
    times = []
    for _ in range(15):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def start(_: Project) -> Iterator[Row]:
    """Measure the start of a program."""
    light = measure_start("from recorder import record, log, save")
    yield Row("import recorder", light, "a bare interpreter", measure_start("pass"), "ms")
    shown = measure_start("from recorder.cli import main; main(['--help'])")
    yield Row("recorder --help", shown, "import click", measure_start("import click"), "ms")


def call(project: Project) -> Iterator[Row]:
    """Measure a recorded call, in a small store and in a large one."""
    project.measure("call", 5)  # warm the caches
    small = project.measure("call", 100)
    yield Row(
        "a process's first recorded call", small["first"], "its later ones", small["call"], "ms"
    )
    floor = "the same bytes by hand, synced"
    yield Row("a recorded call", small["call"], floor, small["floor"], "ms", "4 x")
    durable = "by hand, with the file's name synced too"
    yield Row("the same call", small["call"], durable, small["durable"], "ms")
    project.measure("fill", MANY)
    large = project.measure("call", 100)
    yield Row("the same, 100,000 runs there", large["call"], floor, large["floor"], "ms", "4 x")
    ratios = large["call"] / large["floor"], small["call"] / small["floor"]
    yield Row("the same, as ratios", ratios[0], "100 runs there", ratios[1], "x floor", "1.5 x")


def reading(project: Project) -> Iterator[Row]:
    """Measure reading a store of 100,000 runs from another process."""
    anew = project.measure("fill", MANY)["open"]
    opened = project.measure("open")
    floor = "its bytes read and checksummed"
    yield Row(
        "open 100,000 runs, the last 20", opened["open"], floor, opened["floor"], "s", "0.5 s"
    )
    yield Row("open them without the index", anew, floor, opened["floor"], "s")
    floor = "its last lines parsed"
    yield Row("a query over all of them", opened["query"], floor, opened["parse"], "s", "1.5 s")
    floor = "before it was opened"
    yield Row("memory after both", opened["memory"], floor, opened["bare"], "MB", "400 MB")


def logging(project: Project) -> Iterator[Row]:
    """Measure logging the points of one run."""
    one = project.measure("log")
    floor = "a call with a keyword, an append"
    yield Row("log(loss=x, step=i), a point", one["one"], floor, one["floor"], "us", "2 us")
    yield Row("log of 4 names, a point", one["four"], floor, one["floor"], "us", "2 us")
    floor = "its 8 bytes of value"
    yield Row("a point on disk after the run", one["bytes"], floor, 8.0, "bytes", "20 bytes")


def large_file(project: Project) -> Iterator[Row]:
    """Measure storing a file of 1 GB."""
    found = project.measure("large")
    yield Row("a file of 1 GB", found["put"], "cp of it, synced", found["copy"], "s", "1.2 x")
    floor = "BLAKE3 of it"
    yield Row("one that is ours to move", found["move"], floor, found["digest"], "s", "1.2 x")


MEASUREMENTS: dict[str, Callable[[Project], Iterator[Row]]] = {
    "start": start, "call": call, "reading": reading, "logging": logging, "large_file": large_file
}  # fmt: skip


def show(row: Row) -> str:
    """Return the row of the table."""
    ratio = row.value / row.floor
    figures = f"{row.value:.3g} | {row.unit} | {row.floor_name} | {row.floor:.3g} | {ratio:.2f}"
    return f"| {row.name} | {figures} | {row.limit} |"


def main() -> None:
    """Measure, and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it doubles the time of imports
    names = sys.argv[1:] or list(MEASUREMENTS)
    kind = f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    print(f"{kind}\n\n| | | | floor | | ratio | at most |\n|---|---|---|---|---|---|---|")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for row in MEASUREMENTS[name](Project(Path(folder))):
                print(show(row), flush=True)


if __name__ == "__main__":
    main()
