"""Tests of `recorder logs` for finished runs and runs in progress."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from project import ROOT, Project

import recorder
from recorder.store.content.console import follow_console, read_console, read_printed
from recorder.store.store import RunStore

FROZEN = ROOT / "tests" / "formats" / "format-1.zip"
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


MANY = """
    import os, subprocess, sys, time
    from recorder import record

    @record
    def many():
        print("begun ", end="", flush=True)
        time.sleep(0.2)  # as all of these sleeps: the index must have the time between lines
        print("out of C", file=sys.stderr, flush=True)
        time.sleep(0.2)
        print("and ended", flush=True)
        time.sleep(0.2)
        subprocess.run(["sh", "-c", "echo child >&2; sleep 0.2; printf '\\r50%%'; sleep 0.2; printf '\\r99%%\\n'"])
        time.sleep(0.2)
        os.write(2, b"stderr before\\n")
        os.write(1, b"stdout\\n")
        time.sleep(0.2)
        for number in range(50_000):
            os.write(1, b"line %d to stdout\\n" % number)
            os.write(2, b"line %d to stderr\\n" % number)
            if number < 1500:
                time.sleep(0.0001)

    if __name__ == "__main__":
        many()
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with a run that printed little, and one that printed much."""
    root = tmp_path_factory.mktemp("log") / "project"
    root.mkdir()
    project = Project(root)
    project.write("f.py", SCRIPT)
    project.write("many.py", MANY)
    project.python("f.py", "2")
    project.python("many.py")
    return project


def test_each_stream_goes_to_its_own(printed: Project) -> None:
    """stdout goes to stdout and stderr to stderr; a single selected stream goes to stdout."""
    done = printed.recorder("logs", "1")
    assert done.stdout == "out 0\nout 1\nthe end\n" and done.stderr == "err 0\nerr 1\n"
    done = printed.recorder("logs", "1", "--stderr")
    assert done.stdout == "err 0\nerr 1\n" and done.stderr == ""
    assert printed.recorder("logs", "1", "--stdout", "--follow").stdout == "out 0\nout 1\nthe end\n"


def test_the_streams_are_in_the_order_in_which_they_came(printed: Project) -> None:
    """On one terminal the lines are in order, those of child processes too, each with the time of its beginning."""
    command = [sys.executable, "-m", "recorder", "logs", "2", "-t"]
    done = subprocess.run(command, cwd=printed.root, env=printed.env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=True)  # fmt: skip
    lines = re.findall(rb" *\+([0-9.]+)  (.*?)(\r|\n)", done.stdout)
    assert [text for _, text, _ in lines][:7] == [
        b"begun and ended", b"out of C", b"child", b"50%", b"99%", b"stderr before", b"stdout",
    ]  # fmt: skip
    assert lines[3][2] == b"\r" and b"line 49999 to stderr" in done.stdout
    times = [float(seconds) for seconds, _, _ in lines]
    assert times == sorted(times) and times[2] - times[0] > 0.3 and times[6] - times[2] > 0.3
    record = recorder.Store(printed.root)[2]
    assert [(f"{t:.3f}", text) for t, _, text in record.console()][:5] == [
        (seconds.decode(), text.decode()) for seconds, text, _ in lines[:5]
    ]
    moment = (record.started + timedelta(seconds=times[0])).isoformat(timespec="milliseconds")
    said = printed.recorder("logs", "2", "--utc", "--stdout").stdout
    assert said.startswith(moment.removesuffix("+00:00")[:-1])


def test_the_index_is_small_and_part_of_the_run(printed: Project, project: Project) -> None:
    """The index of 100,000 lines is small, and is checked, exported and imported with its run."""
    store = RunStore(printed.root)
    record = store.get(2)
    assert record.arrivals is not None and record.stdout is not None and record.stderr is not None
    size_bytes = store.objects.size(record.arrivals.digest)
    assert store.read(record.arrivals.digest).startswith(b"\x1f\x8b")
    assert size_bytes < 0.03 * (record.stdout.size_bytes + record.stderr.size_bytes)
    assert "everything is as it was" in printed.recorder("check").stdout
    printed.recorder("export", "2", str(project.root / "runs.zip"))
    project.recorder("import", "runs.zip")
    for options in (["-t"], ["--utc", "--stderr"]):
        there, here = (p.recorder("logs", "many", *options) for p in (printed, project))
        assert (there.stdout, there.stderr) == (here.stdout, here.stderr) != ("", "")


def test_a_run_without_times(project: Project) -> None:
    """A run without an index is printed one stream after the other, without times."""
    shutil.unpack_archive(FROZEN, project.root / ".recorder")
    assert project.recorder("logs", "1").stdout == "walked 5\n"
    said = project.recorder("logs", "1", "--timestamps", status=3).stderr
    assert "without times" in said and "recorder logs 1" in said
    (line,) = recorder.Store(project.root)[1].console()
    assert line == (None, "stdout", "walked 5")


@pytest.mark.skipif(os.name == "nt", reason="runs in progress are told by flock")
def test_a_run_in_progress_is_followed_to_its_end(project: Project) -> None:
    """--follow prints existing output at once and new output as it is written, and ends with the run."""
    project.write("f.py", SCRIPT)
    run = subprocess.Popen([sys.executable, "f.py", "4"], cwd=project.root, env=project.env,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        wait_for(project.root / ".recorder" / "runs.jsonl", "running")
        said, errors = project.root / "said", project.root / "errors"
        with said.open("wb") as out, errors.open("wb") as err:
            command = [sys.executable, "-m", "recorder", "logs", "last", "-f"]
            log = subprocess.Popen(
                command, cwd=project.root, env=project.env, stdout=out, stderr=err
            )
        wait_for(said, "out 0")
        assert log.poll() is None and "out 1" not in said.read_text()
        assert project.recorder("logs", "1").stdout == "out 0\n"
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
    """--follow ends when the run is killed, and its output stays available before and after the repair."""
    project.write("f.py", SCRIPT)
    run = subprocess.Popen([sys.executable, "f.py", "4"], cwd=project.root, env=project.env,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    wait_for(project.root / ".recorder" / "runs.jsonl", "running")
    store = RunStore(project.root)
    found = follow_console(store, store.get(1), streams=("stdout",))
    assert next(found).data == b"out 0\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert list(found) == []
    index = store.live(store.get(1)).arrivals
    index.write_bytes(index.read_bytes() + b"o1")  # as a machine that stopped may have left it
    for _ in ("found", "repaired"):
        record = RunStore(project.root).get(1)
        assert record.status == "lost" and read_console(store, record, "stdout") == b"out 0\n"
        first, second = read_printed(store, record)
        assert (first.data, second.data) == (b"out 0\n", b"err 0\n")
        assert first.time_s is not None and second.time_s is not None
        assert 0 < first.time_s <= second.time_s < 60
        project.recorder("check", "--repair")
    assert record.arrivals is not None and (record.arrivals.text or "").endswith("\n")
