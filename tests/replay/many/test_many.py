"""Tests of `recorder replay --all`: the selection, the summary, and continuing after an interruption."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from project import Project

from recorder.replay.many.many import select_runs
from recorder.replay.many.progress import Batch, Done, note_done, open_batch
from recorder.replay.request import Request
from recorder.store.store import RunStore

EXPERIMENTS = """
    import sys, time
    from recorder import record

    @record(tags=["paper"])
    def good(x: int = 0):
        return part(x) + 1

    @record
    def part(x: int):
        return x * x

    @record(tags=["paper"])
    def clock():
        return time.time()

    @record
    def opened(password: str = "correct horse"):
        return len(password)

    @record
    def nothing():
        pass

    @record
    def bad():
        raise ValueError("as ever")

    @record(tags=["slow"])
    def slow(x: int):
        time.sleep(0.3)  # long enough to be killed while it runs
        return x

    if __name__ == "__main__":
        if sys.argv[1:] == ["slow"]:
            for x in range(6):
                slow(x)
            sys.exit()
        good()
        clock()
        nothing()
        if sys.argv[1:] == ["secret"]:
            opened()
        try:
            bad()
        except ValueError:
            pass
"""


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with runs that reproduce and runs that do not."""
    place = tmp_path_factory.mktemp("paper")
    (place / "project").mkdir()
    project = Project(place / "project")
    project.write("paper.py", EXPERIMENTS)
    project.python("paper.py")
    return project


def all_of(project: Project, *args: str, status: int) -> dict:
    """Replay all runs and return the JSON."""
    done = project.recorder("replay", "--all", *args, "--json", status=status)
    found: dict = json.loads(done.stdout)
    return found


def test_every_finished_run(paper: Project) -> None:
    """Every finished run is replayed once; replays, their nested runs, and failed runs are left out."""
    found = all_of(paper, "-j", "2", "--junit", "out.xml", status=1)
    verdicts = {one["experiment"]: one["verdict"] for one in found["replays"]}
    assert verdicts == {
        "good": "reproduced",
        "part": "reproduced",
        "clock": "diverged",
        "nothing": "nothing verified",
    }
    assert found["left_out"] == {"failed": 1}
    assert [one["exit_status"] for one in found["replays"]] == [0, 0, 1, 4]
    suites = ET.parse(paper.root / "out.xml").getroot().findall("testsuite")
    assert [(one.get("failures"), one.get("errors")) for one in suites] == [
        ("0", "0"), ("0", "0"), ("1", "0"), ("0", "1"),
    ]  # fmt: skip
    again = all_of(paper, "--where", 'experiment == "good" or experiment == "part"', status=0)
    assert [one["run"] for one in again["replays"]] == [one["run"] for one in found["replays"][:2]]
    store = RunStore(paper.root / ".recorder")
    assert len(select_runs(store, with_replays=True).records) > len(select_runs(store).records)
    assert list((store.path / "replays").iterdir()) == []  # the progress is removed


def test_the_table_and_what_is_chosen(paper: Project) -> None:
    """The table has a line for each selected run, and --failed includes failed runs."""
    done = paper.recorder("replay", "--all", "--tag", "paper", "-w", "experiment == 'good'")
    assert done.stdout.splitlines()[-1] == "1 reproduced"
    assert done.stderr.startswith("1/1  run 1 (good)  reproduced (run ")
    failed = all_of(paper, "--failed", "--where", 'status == "failed"', status=0)
    assert [one["verdict"] for one in failed["replays"]] == ["reproduced"]
    none = paper.recorder("replay", "--all", "--tag", "no-such", status=4)
    assert none.stdout == "no run to replay: nothing was verified\n"


def test_secrets_go_to_those_that_need_them(project: Project) -> None:
    """A secret goes to the runs that need it, and a secret that no run needs is a usage error."""
    project.write("paper.py", EXPERIMENTS)
    project.python("paper.py", "secret")
    chosen = ["-w", "experiment == 'opened' or experiment == 'part'"]
    found = all_of(project, *chosen, "--secret", "password=correct horse", status=0)
    assert found["counts"] == {"reproduced": 2}
    refused = all_of(project, *chosen, status=3)
    assert refused["counts"] == {"reproduced": 1, "could not be done": 1}
    assert "password" in refused["replays"][1]["error"]
    given = [*chosen, "--secret", "key=x", "--junit", "wrong.xml"]
    wrong = project.recorder("replay", "--all", *given, status=2)
    assert "none of these runs needs a value for key" in wrong.stderr
    assert ET.parse(project.root / "wrong.xml").getroot().get("errors") == "1"


