"""`recorder exec`: real commands, recorded from outside and replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import Project

SCRIPT = """
    import os, sys
    from pathlib import Path

    print("begun")
    print("trouble", file=sys.stderr)
    Path("out").mkdir(exist_ok=True)
    Path("out/table.csv").write_text(Path(sys.argv[1]).read_text().upper())
    Path("env.txt").write_text(os.environ["RECORDER_SEED"] + " " + os.environ.get("PYTHONHASHSEED", "none"))
    sys.exit(int(sys.argv[2]))
"""


def test_a_command_is_recorded_and_replayed(project: Project) -> None:
    """A run has the command's arguments, exit status, console and written files, and a replay compares them."""
    project.write("work.py", SCRIPT)
    project.write("data.csv", "a,b\n")
    project.commit()
    done = project.recorder(
        "exec", "--seed", "5", "--tag", "x", "--", sys.executable, "work.py", "data.csv", "0"
    )
    assert done.stdout == "begun\n"
    assert done.stderr == "trouble\nrun 1: recorder show 1\n"
    run = project.show(1)
    assert (run["experiment"], run["status"], run["result"]) == ("work.py", "finished", 0)
    assert run["config"] == {"argv": [sys.executable, "work.py", "data.csv", "0"]}
    assert [output["name"] for output in run["outputs"]] == ["env.txt", "out/table.csv"]
    assert [one["path"] for one in run["inputs"]] == ["data.csv"]
    assert (run["stdout"]["text"], run["stderr"]["text"]) == ("begun\n", "trouble\n")
    assert (run["tags"], run["seed_info"]["value"]) == (["x"], 5)
    assert (project.root / "env.txt").read_text() == "5 5"
    assert "child process: work.py" in project.recorder("show", "1").stdout
    assert "replayable with care" in project.recorder("list", "--grade").stdout
    (project.root / "data.csv").write_text("changed since")
    (project.root / "work.py").write_text("raise SystemExit(9)")
    assert project.recorder("replay", "1").stdout.endswith("reproduced\n")
    assert (project.root / "data.csv").read_text() == "changed since"


def test_the_exit_status_is_passed_on(project: Project) -> None:
    """A command that fails is a failed run with the exit status as its result, and the replay compares that."""
    project.write("work.py", SCRIPT)
    project.write("data.csv", "a\n")
    project.recorder("exec", sys.executable, "work.py", "data.csv", "7", status=7)
    run = project.show(1)
    assert (run["status"], run["result"]) == ("failed", 7)
    assert run["failure"]["message"] == "the command exited with status 7"
    assert project.recorder("replay", "1").stdout.endswith("reproduced\n")
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    project.recorder("exec", "--name", "killed", "--", *killed, status=137)
    assert "SIGKILL" in project.show("killed")["failure"]["message"]


def test_a_missing_command(project: Project) -> None:
    """A missing command, or a missing input, is an error before anything is recorded."""
    assert "no command" in project.recorder("exec", "no-such-thing", status=2).stderr
    assert "no input" in project.recorder("exec", "--input", "x", "true", status=2).stderr
    assert not (project.root / ".recorder").exists()


def test_a_command_with_different_output_diverges(project: Project) -> None:
    """A replay whose files differ names them."""
    project.write("now.sh", "date +%s%N > now.txt; echo same > same.txt\n")
    project.recorder("exec", "sh", "now.sh")
    done = project.recorder("replay", "1", status=1)
    assert "diverged: now.txt (different)" in done.stdout


def test_nested_runs_are_its_children(project: Project) -> None:
    """Runs that a Python command records with @record are children of its run, in the same store."""
    project.write(
        "work.py",
        """
        from recorder import record, start_run

        @record
        def inner():
            return 1

        @record
        def outer():
            return inner()

        outer()
        with start_run("block") as run:
            inner()
        """,
    )
    project.recorder("exec", "--", sys.executable, "work.py")
    runs = {n: project.show(n) for n in range(1, 6)}
    parents = [runs[n]["parent"] for n in range(2, 6)]
    ids = {n: runs[n]["id"] for n in runs}
    assert parents == [ids[1], ids[2], ids[1], ids[4]]


