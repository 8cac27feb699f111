"""Measure the cost of the command line: ``python tests/benchmarks/bench_cli.py``.

Each command runs in a new process, in turn with its baseline: an interpreter that imports click. The store has 10,000
runs with the lines that real runs write. Times are medians in milliseconds; the ratio is to the baseline.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_store import Project, Row, show

RUNS = 10_000
ROUNDS = 11
FLOOR = ("-c", "import click")
MAIN = "from recorder.cli import main; main({!r})"
COMMANDS: dict[str, tuple[list[str], str]] = {
    "recorder --help": (["--help"], "1.5 x"),
    "recorder list": (["list"], "2.5 x"),
    "recorder list --sort -lr": (["list", "--sort", "-lr"], ""),
    "recorder list --where 'lr > 0.09'": (["list", "--where", "lr > 0.09"], ""),
    "recorder list --group-by seed": (["list", "--group-by", "seed"], ""),
    "recorder diff by numbers": (["diff", str(RUNS - 1), str(RUNS)], "2.5 x"),
    "recorder diff by the experiment's name": (["diff", "small~1", "small"], "2.5 x"),
    "recorder show": (["show", "last"], ""),
    "recorder logs": (["logs", "last"], ""),
}


def measure(commands: list[tuple[str, ...]], *, cwd: Path, rounds: int = ROUNDS) -> list[float]:
    """Return the median time of the interpreter with each list of arguments, in milliseconds, measured in turn."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for arguments, taken in zip(commands, times, strict=True):
            start = time.perf_counter()
            done = subprocess.run([sys.executable, *arguments], cwd=cwd, stdout=subprocess.DEVNULL)
            taken.append((time.perf_counter() - start) * 1e3)
            assert done.returncode < 2, arguments
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Fill a store, measure, and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it doubles the time of imports
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.measure("fill", RUNS)
        print("| | | | floor | | ratio | at most |\n|---|---|---|---|---|---|---|")
        for name, (arguments, limit) in COMMANDS.items():
            commands = [FLOOR, ("-c", MAIN.format(arguments))]
            measure(commands, cwd=project.folder, rounds=2)  # warms the caches
            floor, taken = measure(commands, cwd=project.folder)
            print(show(Row(name, taken, "import click", floor, "ms", limit)), flush=True)


if __name__ == "__main__":
    main()
