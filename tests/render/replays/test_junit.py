"""Tests of `recorder replay --junit` and `--json`, which CI reads."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from project import Project

EXPERIMENT = """
    import os, time
    from pathlib import Path
    from recorder import record, log, save

    @record(tolerance={"drift": 0.5})
    def f(mode="fine"):
        replayed = Path("mark").exists() or "workspaces" in os.getcwd()
        log(steady=1.0, drift=1.0 + 0.1 * replayed)
        if mode == "fail" and replayed:
            raise ValueError("only now: \\x01")
        if mode == "nothing":
            return None
        Path("a.csv").write_text("n,v\\n1,2\\n" if mode == "fine" or not replayed else "n,v\\n1,3\\n")
        save("a.csv")
        return {"x": 1}
"""


@pytest.fixture
def experiment(project: Project) -> Project:
    """A project with one experiment whose replay is reproduced or diverges, as its config decides."""
    project.write("exp.py", EXPERIMENT)
    return project


def suite(project: Project) -> ET.Element:
    """Return the only suite of the file, after checking its counts against its cases."""
    root = ET.parse(project.root / "out.xml").getroot()
    (found,) = root.findall("testsuite")
    for name, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        assert int(found.get(name, "-1")) == len(list(found.iter(tag))) == int(root.get(name, "-1"))
    return found


def run(project: Project, *args: str, status: int) -> ET.Element:
    """Record a run and replay it; return the suite."""
    project.recorder("run", "exp.py:f", *args)
    project.recorder("replay", "last", "--junit", "out.xml", status=status)
    return suite(project)


def test_a_test_case_for_each_item(experiment: Project) -> None:
    """Each item is a test case of the experiment; an item that is close within the declared tolerance passes."""
    found = run(experiment, status=0)
    names = {(c.get("classname"), c.get("name")) for c in found.iter("testcase")}
    assert {("f.result", "result"), ("f.output", "a.csv"), ("f.metric", "drift")} <= names
    assert (found.get("failures"), found.get("errors")) == ("0", "0")
    again = json.loads(experiment.recorder("replay", "1", "--json").stdout)
    assert (again["verdict"], again["counts"]["close"]) == ("close", 1)
    (drift,) = [item for item in again["items"] if item["name"] == "drift"]
    assert drift["departure"]["step"] == 0 and drift["tolerance"] == {"rtol": 0.5}
    strict = json.loads(
        experiment.recorder("replay", "1", "--json", "--rtol", "0", status=1).stdout
    )
    assert strict["verdict"] == "diverged"


def test_what_differs_is_a_failure(experiment: Project) -> None:
    """A failure locates the difference."""
    found = run(experiment, "mode=other", status=1)
    (failure,) = found.iter("failure")
    assert "row 1, column v" in (failure.get("message") or "")
    assert found.get("errors") == "0"


def test_a_replay_that_fails_is_an_error(experiment: Project) -> None:
    """An exception of the replay is an error, whatever characters its message has."""
    found = run(experiment, "mode=fail", status=3)
    (error,) = found.iter("error")
    assert "only now" in (error.get("message") or "")


def test_a_changed_config_is_skipped(experiment: Project) -> None:
    """With a changed config there is no verdict, and the only test is skipped."""
    experiment.recorder("run", "exp.py:f")
    experiment.recorder("replay", "last", "--set", "mode=nothing", "--junit", "out.xml")
    assert (suite(experiment).get("tests"), suite(experiment).get("skipped")) == ("1", "1")


def test_nothing_verified_is_an_error(project: Project) -> None:
    """A replay that verified nothing never passes in CI."""
    project.write("exp.py", "from recorder import record\n@record\ndef f(): pass\n")
    found = run(project, status=4)
    assert "nothing verified" in (next(found.iter("error")).get("message") or "")


def test_a_replay_that_cannot_be_done_is_an_error(experiment: Project) -> None:
    """If a replay cannot be done, the file reports it as an error."""
    experiment.recorder("run", "exp.py:f")
    experiment.recorder("replay", "1", "--set", "nothing=1", "--junit", "out.xml", status=2)
    assert "nothing" in (next(suite(experiment).iter("error")).get("message") or "")
    experiment.recorder("replay", "1", "--rtol", "-1", status=2)
