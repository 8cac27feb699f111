"""`recorder replay --repeat`: replays of one run held against it, and against each other."""

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
    """A project with three runs: one that replays, one that reads the clock, one that takes its time."""
    place = tmp_path_factory.mktemp("summing")
    (place / "project").mkdir()
    project = Project(place / "project")
    project.write("total.py", EXPERIMENTS)
    project.write("../numbers.txt", "1 2 3")
    project.python("total.py", "0.2")
    return project


def repeated(project: Project, *args: str, status: int) -> dict:
    """The JSON of the replays."""
    found: dict = json.loads(project.recorder("replay", *args, "--json", status=status).stdout)
    return found


def test_replays_that_agree(summing: Project) -> None:
    """Where all come out alike and as recorded, each is a run, and the sentence says how far that goes."""
    found = repeated(summing, "1", "--repeat", "3", status=0)
    assert found["sentence"] == (
        "the 3 replays agree with each other and with run 1: it is deterministic as far as they show"
    )
    assert (found["deterministic"], found["exit_status"]) == (True, 0)
    numbers = [one["replay"] for one in found["replays"]]
    assert len(set(numbers)) == 3
    assert [one["replay"] for one in found["between"]] == numbers[1:]
    assert {one["verdict"] for one in (*found["between"], *found["replays"])} == {"reproduced"}


def test_an_experiment_that_is_not_deterministic(summing: Project) -> None:
    """What is another in each replay is named, in the table, the sentence and JUnit; the status is 1."""
    done = summing.recorder("replay", "2", "--repeat", "2", "--junit", "out.xml", status=1)
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in done.stdout.splitlines()}
    assert rows["metric", "when"] == ["different"] * 3
    assert rows["metric", "fixed"] == ["identical"] * 3
    last = done.stdout.splitlines()[-2:]
    assert (
        last[0] == "when is not the same in the two replays: this experiment is not deterministic"
    )
    assert last[1].startswith("may be due to: clock: time.time() (total.py:")
    suites = ET.parse(summing.root / "out.xml").getroot().findall("testsuite")
    assert [one.get("failures") for one in suites] == ["1", "1", "1"]
    assert [one.get("tests") for one in suites] == ["4", "4", "1"]


def test_something_that_has_changed_since(summing: Project) -> None:
    """What is the same in all replays, and another in the run, has changed since; beside it what varies."""
    data = summing.root.parent / "numbers.txt"
    data.write_text("1 2 4")
    try:
        found = repeated(summing, "1", "--repeat", "2", "--current-inputs", status=1)
        assert (found["deterministic"], found["changed"]) == (True, ["result"])
        assert "not with run 1 in result" in found["sentence"]
        assert "something has changed since" in found["sentence"]
        both = repeated(summing, "2", "--repeat", "2", "--current-inputs", status=1)
        assert (both["varying"], both["changed"]) == (["when"], ["result"])
        assert (
            "not deterministic; result is the same in all of them and not in run 2"
            in both["sentence"]
        )
    finally:
        data.write_text("1 2 3")


def test_a_changed_config(summing: Project) -> None:
    """Without a run to hold them against, the replays are held against each other alone."""
    found = repeated(summing, "1", "--repeat", "2", "--set", "wait=0.01", status=0)
    assert found["sentence"] == "the two replays agree with each other"
    assert repeated(summing, "1", "--repeat", "2", "--set", "clock=true", status=1)["varying"] == [
        "when"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_ends_them_all(summing: Project) -> None:
    """An interrupted replay is the last one, what there is is told, and the status is 130."""
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
    """How many replays of the run that takes its time there are by now."""
    store = RunStore(project.root / ".recorder")
    return sum(record.replay_of == store.get(3).id for record in store.runs())


def test_the_status_of_several() -> None:
    """Interrupted comes before diverged, that before what could not be done, that before nothing verified."""
    assert worst_status([0, 0]) == 0
    assert worst_status([4, 0]) == 4
    assert worst_status([4, 3, 0]) == 3
    assert worst_status([0, 3, 1, 4]) == 1
    assert worst_status([1, 130]) == 130
