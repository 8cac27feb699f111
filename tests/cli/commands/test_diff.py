"""`recorder diff`: two runs, several, and a run compared with the working tree."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from project import Project

from recorder.compare.direction import Directions

TRAIN = """
from pathlib import Path
from recorder import record, log
from lib import double

@record
def train(lr=0.1, layers=({"n": 8}, {"n": 4}), seed=0):
    "Train."
    data = float(Path("data.txt").read_text())
    for step in range(3):
        log(loss=data / lr / (step + 1), step=step)
    log(speed=lr)
    return {"final": double(lr), "same": [1, 2]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with three runs of different configs, and committed code."""
    root = tmp_path_factory.mktemp("diff") / "project"
    root.mkdir()
    project = Project(root)
    project.write("train.py", TRAIN)
    project.write("lib.py", "def double(x):\n    return 2 * x\n")
    project.write("data.txt", "1.5")
    project.write(".gitignore", "__pycache__\n")
    project.write(
        "go.py",
        """
        from train import train
        train()
        train(lr=0.5, layers=({"n": 8}, {"n": 16}))
        train(lr=0.5)
        """,
    )
    project.commit()
    project.python("go.py")
    return project


@pytest.fixture
def changed(project: Project) -> Project:
    """Return the project with the function and another file edited; restore them afterwards."""
    before = {name: (project.root / name).read_text() for name in ("train.py", "lib.py")}
    for name, (old, new) in {
        "train.py": ("(step + 1)", "(step + 2)"),
        "lib.py": ("2 * x", "x + x"),
    }.items():
        (project.root / name).write_text(before[name].replace(old, new))
    yield project  # type: ignore[misc]
    for name, text in before.items():
        (project.root / name).write_text(text)


def files_of(store: Path) -> dict[str, tuple[int, int]]:
    """Return size and modification time of every file in the store."""
    return {
        str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in store.rglob("*") if p.is_file()
    }


def test_two_runs(project: Project) -> None:
    """Lists are compared item by item, numbers have a ratio, metrics are better or worse, and differences exit with 1."""
    said = project.recorder("diff", "1", "2", status=1).stdout
    lines = [line.split() for line in said.splitlines()]
    assert ["~", "lr", "0.1", "0.5", "x", "5"] in lines
    assert ["~", "layers[1].n", "4", "16", "x", "4"] in lines
    assert next(line for line in lines if "loss" in line)[-1] == "better"
    assert next(line for line in lines if "speed" in line)[-1] not in ("better", "worse")
    assert "run 1 and run 1: nothing differs" in project.recorder("diff", "1", "1").stdout
    worse = project.recorder(
        "diff", "1", "--to", "2", "--maximize", "loss", "--minimize", "speed", status=1
    )
    assert worse.stdout.count(" worse") == 2 and " better" not in worse.stdout


def test_json_of_two_runs(project: Project) -> None:
    """The JSON keeps its names and nesting: a, b, same, sections, and the fields of an entry."""
    found = json.loads(project.recorder("diff", "1", "2", "--json", status=1).stdout)
    assert list(found) == ["a", "b", "same", "sections"]
    assert (found["a"], found["b"], found["same"]) == (1, 2, False)
    assert list(found["sections"]) == [
        "experiment", "config", "code", "environment", "seed", "inputs", "metrics", "outputs", "result", "status",
        "redacted",
    ]  # fmt: skip
    assert found["sections"]["config"] == [
        {"key": "lr", "change": "changed", "left": 0.1, "right": 0.5, "left_text": "0.1", "right_text": "0.5", "ratio": 5.0},
        {"key": "layers[1].n", "change": "changed", "left": 4, "right": 16, "left_text": "4", "right_text": "16", "ratio": 4.0},
    ]  # fmt: skip
    (final,) = found["sections"]["result"]
    assert (final["key"], final["left"], final["right"]) == ("final", 0.2, 1.0)
    loss = next(one for one in found["sections"]["metrics"] if one["key"] == "loss")
    assert loss["better"] is True and loss["note"] == "-4 (-80.0%)"


def test_several_runs(project: Project) -> None:
    """Several runs give a table of the values that vary, one column per run, and the same as JSON."""
    said = project.recorder("diff", "1", "2", "3", "--only", "config", status=1).stdout
    rows = [line.split() for line in said.splitlines()]
    assert rows[:1] + rows[2:4] == [
        ["config"],
        ["lr", "0.1", "0.5", "0.5"],
        ["layers[1].n", "4", "16", "4"],
    ]
    found = json.loads(project.recorder("diff", "1", "2", "3", "--json", status=1).stdout)
    assert list(found) == ["runs", "same", "sections"] and found["runs"] == [1, 2, 3]
    assert found["sections"]["result"] == [
        {"key": "result.final", "values": [0.2, 1.0, 1.0], "texts": ["0.2", "1.0", "1.0"]}
    ]
    assert [row["key"] for row in found["sections"]["metrics"]] == ["loss", "speed"]
    assert "nothing varies" in project.recorder("diff", "2", "2", "2").stdout
    for args in (["1-3"], ["--where", "number < 4"]):
        again = json.loads(project.recorder("diff", *args, "--json", status=1).stdout)
        assert again == found


def test_nothing_has_changed_since(project: Project) -> None:
    """A run does not differ from an untouched working tree, also from a subfolder, and nothing is written."""
    before = files_of(project.root / ".recorder")
    assert project.recorder("diff", "1", ".").stdout == "run 1 and now: nothing differs\n"
    (project.root / "sub").mkdir(exist_ok=True)
    project.recorder("diff", "1", ".", cwd=project.root / "sub")
    assert project.recorder("diff", ".").stdout == "run 3 and now: nothing differs\n"
    assert files_of(project.root / ".recorder") == before


def test_what_has_changed_since(changed: Project) -> None:
    """Edited code, a changed input and a new file are listed; sections that only a run has are not."""
    (changed.root / "data.txt").write_text("2.5")
    changed.write("new.py", "")
    try:
        found = json.loads(changed.recorder("diff", "1", ".", "--json", status=1).stdout)
    finally:
        (changed.root / "data.txt").write_text("1.5")
        (changed.root / "new.py").unlink()
    assert (found["b"], list(found["sections"])) == (0, ["code", "environment", "inputs"])
    code = {(one["key"], one["change"]) for one in found["sections"]["code"]}
    assert {("source", "changed"), ("file lib.py", "changed"), ("file new.py", "added")} <= code
    assert [one["key"] for one in found["sections"]["inputs"]] == ["data.txt"]
    assert found["sections"]["environment"] == []


def test_the_code_line_by_line(changed: Project) -> None:
    """The experiment's function comes first; its file is not repeated if nothing else in it differs."""
    said = changed.recorder("diff", "1", ".", "--code", status=1).stdout
    assert said.index("train (train.py)") == 0 < said.index("\nlib.py\n")
    assert "-        log(loss=data / lr / (step + 1), step=step)\n" in said
    assert "+    return x + x" in said and "\x1b" not in said and "\ntrain.py\n" not in said
    assert changed.recorder("diff", "1", "2", "--code").stdout == "the code is the same\n"


def test_the_code_of_a_terminal_has_colours() -> None:
    """Lines are green and red, Python keywords bold, and control characters are escaped."""
    from recorder.render.differences.patch import _hunks

    said = list(_hunks("a = 1\n", "if a:  # why\n    b = 'x\x1b[2J'\n", name="f.py"))
    assert said[1] == click.style("-", fg="red") + click.style("a = 1", fg="red")
    assert click.style("if", fg="green", bold=True) in said[2]
    assert "\x1b[2J" not in "".join(said) and "\\x1b[2J" in click.unstyle("".join(said))
    assert list(_hunks("a\r\n", "a\n", name="f.txt")) == ["  only line endings differ"]


@pytest.mark.parametrize(
    "args",
    [[], ["1"], [".", "1"], ["1", "2", "."], ["1", ".", "--only", "metrics"], ["1", "2", "--code", "--json"]],
)  # fmt: skip
def test_wrong_usage(project: Project, args: list[str]) -> None:
    """A comparison without meaning exits with 2 and one sentence."""
    done = project.recorder("diff", *args, status=2)
    assert "Error: " in done.stderr and not done.stdout


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("loss", "down"), ("val/loss", "down"), ("valLoss", "down"), ("test_rmse", "down"), ("accuracy", "up"),
        ("val.f1", "up"), ("r2", "up"), ("brier_score", "down"), ("neg_mean_squared_error", "up"), ("lossless", None),
        ("lr", None), ("epoch", None),
    ],
)  # fmt: skip
def test_which_way_is_better(name: str, way: str | None) -> None:
    """The words of a metric's name decide which direction is better, unless a person decides."""
    assert Directions().of(name) == way
    assert Directions(minimize=[name]).of(name) == "down"
    assert Directions(maximize=[name]).is_better(name, 1, 2.5) is True
    assert Directions(maximize=[name]).is_better(name, 1, {"$float": "nan"}) is None
