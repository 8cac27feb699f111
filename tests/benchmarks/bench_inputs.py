"""Measure the cost of finding a run's inputs: ``python tests/benchmarks/bench_inputs.py [FILES]``.

A function opens and reads 10,000 files of 2 KB, in the project (tracked by git) and elsewhere. It runs plain and
recorded, in turn, in new processes. Measured are the function itself and the whole recorded call: the first call of a
store, and one in a later process, for which the files have not changed. Each figure is the best of several.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
PROCESSES = 3

EXPERIMENT = """
import sys, time
from pathlib import Path
from recorder import record
now = time.perf_counter
inside = 0.0

def read(folder: str, seed: int = 0) -> int:
    global inside
    start, total = now(), 0
    for n in range(FILES):
        with open(f"{folder}/d{n % 100}/f{n}.txt", "rb") as file:
            total += len(file.read())
    inside = now() - start
    return total

recorded = record(read)

@record
def first(seed: int = 0):
    return 0

if __name__ == "__main__":
    first()  # bench_store.py measures the first call of a process
    folder = sys.argv[1]
    read(folder)
    start = now(); read(folder); plain = now() - start
    start = now(); recorded(folder); whole = now() - start
    print(plain, inside, whole)
""".replace("FILES", str(FILES))


def make_files(folder: Path) -> None:
    """Write the files, with time stamps old enough to distinguish them from later changes."""
    for n in range(FILES):
        path = folder / f"d{n % 100}" / f"f{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1024).hex().encode())
        os.utime(path, (1_700_000_000, 1_700_000_000))


def measure(project: Path, folder: Path, *, fresh: bool) -> tuple[float, float, float]:
    """Return the times in one process: the plain call, the recorded function, the recorded call, in seconds."""
    if fresh:
        subprocess.run(["rm", "-rf", str(project / ".recorder")], check=True)
    command = [sys.executable, "exp.py", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    plain, inside, whole = map(float, done.stdout.split())
    return plain, inside, whole


def report(name: str, project: Path, folder: Path, *, fresh: bool) -> None:
    """Return a line of the table."""
    found = [measure(project, folder, fresh=fresh) for _ in range(PROCESSES)]
    plain, inside, whole = (min(one[n] for one in found) for n in range(3))
    print(
        f"| {name} | {plain * 1e3:.0f} ms | {inside * 1e3:.0f} ms | {inside / plain:.2f}"
        f" | {whole * 1e3:.0f} ms | {whole / plain:.2f} |"
    )


def main() -> None:
    """Print the table."""
    print(
        f"{platform.system()} {platform.release()}, {os.cpu_count()} processors, {FILES} files of 2 KB\n"
    )
    print("| | plain | the function, recorded | ratio | the whole call | ratio |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        project, elsewhere = Path(temporary) / "project", Path(temporary) / "elsewhere"
        make_files(project / "data")
        make_files(elsewhere)
        (project / "exp.py").write_text(EXPERIMENT)
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
        for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "files"]):
            subprocess.run([*git, *args], cwd=project, check=True)
        for name, folder in (("in the project", project / "data"), ("elsewhere", elsewhere)):
            report(f"{name}, a new store", project, folder, fresh=True)
            report(f"{name}, again", project, folder, fresh=False)


if __name__ == "__main__":
    main()
