"""Measure the cost of capturing code: ``python tests/benchmarks/bench_code.py``.

It creates a repository of 5,000 files, and 250 installed distributions. It measures a snapshot in a new store, in a
later process and in a later call, compared with `git status` of the same tree, and the time that recording adds to the
first call of a process. Each figure is the best of several new processes, measured in turn.
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

from bench_environment import make as make_distributions

FILES = 5_000
PROCESSES = 9

SNAPSHOT = """
import sys, time
from pathlib import Path
from recorder.recording.project import take_snapshot
from recorder.store.store import RunStore
now = time.perf_counter
root, store = Path(sys.argv[1]), RunStore(sys.argv[2], create=True)
def act():
    tree, snapshot = take_snapshot(store, root, print)
    assert len(tree.files) == FILES and snapshot
start = now(); act(); first = now() - start
again = []
for _ in range(20):
    start = now(); act(); again.append(now() - start)
print(first, min(again))
""".replace("FILES", str(FILES))

EXPERIMENT = """
import time
from recorder import record
def plain(x: int = 1, seed: int = 0) -> int:
    return x
recorded = record(plain)
if __name__ == "__main__":
    now = time.perf_counter
    start = now(); plain(); alone = now() - start
    start = now(); recorded(); first = now() - start
    start = now(); recorded(); second = now() - start
    print(first - alone, second - alone)
"""


def make_repository(root: Path) -> None:
    """Create a committed tree whose time stamps are old enough to distinguish it from later changes."""
    for number in range(FILES - 1):
        folder = root / f"package_{number // 250}" / f"part_{number // 50 % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"module_{number}.py").write_text(f"value = {number}\n" * 20)
    (root / "experiment.py").write_text(EXPERIMENT)
    then = time.time() - 3600
    for path in root.rglob("*"):
        os.utime(path, (then, then))
    git = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["status"]):
        subprocess.run([*git, *args], check=True, capture_output=True)


def edit(root: Path, number: int) -> None:
    """Change another file, with a time stamp some seconds ago, as an editor would leave it."""
    path = root / "package_0" / "part_0" / f"module_{number}.py"
    path.write_text(path.read_text() + "value += 1\n")
    then = time.time() - 10
    os.utime(path, (then, then))


def time_status(root: Path) -> float:
    """Return the time of a warm `git status`, including the start of the process, in seconds."""
    start = time.perf_counter()
    subprocess.run(["git", "status", "--porcelain"], cwd=root, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(args: list[str], *, site: Path, cwd: Path) -> list[float]:
    """Return the figures that a new Python process prints, with the distributions on its sys.path."""
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, *args], env=env, cwd=cwd, check=True, capture_output=True, text=True
    )
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Measure, and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        root, store, site = (Path(folder) / name for name in ("project", "store", "site"))
        root.mkdir()
        make_repository(root)
        make_distributions(site)
        snapshot = ["-c", SNAPSHOT, str(root), str(store)]
        measure(["experiment.py"], site=site, cwd=root)  # creates the store and the bytecode
        status, cold, warm, edited, calls, edited_calls = [], [], [], [], [], []
        for number in range(PROCESSES):
            shutil.rmtree(store, ignore_errors=True)
            cold.append(measure(snapshot, site=site, cwd=root))
            status.append(time_status(root))
            warm.append(measure(snapshot, site=site, cwd=root))
            status.append(time_status(root))
            calls.append(measure(["experiment.py"], site=site, cwd=root))
            edit(root, number)
            edited.append(measure(snapshot, site=site, cwd=root))
            edited_calls.append(measure(["experiment.py"], site=site, cwd=root))
    base = min(status)
    rows = [
        ("git status, warm", base, None),
        ("a snapshot, new store", min(c[0] for c in cold), None),
        ("a snapshot, a later process", min(w[0] for w in warm), 2),
        ("a snapshot, a later call", min(w[1] for w in warm), 2),
        ("a snapshot after an edit", min(e[0] for e in edited), None),
        ("the first recorded call of a process", min(c[0] for c in calls), None),
        ("the same after an edit", min(c[0] for c in edited_calls), None),
        ("the second recorded call", min(c[1] for c in calls), None),
    ]
    print(f"{platform.platform()}, Python {platform.python_version()}, {FILES} files\n")
    for name, value, bound in rows:
        ratio = f"{value / base:6.2f} x git status" + (f" (bound {bound:g})" if bound else "")
        print(f"{name:<38} {value * 1e3:8.1f} ms  {ratio}")
    print("\nbound of the first recorded call: 150 ms, warm caches")


if __name__ == "__main__":
    main()
