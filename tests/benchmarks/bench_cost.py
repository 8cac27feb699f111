"""What recording costs, as ratios measured side by side: ``python tests/benchmarks/bench_cost.py``.

Each figure stands beside its floor: the least that any recorder with the same promise must do. Ratios hold from
machine to machine; times do not.
"""

from __future__ import annotations

import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FILES = 50
ROUNDS = 60
PAYLOAD = 10_000

EXPERIMENT = """
import os, sys, time
from pathlib import Path
from recorder import record, log, save

@record
def f(a=1, b=2.0, c="x", d=True, e=None, g=[1, 2], h={"i": 1}, j=0.5, k="y", seed=0):
    Path("out.bin").write_bytes(os.urandom(10_000))
    log(loss=0.5)
    save("out.bin")
    return {"accuracy": 0.9}

started = time.perf_counter()
f()
print(time.perf_counter() - started)
sys.path.insert(0, FOLDER)
from bench_cost import alternate
time.sleep(0.1)  # what was written a moment ago is old enough by then to be told from a change
f()
print(*alternate(f, Path(STORE)))
"""


def floor(folder: Path) -> None:
    """The same bytes by hand, durable: a 10 KB file staged, synced and renamed, and a line appended and synced."""
    name = secrets.token_hex(8)
    with (folder / name).open("wb") as file:
        file.write(os.urandom(PAYLOAD))
        file.flush()
        os.fsync(file.fileno())
    (folder / name).rename(folder / f"{name}.object")
    with (folder / "journal").open("ab") as file:
        file.write(b'{"x": 1}' * 250 + b"\n")
        file.flush()
        os.fdatasync(file.fileno())


def alternate(function: Callable[[], object], store: Path) -> tuple[float, float]:
    """Median seconds of the recorded call and of the floor, measured in turn."""
    folder = Path(tempfile.mkdtemp(dir=store))
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        middle = time.perf_counter()
        floor(folder)
        times.append((middle - start, time.perf_counter() - middle))
    calls, floors = zip(*times, strict=True)
    return statistics.median(calls), statistics.median(floors)


def make_project(root: Path) -> None:
    """A committed repository of 50 files with the experiment in it."""
    for i in range(FILES - 1):
        (root / f"module_{i}.py").write_text(f"VALUE = {i}\n" * 20)
    folder, store = repr(str(Path(__file__).parent)), repr(str(root / ".recorder"))
    text = EXPERIMENT.replace("FOLDER", folder).replace("STORE", store)
    (root / "experiment.py").write_text(text)
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *args], cwd=root, check=True)
    time.sleep(0.1)


def measure_start(code: str) -> float:
    """Median seconds of an interpreter that runs the code."""
    times = []
    for _ in range(15):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure, and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it doubles the time of imports
    light = "from recorder import record, log, save"
    rows = [
        ("import recorder", measure_start(light), "a bare interpreter", measure_start("pass")),
        (
            "recorder --help",
            measure_start("from recorder.cli import main; main(['--help'])"),
            "import click",
            measure_start("import click"),
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder))
        command = [sys.executable, "experiment.py"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)  # warms the caches
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    first, call, least = map(float, done.stdout.split())
    rows.append(("a process's first recorded call", first, "its later ones", call))
    rows.append(("a recorded call, later", call, "the same bytes by hand, synced", least))
    print(
        f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}\n"
    )
    print("| | ms | floor | ms | ratio |\n|---|---|---|---|---|")
    for name, value, floor_name, floor_value in rows:
        ratio = value / floor_value
        print(
            f"| {name} | {value * 1e3:.2f} | {floor_name} | {floor_value * 1e3:.2f} | {ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