def test_options_that_do_not_go_together(project: Project) -> None:
    """RUN with --all, neither of them, and options of the other mode are usage errors."""
    for args in (
        ["1", "--all"],
        [],
        ["--all", "--keep-workspace"],
        ["--all", "--repeat", "2"],
    ):
        done = project.recorder("replay", *args, status=2)
        assert "Error: " in done.stderr


def begin(project: Project, *, done: int) -> subprocess.Popen[str]:
    """Start to replay all slow runs, and return when `done` replays are finished."""
    command = [sys.executable, "-m", "recorder", "replay", "--all", "--tag", "slow"]
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    folder = project.root / ".recorder" / "replays"
    while len([path for path in folder.glob("*/*") if len(path.name) == 20]) < done:
        assert process.poll() is None
        time.sleep(0.02)
    return process


def verdicts_of(project: Project) -> list[str]:
    """Return the id of the original run for each replay with a verdict."""
    store = RunStore(project.root / ".recorder")
    return [one.verdict.of for one in store.runs() if one.verdict is not None]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_interrupted_it_goes_on(project: Project) -> None:
    """A command that was killed, and then interrupted, continues and replays no run twice."""
    project.write("paper.py", EXPERIMENTS)
    project.python("paper.py", "slow")
    killed = begin(project, done=2)
    killed.kill()
    killed.communicate()
    deadline = time.monotonic() + 30
    while any((project.root / ".recorder" / "live").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)  # the replay in progress continues to its end
    before = len(verdicts_of(project))
    assert 2 <= before < 6
    interrupted = begin(project, done=before + 1)
    os.kill(interrupted.pid, signal.SIGINT)
    out, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert out.splitlines()[-1] == "interrupted; to resume, give the same command again"
    # Another request is another batch.
    assert all_of(project, "--where", "x == 0", status=0)["replays"][0]["taken_over"] is False
    last = project.recorder("replay", "--all", "--tag", "slow", "--json")
    assert "resuming: " in last.stderr
    found = json.loads(last.stdout)
    assert found["counts"] == {"reproduced": 6}
    assert sum(one["taken_over"] for one in found["replays"]) > before
    of = verdicts_of(project)
    finished = [id for id in of if of.count(id) > 1]
    assert len(set(of)) == 6
    assert (
        len(finished) <= 2 * 2
    )  # that of the other request, and one that was killed between verdict and note
    assert "resuming" not in project.recorder("replay", "--all", "-w", "x == 0").stderr


def test_what_is_taken_over(paper: Project) -> None:
    """Progress is ignored where the replay was removed, is a day old, or had another request."""
    store = RunStore(paper.root / ".recorder")
    record, replay = store.get(1), store.replays(store.get(1))[-1]
    done = Done(original=record.id, replay=replay.id, number=replay.number)

    def take_over(request: Request | None = None, **more: bool) -> dict[str, Done]:
        with open_batch(store, request or Request(), chosen={"tag": "t"}, **more) as batch:
            return batch.taken_over

    with open_batch(store, Request(), chosen={"tag": "t"}) as first:
        note_done(first.path, done)
        other = Batch(store, first.path.name)
        with pytest.raises(Exception, match="another process is replaying the same runs"):
            other.__enter__()
    assert take_over() == {record.id: done}
    assert take_over(Request(rtol=0.1)) == {} and take_over(Request(keep_workspace=True)) == {
        record.id: done
    }
    store.remove([replay.number])
    assert take_over() == {}
    store.restore([replay.number])
    assert take_over() == {record.id: done}
    (first.path / "begun").write_text("2020-01-01T00:00:00+00:00")
    assert take_over() == {}
    note_done(first.path, done)
    assert take_over(restart=True) == {} and take_over(Request(current_inputs=True)) == {}


def test_on_a_terminal_there_is_a_bar(paper: Project, tmp_path: Path) -> None:
    """A terminal shows a progress bar, and keeps the line of a run that diverged."""
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "recorder", "replay", "--all", "-w", "experiment == 'clock'"]
    process = subprocess.Popen(
        command,
        cwd=paper.root,
        env={**paper.env, "TERM": "xterm"},
        stderr=terminal,
        stdout=subprocess.DEVNULL,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:
            break
    os.close(main)
    assert process.wait() == 1
    assert b"1 not reproduced" in shown and b"run 3 (clock)  diverged" in shown
