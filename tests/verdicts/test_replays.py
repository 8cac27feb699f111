"""Replays of whole programs whose outputs and results hold places, times and durations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import Project

PROGRAM = (Path(__file__).parent / "programs" / "plain_files.py").read_text()
RECORDED = """
    import json, os, time
    from pathlib import Path
    from recorder import log, record

    @record
    def train(lr: float = 0.1):
        begun = time.perf_counter()
        time.sleep(0.01)
        elapsed = time.perf_counter() - begun
        log(loss=lr, elapsed_s=elapsed)
        Path(f"run-{int(time.time())}.json").write_text(json.dumps({"at": os.getcwd(), "loss": lr}))
        return {"loss": lr, "train_runtime": elapsed, "folder": os.path.abspath("out")}

    @record
    def wait(lr: float = 0.1):
        begun = time.perf_counter()
        return {"elapsed": time.perf_counter() - begun}

    @record
    def drift():
        return {"loss": time.perf_counter(), "folder": os.path.abspath("out")}

    @record
    def date():
        return {"runtime": 1e3 + time.perf_counter()}
"""


def replayed(project: Project, *, status: int = 0) -> dict[str, tuple[str, bool]]:
    """Replay the run and return the verdict and the decision of each item."""
    found = json.loads(project.recorder("replay", "1", "--json", status=status).stdout)
    return {item["name"]: (item["verdict"], item["decides"]) for item in found["items"]}


def test_a_recorded_function_with_noise_reproduces(project: Project) -> None:
    """A function that returns its folder and its runtime, and names a file by the time, reproduces."""
    project.write("t.py", RECORDED)
    project.recorder("run", "t.py:train")
    found = replayed(project)
    name = next(name for name in found if name.startswith("run-"))
    assert found[name] == ("equal", True)
    assert found["result"] == ("equal", True)
    assert found["loss"] == ("identical", True)
    assert not found["elapsed_s"][1]


@pytest.mark.parametrize(("name", "status"), [("wait", 4), ("drift", 1), ("date", 1)])
def test_noise_alone_verifies_nothing_and_content_decides(
    project: Project, name: str, status: int
) -> None:
    """A result of durations alone is nothing verified; a loss, or an impossible duration, diverges."""
    project.write("t.py", RECORDED)
    project.recorder("run", f"t.py:{name}")
    replayed(project, status=status)


def test_a_command_with_noise_reproduces(project: Project) -> None:
    """A script under `recorder exec` reproduces although its files hold its folder, times and durations."""
    project.write("plain.py", PROGRAM)
    project.recorder("exec", "--", "python", "plain.py")
    found = replayed(project)
    assert {"epochs.csv", "results.db", "summary.json"} <= {
        name for name, (verdict, decides) in found.items() if verdict == "equal" and decides
    }