def test_named_inputs_and_outputs(project: Project, tmp_path: Path) -> None:
    """--input and --output keep files and folders outside the project, a folder as one output."""
    data = tmp_path / "elsewhere.txt"
    data.write_text("data")
    target = tmp_path / "result.txt"
    command = f"mkdir -p made; cat {data} > made/a; cat {data} > {target}; echo x > b"
    options = ["--input", str(data), "--output", "made", "--output", str(target)]
    project.recorder("exec", *options, "--", "sh", "-c", command)
    run = project.show(1)
    assert [one["path"] for one in run["inputs"]] == [str(data)]
    names = {output["name"]: output["kind"] for output in run["outputs"]}
    assert names == {"made": "folder", "result.txt": "file", "b": "file"}
    assert project.recorder("replay", "1").stdout.endswith("reproduced\n")


def test_files_that_existed_before_are_not_outputs(project: Project) -> None:
    """Only new and changed files are outputs, and no files of caches or of the store."""
    project.write("old.txt", "old")
    project.write("changed.txt", "old")
    command = "cat old.txt; echo new > changed.txt; mkdir -p __pycache__; echo x > __pycache__/y"
    project.recorder("exec", "--", "sh", "-c", command)
    assert [output["name"] for output in project.show(1)["outputs"]] == ["changed.txt"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "failed")]
)
def test_signals_are_passed_on(project: Project, number: int, status: str) -> None:
    """A signal reaches the command, whose last output and files are kept; Ctrl-C interrupts the run."""
    project.write(
        "wait.py",
        """
        import signal, sys, time
        from pathlib import Path

        def stop(number, frame):
            Path("stopped.txt").write_text(str(number))
            print("stopping", flush=True)
            sys.exit(42)

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        Path("ready").touch()
        time.sleep(60)
        """,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "recorder", "exec", "--", sys.executable, "wait.py"],
        cwd=project.root,
        env=project.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not (project.root / "ready").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "stopping\n"
    assert process.returncode == 42
    run = project.show(1)
    assert (run["status"], run["result"]) == (status, 42)
    assert "stopped.txt" in [output["name"] for output in run["outputs"]]


def test_a_credential_among_the_arguments(project: Project) -> None:
    """A credential among the arguments is not kept, and the replay reports that it is impossible."""
    project.recorder("exec", "--", "true", "--password", "hunter2hunter2")
    assert "hunter2hunter2" not in json.dumps(project.show(1))
    assert "credential" in project.recorder("replay", "1", status=3).stderr


def test_a_program_inside_the_project_that_is_not_code(project: Project) -> None:
    """A replay finds a program in the project that git ignores."""
    project.write(".gitignore", "bin/\n")
    project.write("bin/tool", "#!/bin/sh\necho made > made.txt\n").chmod(0o755)
    project.commit()
    project.recorder("exec", "--", "bin/tool")
    assert project.recorder("replay", "1").stdout.endswith("reproduced\n")


def test_an_output_that_was_not_written(project: Project, tmp_path: Path) -> None:
    """A named output that the command did not write is not an output of the run, nor of its replay."""
    target = tmp_path / "result.txt"
    target.write_text("old")
    done = project.recorder("exec", "--output", str(target), "--output", "none", "--", "true")
    assert "result.txt was not written" in done.stderr
    assert "none does not exist" in done.stderr
    assert project.show(1)["outputs"] == []
    command = f"test -e done || echo new > {target}; touch done"
    project.write(".gitignore", "done\n")
    project.recorder("exec", "--name", "one", "--output", str(target), "--", "sh", "-c", command)
    (project.root / "done").write_text("")
    assert [output["name"] for output in project.show("one")["outputs"]] == ["done", "result.txt"]
