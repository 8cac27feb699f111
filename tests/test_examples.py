"""Tests that the examples run as they document, and that their runs are reproduced.

network.py is part of the README's first command, which test_readme.py runs and replays.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import Project, bin_folder

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def tour(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A repository that contains the examples, in which `python` and `recorder` are commands."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(EXAMPLES, project.root / "examples", ignore=ignored)
    shutil.copy(EXAMPLES.parent / ".gitignore", project.root)
    project.commit()
    project.env["PATH"] = f"{bin_folder(tmp_path)}{os.pathsep}{project.env['PATH']}"
    yield project
    assert project.git("status", "--porcelain") == "", "an example left files in the clone"


def test_each_example_is_in_the_tour() -> None:
    """The list in examples/README.md names every example and nothing else."""
    there = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert there == {
        line.split("(")[1].split(")")[0]
        for line in (EXAMPLES / "README.md").read_text().splitlines()
        if line.startswith("| [")
    }


def test_a_classifier(tour: Project) -> None:
    """The classifier runs from the command line with a config, and its replay is identical."""
    pytest.importorskip("sklearn")
    tour.recorder("run", "examples/tuning.py:tune", "images=300")
    assert replay(tour) == {"result", "confusion", "accuracy", "train_accuracy"}


@pytest.mark.torch
def test_a_network_resumes_from_a_checkpoint(tour: Project) -> None:
    """A run that resumes from a checkpoint ends like an uninterrupted one, has it as an input, and replays."""
    pytest.importorskip("sklearn")
    tour.write(
        "both.py",
        """
        from pathlib import Path
        from examples.convnet import train

        train(images=300)
        train(images=300, resume=Path("outputs/epoch-1.pt"))
        """,
    )
    tour.commit()
    tour.python("both.py")
    straight, resumed = ({o["name"]: o for o in tour.show(run)["outputs"]} for run in (1, 2))
    assert list(straight) == ["outputs/epoch-1.pt", "outputs/epoch-2.pt"]
    assert list(resumed) == ["outputs/epoch-2.pt"]
    last = "outputs/epoch-2.pt"
    assert straight[last]["digest"] == resumed[last]["digest"]
    assert "outputs/epoch-1.pt" in [one["path"] for one in tour.show(2)["inputs"]]
    shutil.rmtree(tour.root / "outputs")
    assert replay(tour, 2) == {"result", last, "loss", "accuracy"}


def test_a_command_line(tour: Project) -> None:
    """A script without recorder is recorded by `recorder exec` and replays with its seed."""
    command = ["python", "examples/epidemic.py", "--days", "20"]
    tour.recorder("exec", "--name", "epidemic", "--", *command)
    shown = tour.recorder("cat", "last:outputs/epidemic.csv").stdout
    assert (
        shown == (tour.root / "outputs/epidemic.csv").read_text() and len(shown.splitlines()) == 21
    )
    assert replay(tour) == {"result", "outputs/epidemic.csv"}


def test_the_notebook(tour: Project) -> None:
    """The notebook runs from top to bottom, displays tables and a drawing, and its runs replay from the command line."""
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    here = {"metadata": {"path": str(tour.root)}}
    NotebookClient(notebook, timeout=120, resources=here).execute(env=tour.env)
    shown = [
        cell.outputs[0].data for cell in notebook.cells if cell.cell_type == "code" and cell.outputs
    ]
    kinds = ["<table" if "<table" in data["text/html"] else "<svg" for data in shown]
    assert kinds == ["<table", "<svg", "<table", "<table", "<table", "<table"]
    assert shown[4]["text/plain"].endswith("reproduced")
    assert replay(tour, "walk~1") == {"result", "place"}


def test_a_result_that_another_user_replays(tour: Project) -> None:
    """An exported run is imported and reproduced in an empty folder, by a user with another key."""
    done = subprocess.run(
        ["sh", "examples/share.sh"], cwd=tour.root, env=tour.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "reproduced"
    assert tour.show("paper")["number"] == 1 and "paper.zip: run 1" in done.stdout


def replay(project: Project, run: str | int = "last") -> set[str]:
    """Replay the run; return the names of the items that decide, all of which must be identical."""
    found = json.loads(project.recorder("replay", str(run), "--json").stdout)
    assert found["verdict"] == "reproduced"
    deciding = {item["name"]: item["verdict"] for item in found["items"] if item["decides"]}
    assert set(deciding.values()) == {"identical"}
    return set(deciding)
