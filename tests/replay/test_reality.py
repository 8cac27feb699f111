"""Tests with real programs (tests/programs): each is recorded and replayed, and every item must be identical."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import pytest
from project import ROOT, Project

PROGRAMS = ROOT / "tests" / "programs"

# The commands of each group of programs, and its requirements: packages, or a compiler.
_NOTEBOOK = "from nbclient.cli import NbClientApp; NbClientApp.launch_instance()"
_NETWORKS = "import characters, network; network.train(); characters.characters()"
_PLAIN = ("options", "crawler", "ising", "bootstrap")
RUN: dict[str, tuple[list[list[str]], tuple[str, ...]]] = {
    "estimators": ([["python", "estimators.py"]], ("sklearn",)),
    "networks": ([["python", "-c", _NETWORKS]], ("torch",)),
    "pipeline": ([["python", "orders.py"]], ("pandas", "pyarrow")),
    "plain": ([["python", f"{name}.py"] for name in _PLAIN], ("numpy",)),
    "notebook": ([["python", "-c", _NOTEBOOK, "fit.ipynb"]], ("nbclient", "ipykernel", "scipy")),
    "command": ([["recorder", "exec", "--", "./simulate.sh", "20000"]], ("cc",)),
}


class Reality:
    """A project with the programs that can run on this machine, and the results of their replays."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.status = 0
        self._replays: list[dict[str, Any]] = []
        self._there = {group for group, (_, needs) in RUN.items() if all(map(_is_there, needs))}

    def record(self) -> None:
        """Record the programs of every group."""
        for group, (commands, _) in RUN.items():
            for command in commands if group in self._there else ():
                run = self.project.python if command[0] == "python" else self.project.recorder
                run(*command[1:])

    def replay(self) -> None:
        """Replay all runs, two at a time."""
        done = self.project.recorder("replay", "--all", "-j", "2", "--json", status=None)
        self.status = done.returncode
        self._replays = json.loads(done.stdout)["replays"]

    def check(self, group: str, expected: Mapping[str, set[str]], *, runs: int) -> list[int]:
        """Assert that each run reproduced with exactly the expected items, all identical; return the run numbers."""
        if group not in self._there:
            pytest.skip(f"one of {', '.join(RUN[group][1])} is not installed")
        replays = [one for one in self._replays if one["experiment"] in expected]
        assert {one["experiment"] for one in replays} == set(expected) and len(replays) == runs
        for one in replays:
            assert one["verdict"] == "reproduced", one
            found = {item["name"]: item["verdict"] for item in one["items"]}
            assert set(found) == expected[one["experiment"]], one["experiment"]
            assert set(found.values()) == {"identical"}, found
        return [one["run"] for one in replays]


def _is_there(name: str) -> bool:
    return shutil.which(name) is not None if name == "cc" else find_spec(name) is not None


@pytest.fixture(scope="module")
def reality(tmp_path_factory: pytest.TempPathFactory) -> Reality:
    """Record all programs in one repository, and replay them in parallel."""
    root = tmp_path_factory.mktemp("reality") / "project"
    shutil.copytree(PROGRAMS, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "shops.csv").write_text("shop,town\n0,a\n1,b\n2,a\n3,c\n")
    project = Project(root)
    project.commit()
    reality = Reality(project)
    reality.record()
    reality.replay()
    return reality


def test_scikit_learn(reality: Reality) -> None:
    """Scikit-learn programs reproduce: a threaded forest, boosting, a grid search, and k-means."""
    saved = {"forest.joblib", "confusion", "importances", "predictions.csv", "scores", "clusters.npz"}  # fmt: skip
    (run,) = reality.check("estimators", {"estimators": {"result", "mse", *saved}}, runs=1)
    # Entropy and processes that the libraries use internally are no hazards.
    assert {one["kind"] for one in reality.project.show(run)["hazards"]} <= {"threads"}


@pytest.mark.torch
def test_networks(reality: Reality) -> None:
    """PyTorch programs reproduce: a network with two data workers and a checkpoint, and a character model."""
    train = {"result", "checkpoint.pt", "loss", "lr"}
    reality.check(
        "networks", {"train": train, "characters": {"result", "sample.txt", "loss"}}, runs=2
    )


def test_a_pipeline(reality: Reality) -> None:
    """A pandas pipeline with untracked inputs reproduces while other replays run.

    No hook sees the files that pyarrow writes. They are found by scanning the workspace, which no other replay uses.
    """
    report = {"result", "towns.csv", "weeks.parquet", "sample.jsonl", "missing"}
    first, _ = reality.check("pipeline", {"report": report}, runs=2)
    read = {item["path"] for item in reality.project.show(first)["inputs"]}
    assert read == {"orders.parquet", "shops.csv"}


def test_plain_python(reality: Reality) -> None:
    """Plain Python programs reproduce: two kinds of process pools, async tasks, a stateful object, a bare script."""
    expected = {
        "price": {"result", "payoffs", "paths", "mean"},
        "crawl": {"result", "moved"},
        "Magnet.sweep": {"result", "spins", "magnetization"},
        "bootstrap": {"result", "interval.txt", "mean"},
    }
    forked, spawned, *_ = reality.check("plain", expected, runs=7)
    first, second = (reality.project.show(run) for run in (forked, spawned))
    assert first["result"] == second["result"]
    children = [{h["place"] for h in r["hazards"] if h["kind"] == "child process"} for r in (first, second)]  # fmt: skip
    assert children[0] == children[1] and len(children[0]) == 1


def test_a_notebook(reality: Reality) -> None:
    """A notebook that nbclient executes reproduces: two calls of a function that exists only in a cell."""
    first, _ = reality.check("notebook", {"fit": {"result", "fits.npy", "rate", "stdout"}}, runs=2)
    assert {one["kind"] for one in reality.project.show(first)["hazards"]} <= {"threads"}


def test_a_command_line(reality: Reality) -> None:
    """A shell script that compiles and runs a program reproduces; the replay compiles it again."""
    files = {"nbody", "path.csv", "farthest.txt"}
    reality.check("command", {"simulate.sh": {"result", "stdout", *files}}, runs=1)


def test_all_came_out(reality: Reality) -> None:
    """The exit status of `replay --all` is 0 where every run reproduced."""
    assert reality.status == 0
