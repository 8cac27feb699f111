"""`recorder log`: what a run printed, of one that has ended and of one in progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Project

from recorder.store.console import follow_console, read_console
from recorder.store.store import Store

SCRIPT = """
    import sys, time
    from pathlib import Path
    from recorder import record

    @record
    def f(steps=2):
        for i in range(steps):
            print("out", i, flush=True)
            print("err", i, file=sys.stderr, flush=True)
            while steps > 2 and not Path(f"go{i}").exists():
                time.sleep(0.02)
        print("the end")

    if __name__ == "__main__":
        f(int(sys.argv[1]))
"""


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while text not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_each_stream_goes_to_its_own(project: Project) -> None:
    """stdout goes to stdout and stderr to stderr; one alone goes to stdout."""
    project.write("f.py", SCRIPT)
    project.python("f.py", "2")
    done = project.recorder("log", "1")
    assert done.stdout == "out 0\nout 1\nthe end\n" and done.stderr == "err 0\nerr 1\n"
    done = project.recorder("log", "1", "--stderr")
    assert done.stdout == "err 0\nerr 1\n" and done.stderr == ""
    assert project.recorder("log", "1", "--stdout", "--follow").stdout == "out 0\nout 1\nthe end\n"


@pytest.mark.skipif(os.name == "nt", reason="runs in progress are told by flock")
def test_a_run_in_progress_is_followed_to_its_end(project: Project) -> None:
    """What is there comes at once, the rest as it is written, and the command ends with the run."""
    project.write("f.py", SCRIPT)
    run = subprocess.Popen([sys.executable, "f.py", "4"], cwd=project.root, env=project.env,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        wait_for(project.root / ".recorder" / "runs.jsonl", "running")
        said, errors = project.root / "said", project.root / "errors"
        with said.open("wb") as out, errors.open("wb") as err:
            command = [sys.executable, "-m", "recorder", "log", "last", "-f"]
            log = subprocess.Popen(
                command, cwd=project.root, env=project.env, stdout=out, stderr=err
            )
        wait_for(said, "out 0")
        assert log.poll() is None and "out 1" not in said.read_text()
        assert project.recorder("log", "1").stdout == "out 0\n"
        (project.root / "go0").touch()
        wait_for(errors, "err 1")
        for i in range(1, 4):
            (project.root / f"go{i}").touch()
        assert log.wait(60) == 0
        assert said.read_text() == "out 0\nout 1\nout 2\nout 3\nthe end\n"
        assert errors.read_text() == "err 0\nerr 1\nerr 2\nerr 3\n"
    finally:
        run.kill()
        run.wait()


@pytest.mark.skipif(os.name == "nt", reason="runs in progress are told by flock")
def test_a_killed_run_has_what_it_had_written(project: Project) -> None:
    """The log of a run that is killed ends, and is there before the repair and after it."""
    project.write("f.py", SCRIPT)
    run = subprocess.Popen([sys.executable, "f.py", "4"], cwd=project.root, env=project.env,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    wait_for(project.root / ".recorder" / "runs.jsonl", "running")
    store = Store(project.root)
    found = follow_console(store, store.get(1), streams=("stdout",))
    assert next(found).data == b"out 0\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert list(found) == []
    for status in ("lost", "lost"):
        record = Store(project.root).get(1)
        assert record.status == status and read_console(store, record, "stdout") == b"out 0\n"
        project.recorder("check", "--repair")
