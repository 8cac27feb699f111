"""The runs that commands take: numbers, ranges, ids, tags, and the options that select."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from project import Project

from recorder.cli.run_selection import RunSelection, find_runs
from recorder.errors import QueryError, RunNotFoundError
from recorder.store.store import RunStore

SCRIPT = """
    from recorder import record, log, save

    @record
    def f(x):
        open("out.txt", "w").write(str(x))
        save("out.txt")
        log(y=x)
        log(y=2 * x)
        if x == 3:
            raise ValueError("three")
        return x

    for x in range(6):
        try:
            f(x)
        except ValueError:
            pass
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with six runs, of which 2 and 5 are tagged, 4 failed, and 6 is in the trash."""
    root = tmp_path_factory.mktemp("selection") / "project"
    root.mkdir()
    project = Project(root)
    project.write("f.py", SCRIPT)
    project.python("f.py")
    project.recorder("tag", "2,5", "paper")
    project.recorder("remove", "6", "--yes")
    return project


@pytest.fixture
def select(project: Project) -> Callable[..., list[int]]:
    """Return the numbers of the selected runs."""

    def select(*refs: str, **options: object) -> list[int]:
        store = RunStore(project.root)
        return [run.number for run in find_runs(store, refs, RunSelection(**options))]  # type: ignore[arg-type]

    return select


def test_names_of_runs(project: Project, select: Callable[..., list[int]]) -> None:
    """Numbers, ranges as they are printed, ids, experiments and tags of several runs each name the runs they should."""
    assert select("3", "1") == [3, 1]
    assert select("2-4") == [2, 3, 4]
    assert select("1,", "3-4") == [1, 3, 4] == select("1,3-4")
    assert select("paper") == [2, 5] and select("paper", "2") == [2, 5]
    assert select("f", "last", "last~1") == [5, 4]
    assert select(RunStore(project.root).get(3).id[:6]) == [3]
    assert select("4-100") == [4, 5]


def test_options_narrow_the_runs(select: Callable[..., list[int]]) -> None:
    """--where, --tag and --failed select among all runs, or among those that are named."""
    assert select(where="x > 1") == [3, 4, 5]
    assert select(tags=("paper",)) == [2, 5] and select(tags=("paper",), where="x > 1") == [5]
    assert select(failed=True) == [4]
    assert select("1-3", tags=("paper",)) == [2] and select("1-4", failed=True) == [4]
    with pytest.raises(RunNotFoundError, match="no run among 1-3 matches --failed"):
        select("1-3", failed=True)
    with pytest.raises(RunNotFoundError, match="no run matches --where 'x > 9' --tag paper"):
        select(where="x > 9", tags=("paper",))
    with pytest.raises(QueryError):
        select(where="nothing > 9")


def test_a_name_of_no_run(project: Project, select: Callable[..., list[int]]) -> None:
    """A range without runs is an error, and so is a run in the trash, which names the command that takes it out."""
    with pytest.raises(RunNotFoundError, match="no run in 7-9"):
        select("7-9")
    with pytest.raises(RunNotFoundError, match="did you mean 1-3"):
        select("3-1")
    for args in (["show", "6"], ["tag", "6", "t"], ["cat", "6:result"], ["replay", "6"]):
        said = project.recorder(*args, status=3).stderr
        assert said == "recorder: run 6 is in the trash; to take it out: recorder remove --undo 6\n"


@pytest.mark.parametrize(
    "where", [["--tag", "paper"], ["2,5"], ["paper"], ["--where", "x in [1, 4]"]]
)
def test_each_command_takes_the_same(project: Project, where: list[str]) -> None:
    """Plot, export, replay, restore, diff, note, tag, untag and remove select the same runs by the same words."""
    name = "t" + "".join(letter for letter in "".join(where) if letter.isalnum())
    assert "runs 2, 5" in project.recorder("export", *where, f"{name}.zip").stdout
    assert project.recorder("plot", *where, "--metric", "y").stdout.count(" run ") == 2
    assert project.recorder("restore", *where, "--to", name).stdout.count(" in ") == 2
    assert (project.root / name / "5" / "out.txt").read_text() == "4"
    found = json.loads(project.recorder("diff", *where, "--json", status=1).stdout)
    assert (found["a"], found["b"]) == (2, 5)
    for command in (["note", *where, "both"], ["tag", *where, name], ["untag", *where, name]):
        assert "runs 2, 5" in project.recorder(*command).stdout
    assert "Remove runs 2, 5?" in project.recorder("remove", *where, status=130).stdout


def test_several_runs_are_replayed_as_a_batch(project: Project) -> None:
    """A range, a tag of several runs and the options replay a batch; one run that is named has its own report."""
    found = json.loads(project.recorder("replay", "1-2", "--json").stdout)
    assert found["counts"] == {"reproduced": 2}
    found = json.loads(project.recorder("replay", "--failed", "--json").stdout)
    assert [one["run"] for one in found["replays"]] == [4]
    assert json.loads(project.recorder("replay", "1", "--json").stdout)["run"] == 1
    for args in (["1-2", "--plan"], ["--tag", "paper", "--set", "x=1"], ["1", "-j", "2"]):
        assert "Error: " in project.recorder("replay", *args, status=2).stderr
    again = project.recorder("remove", "--undo", "6-6")
    assert again.stdout == "taken out of the trash: run 6\n"
    project.recorder("remove", "6", "--yes")


def test_the_store_on_either_side(project: Project) -> None:
    """--store is accepted before and after the command; the one after it wins."""
    store = str(project.root / ".recorder")
    elsewhere = project.root.parent
    for args in (
        ["--store", store, "list"],
        ["list", "--store", store],
        ["--store", "no", "list", "--store", store],
    ):
        assert "run" in project.recorder(*args, cwd=elsewhere).stdout
    assert "no store" in project.recorder("list", cwd=elsewhere, status=3).stderr
    assert "run 3" in project.recorder("show", "3", "--store", store, cwd=elsewhere).stdout
