"""Measure the cost of describing the environment: ``python tests/benchmarks/bench_environment.py``.

It creates a folder of 250 distributions and measures the first scan, a scan in a later process and a later call,
compared with listing names and versions with importlib.metadata. Each figure is the best of several new processes and
the calls in them.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DISTRIBUTIONS = 250
FILES = 120
PROCESSES = 9

CODE = """
import sys, time
from pathlib import Path
from recorder.capture.environment import environment, packages, process, runtime
now = time.perf_counter
def best(act, times=500):
    spent = []
    for _ in range(times):
        start = now(); act(); spent.append(now() - start)
    return min(spent)
cache = Path(sys.argv[1])
start = now()
found = packages.find_packages(cache=cache)
scan = now() - start
assert sum(name.startswith("made-") for name in found.distributions) == COUNT
start = now()
described = environment.describe_environment(cache=cache)
whole = now() - start
begun = runtime.describe_runtime(described.packages, report=print)
print(scan, whole,
      best(lambda: environment.describe_environment(cache=cache)),
      best(lambda: runtime.describe_runtime(described.packages, report=print)),
      best(lambda: process.describe_process(root=cache)))
""".replace("COUNT", str(DISTRIBUTIONS))

PLAIN = """
import time
start = time.perf_counter()
from importlib.metadata import distributions
found = [(d.metadata["Name"], d.version) for d in distributions()]
print(time.perf_counter() - start)
"""


def make(site: Path) -> None:
    """Write the metadata of the distributions, with the files that pip writes for each."""
    for number in range(DISTRIBUTIONS):
        name = f"made_{number}"
        info = site / f"{name}-1.{number}.dist-info"
        info.mkdir(parents=True)
        lines = [f"{name}/module_{i}.py,sha256={'x' * 43},1000" for i in range(FILES)]
        (info / "RECORD").write_text("\n".join([f"{name}/__init__.py,,", *lines]))
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: made-{number}\nVersion: 1.{number}\n"
            "Requires-Dist: numpy>=1.2\nClassifier: x\n\n" + "A description. " * 400
        )
        (info / "top_level.txt").write_text(f"{name}\n")
    then = time.time() - 3600
    os.utime(site, (then, then))


def measure(code: str, *args: str, site: Path, setup: str = "") -> list[float]:
    """Return the figures that the code prints in a new process with the folder on its sys.path."""
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", setup + code, *args]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Measure, and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        site, cache = Path(folder) / "site", Path(folder) / "envs"
        make(site)
        plain, cold, warm, numeric = [], [], [], []
        for _ in range(PROCESSES):
            shutil.rmtree(cache, ignore_errors=True)
            plain.append(measure(PLAIN, site=site))
            cold.append(measure(CODE, str(cache), site=site))
            warm.append(measure(CODE, str(cache), site=site))
            if _has_numpy():
                numeric.append(measure(CODE, str(cache), site=site, setup="import numpy\n"))
    rows = [
        ("importlib.metadata, names and versions", "ms", min(p[0] for p in plain)),
        ("the packages, first scan", "ms", min(c[0] for c in cold)),
        ("the packages, a later process", "ms", min(w[0] for w in warm)),
        ("the whole environment after that", "ms", min(w[1] for w in warm)),
        ("the environment, a later call", "us", min(w[2] for w in warm)),
        ("the runtime, a later call", "us", min(w[3] for w in warm)),
        ("the process, a later call", "us", min(w[4] for w in warm)),
    ]
    if numeric:
        rows.append(("the runtime with NumPy, a later call", "us", min(n[3] for n in numeric)))
    print(f"{platform.platform()}, Python {platform.python_version()}, {DISTRIBUTIONS} made\n")
    for name, unit, value in rows:
        print(f"{name:<42} {value * (1e3 if unit == 'ms' else 1e6):9.2f} {unit}")


def _has_numpy() -> bool:
    from importlib.util import find_spec

    return find_spec("numpy") is not None


if __name__ == "__main__":
    main()
