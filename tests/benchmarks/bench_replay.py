"""Measure the cost of a replay: ``python tests/benchmarks/bench_replay.py``.

The replay of a function that does nothing, in a repository of 50 files, is compared with the same script without
recorder, and recorded. Creating the workspace of a snapshot of 5,000 files, the first time and later, is compared with
`git checkout-index` and `cp -a` of the same tree. Each figure is the best of several, measured in turn.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from recorder.replay.workspace.layout import lay_out
from recorder.store.store import RunStore

PROCESSES = 9
FILES = 5_000
PLAIN = """
def nothing(x: int = 1) -> int:
    return x

if __name__ == "__main__":
    nothing()
"""
RECORDED = "from recorder import record\n" + PLAIN.replace("def nothing", "@record\ndef nothing")


def make_repository(root: Path, *, files: int) -> None:
    """Create a committed tree of modules with time stamps old enough to distinguish it from later changes."""
    for number in range(files):
        folder = root / f"package_{number // 250}" / f"part_{number // 50 % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"module_{number}.py").write_text(f"value = {number}\n" * (number % 300 + 10))
    (root / "plain.py").write_text(PLAIN)
    (root / "recorded.py").write_text(RECORDED)
    then = time.time() - 3600
    for path in root.rglob("*"):
        os.utime(path, (then, then))
    git = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *args], check=True)


def best_in_turns(acts: dict[str, Callable[[], object]], *, times: int) -> dict[str, float]:
    """Return the shortest time of each call, in seconds, measured in turn."""
    found: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(times):
        for name, act in acts.items():
            start = time.perf_counter()
            act()
            found[name].append(time.perf_counter() - start)
    return {name: min(taken) for name, taken in found.items()}


def measure_replay(root: Path) -> None:
    """Measure the replay of a function that does nothing."""
    make_repository(root, files=48)

    def run(*args: str) -> Callable[[], object]:
        command = [sys.executable, *args]
        return lambda: subprocess.run(command, cwd=root, check=True, capture_output=True)

    run("recorded.py")()
    run("-m", "recorder", "replay", "1")()
    found = best_in_turns(
        {
            "plain": run("plain.py"),
            "recorded": run("recorded.py"),
            "plan": run("-m", "recorder", "replay", "1", "--plan"),
            "replay": run("-m", "recorder", "replay", "1"),
        },
        times=PROCESSES,
    )
    for name, words in (
        ("recorded", "the script, recorded"),
        ("plan", "recorder replay --plan"),
        ("replay", "recorder replay"),
    ):
        beyond = found[name] - found["plain"]
        say(words, found[name], "the script, plainly", found["plain"], f"{beyond:.3f} s beyond")


def measure_workspace(place: Path) -> None:
    """Measure the workspace of a snapshot of 5,000 files."""
    root = place / "large"
    make_repository(root, files=FILES - 2)
    store = RunStore(place / "store", create=True)
    files = [str(path.relative_to(root)) for path in sorted(root.rglob("*.py"))]
    snapshot = store.snapshots.take(root, files)
    kept, copy = store.path / "workspaces" / snapshot, place / "copy"

    def act(make: Callable[[Path], object]) -> Callable[[], float]:
        def timed() -> float:
            shutil.rmtree(copy, ignore_errors=True)
            start = time.perf_counter()
            make(copy)
            return time.perf_counter() - start

        return timed

    acts = {
        "git": act(lambda dest: store.snapshots.lay_out(snapshot, dest)),
        "cp": act(lambda dest: subprocess.run(["cp", "-a", kept / "tree", dest], check=True)),
        "later": act(lambda dest: lay_out(store, snapshot, dest)),
    }
    first: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(5):
        shutil.rmtree(kept, ignore_errors=True)
        first.append(acts["later"]())
        for name, timed in acts.items():
            taken[name].append(timed())
    best = {name: min(times) for name, times in taken.items()}
    say("workspace of 5,000 files, first", min(first), "git checkout-index", best["git"])
    say("the same, later", best["later"], "git checkout-index", best["git"])
    say("the same, later", best["later"], "cp -a", best["cp"])


def say(what: str, taken_s: float, floor: str, floor_s: float, more: str = "") -> None:
    """Return a line of the table."""
    ratio = f"{taken_s / floor_s:.2f}"
    print(
        f"| {what} | {taken_s:.3f} s | {floor} | {floor_s:.3f} s | {ratio} | {more} |", flush=True
    )


def main() -> None:
    """Print the table."""
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} processors"
    print(f"{machine}, Python {platform.python_version()}\n")
    print("| | | floor | | ratio | |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RECORDER_KEY_FILE"] = f"{folder}/key"
        measure_replay(Path(folder) / "small")
        measure_workspace(Path(folder))


if __name__ == "__main__":
    main()
