"""Tests of groups of runs, and of the summary lines of `recorder list`."""

from __future__ import annotations

import csv
import io
import json
import statistics

import pytest
from project import Project

from recorder.compare.groups import group, in_order
from recorder.store.query.fields import parse_key
from recorder.store.store import RunStore


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Record two experiments over a grid with seeds; some runs fail."""
    root = tmp_path_factory.mktemp("groups") / "project"
    root.mkdir()
    project = Project(root)
    project.write(
        "sweep.py",
        """
        from recorder import record, log

        @record
        def train(lr, kind="adam", width=3, seed=0):
            log(accuracy=lr * 10 + seed / 100)
            if lr == 0.5:
                raise ValueError("diverged")

        @record
        def other(text):
            log(score=float("nan"))

        for seed in range(3):
            for lr in (0.1, 0.02, 0.5):
                for kind in ("adam", "sgd"):
                    try:
                        train(lr, kind, seed=seed)
                    except ValueError:
                        pass
        other("a\\x1b[31mb")
        """,
    )
    project.python("sweep.py")
    return project


def test_means_over_the_finished_runs(runs: Project) -> None:
    """A group has the mean, sample deviation, minimum and maximum of each metric of its finished runs."""
    groups = group(RunStore(runs.root).runs(where='experiment == "train"'), [parse_key("lr")])
    assert [(one.values, len(one.runs), one.finished) for one in groups] == [
        ((0.02,), 6, 6), ((0.1,), 6, 6), ((0.5,), 6, 0)
    ]  # fmt: skip
    spread = groups[1].metrics["accuracy"]
    values = [1 + seed / 100 for seed in range(3) for _ in range(2)]
    assert spread.runs == 6 and spread.mean == pytest.approx(statistics.mean(values))
    assert spread.deviation == pytest.approx(statistics.stdev(values))
    assert (spread.min, spread.max) == (1.0, 1.02) and groups[2].metrics == {}


def test_the_table_has_one_line_per_group(runs: Project) -> None:
    """The table shows the values, the number of runs, the means with deviations, and the run numbers."""
    said = runs.recorder("list", "-e", "train", "--group-by", "lr,kind").stdout.splitlines()
    assert said[0].split() == ["lr", "kind", "runs", "finished", "accuracy", "numbers"]
    assert said[1].split() == ["0.02", "adam", "3", "3", "0.210", "±", "0.010", "3,", "9,", "15"]
    assert len(said) == 7
    best = runs.recorder("list", "-g", "lr", "-s", "-accuracy", "-n", "1", "-e", "train").stdout
    assert best.splitlines()[1].split()[0] == "0.1"


def test_groups_for_programs(runs: Project) -> None:
    """CSV and JSON contain the same figures unrounded; runs without a value form the last group."""
    found = json.loads(runs.recorder("list", "-g", "lr", "--json").stdout)
    assert [one["group"]["lr"] for one in found] == [0.02, 0.1, 0.5, None]
    assert found[0]["runs"] == [3, 4, 9, 10, 15, 16]
    assert found[0]["metrics"]["accuracy"]["mean"] == pytest.approx(0.21)
    rows = list(csv.DictReader(io.StringIO(runs.recorder("list", "-g", "lr", "--csv").stdout)))
    assert float(rows[0]["metrics.accuracy.mean"]) == found[0]["metrics"]["accuracy"]["mean"]
    assert rows[2]["finished"] == "0" and rows[2]["metrics.accuracy.mean"] == ""


def test_values_have_an_order() -> None:
    """NaN, numbers, strings, lists and None can be sorted together."""
    values = [None, "b", [2], 3, float("nan"), True, "a"]
    assert [str(v) for v in sorted(values, key=in_order)] == [
        "nan", "True", "3", "a", "b", "[2]", "None"
    ]  # fmt: skip


def test_constant_values_are_shown_once(runs: Project) -> None:
    """Values that are the same in all runs, or in all runs of an experiment, are shown above the table."""
    said = runs.recorder("list", "-e", "train", "--where", "lr < 0.5").stdout.splitlines()
    assert said[0] == "all: experiment=train  status=finished  width=3"
    assert said[1].split() == ["run", "age", "duration", "lr", "kind", "seed", "accuracy"]
    both = runs.recorder("list").stdout.splitlines()
    assert both[:2] == ["train: width=3", "other: text='a\\x1b[31mb'"]
    assert "experiment" in both[2] and "width" not in both[2]
    one = runs.recorder("list", "-n", "1").stdout.splitlines()
    assert one[0].startswith("run") and "text" in one[0]


def test_a_long_table_is_cut(project: Project) -> None:
    """A long table shows the newest runs and states the total; --all, CSV and JSON show all of them."""
    project.write(
        "many.py",
        "from recorder import record\n\n@record\ndef f(x): pass\n\nfor x in range(52): f(x)\n",
    )
    project.python("many.py")
    said = project.recorder("list").stdout.splitlines()
    assert said[-1] == "the newest 50 of 52 runs; --all lists them all"
    assert said[2].split()[0] == "3" and len(said) == 53
    said = project.recorder("list", "-s", "-x", "-w", "x >= 0").stdout.splitlines()
    assert said[-1] == "the first 50 of 52 runs; --all lists them all"
    assert len(project.recorder("list", "--all").stdout.splitlines()) == 54
    assert len(project.recorder("list", "-n", "51").stdout.splitlines()) == 53
    assert len(json.loads(project.recorder("list", "--json").stdout)) == 52


def test_an_empty_store_says_how_to_begin(project: Project) -> None:
    """A store without runs, and a missing store, are reported in one line."""
    RunStore(project.root / ".recorder", create=True)
    assert project.recorder("list").stdout.startswith("no runs yet in ")
    assert "no store in" in project.recorder("list", status=3, cwd=project.root.parent).stderr
