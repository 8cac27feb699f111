"""Tests of `recorder replay --repeat`: replays compared with the run and with each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from project import Project
from waiting import wait_until

from recorder.replay.many.repetition import worst_status
from recorder.store.store import RunStore

EXPERIMENTS = """
    import os, sys, time
    from recorder import record, log

    @record
    def total(path: str = os.path.abspath("../numbers.txt"), clock: bool = False, wait: float = 0):
        time.sleep(wait)
        with open(path) as file:
            found = sum(map(int, file.read().split()))
        log(fixed=1.0)
        if clock:
            log(when=time.time())
        return found

    if __name__ == "__main__":
        total()
        total(clock=True)
        total(wait=float(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def summing(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with three runs: deterministic, with the time as a metric, and slow."""
    place = tmp_path_factory.mktemp("summing")
    (place / "project").mkdir()
    project = Project(place / "project")
    project.write("total.py", EXPERIMENTS)
    project.write("../numbers.txt", "1 2 3")
    project.python("total.py", "0.2")
    return project


def repeated(project: Project, *args: str, status: int) -> dict:
    """Replay several times and return the JSON."""
    found: dict = json.loads(project.recorder("replay", *args, "--json", status=status).stdout)
    return found


def test_replays_that_agree(summing: Project) -> None:
    """Replays that agree with each other and the run are reported as apparently deterministic."""
    found = repeated(summing, "1", "--repeat", "3", status=0)
    assert found["sentence"] == (
        "the 3 replays agree with each other and with run 1: the experiment appears deterministic"
    )
    assert (found["deterministic"], found["exit_status"]) == (True, 0)
    numbers = [one["replay"] for one in found["replays"]]
    assert len(set(numbers)) == 3
    assert [one["replay"] for one in found["between"]] == numbers[1:]
    assert {one["verdict"] for one in (*found["between"], *found["replays"])} == {"reproduced"}


def test_an_experiment_that_is_not_deterministic(summing: Project) -> None:
    """A varying metric is named in the table, the sentence, and JUnit, and the exit status is 1."""
    done = summing.recorder("replay", "2", "--repeat", "2", "--junit", "out.xml", status=1)
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in done.stdout.splitlines()}
    assert rows["metric", "when"] == ["different"] * 3
    assert rows["metric", "fixed"] == ["identical"] * 3
    last = done.stdout.splitlines()[-2:]
    assert last[0] == "when differs between the two replays: this experiment is not deterministic"
    assert last[1].startswith("may be due to: clock: time.time() (total.py:")
    suites = ET.parse(summing.root / "out.xml").getroot().findall("testsuite")
    assert [one.get("failures") for one in suites] == ["1", "1", "1"]
    assert [one.get("tests") for one in suites] == ["4", "4", "1"]


def test_something_that_has_changed_since(summing: Project) -> None:
    """An item that all replays share, and the run does not, has changed; varying items are named separately."""
    data = summing.root.parent / "numbers.txt"
    data.write_text("1 2 4")
    try:
        found = repeated(summing, "1", "--repeat", "2", "--current-inputs", status=1)
        assert (found["deterministic"], found["changed"]) == (True, ["result"])
        assert "but not with run 1 in result" in found["sentence"]
        assert "something has changed since" in found["sentence"]
        both = repeated(summing, "2", "--repeat", "2", "--current-inputs", status=1)
        assert (both["varying"], both["changed"]) == (["when"], ["result"])
        assert (
            "not deterministic; result is the same in all replays and not in run 2"
            in both["sentence"]
        )
    finally:
        data.write_text("1 2 3")


def test_a_changed_config(summing: Project) -> None:
    """Replays with a changed config are compared with each other only."""
    found = repeated(summing, "1", "--repeat", "2", "--set", "wait=0.01", status=0)
    assert found["sentence"] == "the two replays agree with each other"
    assert repeated(summing, "1", "--repeat", "2", "--set", "clock=true", status=1)["varying"] == [
        "when"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C works differently there")
def test_ctrl_c_ends_them_all(summing: Project) -> None:
    """Ctrl-C ends all replays, and the exit status is 130."""
    command = [sys.executable, "-m", "recorder", "replay", "3", "--repeat", "100"]
    process = subprocess.Popen(
        command,
        cwd=summing.root,
        env=summing.env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: count_replays(summing) >= 2)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert count_replays(summing) < 50
    assert RunStore(summing.root / ".recorder").find("last-replay").status == "interrupted"


def count_replays(project: Project) -> int:
    """Return the number of replays of the slow run."""
    store = RunStore(project.root / ".recorder")
    return sum(record.replay_of == store.get(3).id for record in store.runs())


def test_the_status_of_several() -> None:
    """The worst status is the first of interrupted, diverged, could not be done, and nothing verified."""
    assert worst_status([0, 0]) == 0
    assert worst_status([4, 0]) == 4
    assert worst_status([4, 3, 0]) == 3
    assert worst_status([0, 3, 1, 4]) == 1
    assert worst_status([1, 130]) == 130
