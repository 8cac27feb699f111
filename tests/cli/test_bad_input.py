"""Tests of bad input: a message of one line, the right exit status, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

EXPERIMENT = """
    from recorder import record, save

    @record
    def f(x: int = 1, name: str = "a"):
        return x

    if __name__ == "__main__":
        f()
    """


@pytest.fixture
def recorded(project: Project) -> Project:
    """Return a project with one run of exp.py."""
    project.write("exp.py", EXPERIMENT)
    project.python("exp.py")
    return project


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line on stderr, after the plan of a replay."""
    said, *more = [line for line in done.stderr.splitlines() if not line.startswith("replaying ")]
    assert not more, done.stderr
    assert "Traceback" not in done.stderr
    return said


def test_no_store(project: Project) -> None:
    """Without a store, every command that reads one exits with 3 and says what to do."""
    for command in (["list"], ["show", "1"], ["diff", "1", "2"], ["replay", "1"]):
        said = one_line(project.recorder(*command, status=3))
        assert "no store" in said and "--store" in said
    said = one_line(project.recorder("--store", "nowhere", "list", status=3))
    assert "nowhere" in said


def test_no_such_run(recorded: Project) -> None:
    """An unknown run exits with 3 and suggests the nearest names."""
    for command in (["show", "7"], ["diff", "1", "7"], ["replay", "7"]):
        assert "no run '7'" in one_line(recorded.recorder(*command, status=3))


def test_an_unknown_key(recorded: Project) -> None:
    """An unknown key in run or --set exits with 2, shows the signature, and records nothing."""
    for command in (["run", "exp.py:f", "y=2"], ["replay", "1", "--set", "y=2"]):
        said = one_line(recorded.recorder(*command, status=2))
        assert "'y'" in said and "f(x: int = 1, name: str = 'a')" in said
    assert len(json.loads(recorded.recorder("list", "--json").stdout)) == 1


def test_a_value_of_the_wrong_type(recorded: Project) -> None:
    """A value of the wrong type exits with 2, shows the signature, and records nothing."""
    for command in (["run", "exp.py:f", "x=fast"], ["replay", "1", "--set", "x=fast"]):
        said = one_line(recorded.recorder(*command, status=2))
        assert "x='fast' is not of type int" in said and "f(x: int = 1, name: str = 'a')" in said
    assert len(json.loads(recorded.recorder("list", "--json").stdout)) == 1


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--x", "2"], "write x=2"),
        (["--x=2"], "write x=2"),
        (["--my-name"], "write my_name=VALUE"),
        (["--sed", "3"], "(did you mean --seed?)"),
    ],
)
def test_an_option_for_a_parameter(recorded: Project, options: list[str], advice: str) -> None:
    """`run --x 2` exits with 2 and shows how to set a parameter, and a misspelled option suggests the nearest one."""
    done = recorded.recorder("run", "exp.py:f", *options, status=2)
    assert f"no option {options[0].partition('=')[0]}" in done.stderr and advice in done.stderr


def test_a_missing_argument(project: Project) -> None:
    """`run` without a required argument exits with 2 and names it."""
    project.write("exp.py", "from recorder import record\n\n@record\ndef f(x: int): return x\n")
    said = one_line(project.recorder("run", "exp.py:f", status=2))
    assert "'x'" in said and "f(x: int)" in said


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("exp.py:g", "its experiments are f"),
        ("exp.py:ff", "did you mean 'f'?"),
        ("none.py:f", "no file none.py"),
        ("exp.py", "FILE.py:NAME"),
        ("no.such.module:f", "no module"),
        ("broken.py:f", "line 1"),
        ("json:JSONDecoder", "not a function"),
    ],
)
def test_a_target_that_is_not_there(recorded: Project, target: str, word: str) -> None:
    """An unknown target exits with 2 and lists the existing ones."""
    recorded.write("broken.py", "def f(:\n")
    assert word in one_line(recorded.recorder("run", target, status=2))


def test_a_module_that_raises(recorded: Project) -> None:
    """A module that raises while it is loaded shows its traceback, without recorder's frames, in run and replay."""
    recorded.write("bad.py", "import os\n\ndef f(): return 1\n\nraise OSError('on loading')\n")
    said = recorded.recorder("run", "bad.py:f", status=3).stderr
    assert said.startswith("Traceback") and said.endswith("OSError: on loading\n")
    assert "click" not in said and "recorder/replay" not in said
    assert len(json.loads(recorded.recorder("list", "--json").stdout)) == 1


def test_a_function_that_is_not_in_the_snapshot(recorded: Project) -> None:
    """If the snapshot lacks the function, the replay exits with 3 and leaves no run."""
    journal = recorded.root / ".recorder" / "runs.jsonl"
    code = (
        "from recorder.store.store import RunStore\nstore = RunStore()\nd = store.journal.table('runs').get(doc_id=1)\n"
        "d['function']['qualname'] = 'gone'\nstore.journal.table('runs').put(1, dict(d))"
    )
    recorded.python("-c", code)
    size = journal.stat().st_size
    said = one_line(recorded.recorder("replay", "1", status=3))
    assert "its record was changed after you signed it" in said
    assert journal.stat().st_size == size
    done = recorded.recorder("replay", "1", "--trust", status=3)
    assert "run 1" in done.stderr and "no 'gone' in exp.py" in done.stderr
    assert len(json.loads(recorded.recorder("list", "--json").stdout)) == 1


def test_a_missing_snapshot(recorded: Project) -> None:
    """If the snapshot is not in the store, the replay exits with 3."""
    import shutil

    shutil.rmtree(recorded.root / ".recorder" / "code.git")
    assert "snapshot" in one_line(recorded.recorder("replay", "1", status=3))


def test_a_newer_format(recorded: Project) -> None:
    """A store of a newer format is refused by commands and before an experiment runs, and is not changed."""
    file = recorded.root / ".recorder" / "FORMAT"
    newer = json.dumps({**json.loads(file.read_text()), "format": 99})
    file.write_text(newer)
    said = one_line(recorded.recorder("list", status=3))
    assert "format 99" in said and "pip install" in said
    done = recorded.python("exp.py", status=1)
    assert "StoreFormatError" in done.stderr
    assert file.read_text() == newer


def test_a_folder_that_is_no_store(project: Project) -> None:
    """A folder with other content does not become a store."""
    project.write("exp.py", EXPERIMENT)
    project.write("data/important.txt", "x")
    done = project.python("exp.py", status=1, env={"RECORDER_STORE": "data"})
    assert "contains other files" in done.stderr
    assert [p.name for p in (project.root / "data").iterdir()] == ["important.txt"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else(project: Project) -> None:
    """In a repository of another owner, the run and its files are recorded, and a warning says what to do."""
    project.write("exp.py", EXPERIMENT)
    project.commit()
    for path in [project.root, *project.root.rglob("*")]:
        os.chown(path, 12345, 12345)
    done = project.python("exp.py", env={"SUDO_UID": ""})
    assert "safe.directory" in done.stderr
    record = project.show(1)
    assert record["code"]["snapshot"] and not record["code"].get("commit")
    assert any("safe.directory" in text for text in record["warnings"])
    project.recorder("replay", "1")


def test_a_damaged_line_is_said(recorded: Project) -> None:
    """Every command reports a damaged line with its position, and shows the other runs."""
    recorded.python("exp.py")
    recorded.python("exp.py")
    journal = recorded.root / ".recorder" / "runs.jsonl"
    data = journal.read_bytes()
    lines = data.splitlines(keepends=True)
    assert len(lines) == 6  # a run is written when it begins and when it ends
    for at in (2, 3):
        lines[at] = lines[at].replace(b'"experiment":"f"', b'"experiment":"g"')
    journal.write_bytes(b"".join(lines))
    done = recorded.recorder("list", "--json")
    assert [run["number"] for run in json.loads(done.stdout)] == [1, 3]
    first, second = done.stderr.splitlines()
    assert first.startswith(
        f"recorder: warning: the line at byte {len(lines[0]) + len(lines[1])} of"
    )
    assert "checksum" in second


def test_a_disk_that_fills(tmp_path: Path) -> None:
    """If the disk fills during a run, the program gets its result and a warning, and the store still opens."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs a small filesystem")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True
    )
    if made.returncode:
        pytest.skip("no filesystem may be mounted here")
    try:
        project = Project(tmp_path)
        project.write(
            "exp.py",
            """
            from recorder import record, save

            @record
            def f(mb: int = 0):
                with open("big", "wb") as file:
                    file.write(b"x" * (mb << 20))
                save("big")
                return mb

            if __name__ == "__main__":
                import sys
                print("came back with", f(int(sys.argv[1])))
            """,
        )
        env = {"RECORDER_STORE": str(disk / "store")}
        project.python("exp.py", "1", env=env)
        done = project.python("exp.py", "16", env=env)
        assert done.stdout == "came back with 16\n"
        assert "No space left" in done.stderr
        said = json.loads(project.recorder("list", "--json", env=env).stdout)
        assert said[0]["status"] == "finished"
        assert said[1]["status"] in ("finished", "lost")
        project.recorder("replay", "1", env=env)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_cannot_be_encoded(project: Project) -> None:
    """An argument that nothing can encode is named in a warning; with strict, the run does not start."""
    project.write(
        "exp.py",
        """
        import sys, threading
        from recorder import record

        @record(strict=len(sys.argv) > 1)
        def f(lock):
            print("ran")
            return 1

        f(threading.Lock())
        """,
    )
    done = project.python("exp.py")
    assert "argument 'lock' of f is opaque" in done.stderr
    assert done.stdout == "ran\n"
    assert "argument 'lock' is opaque" in one_line(project.recorder("replay", "1", status=3))
    done = project.python("exp.py", "strict", status=1)
    assert "ran" not in done.stdout
    assert "argument 'lock' of f is opaque" in done.stderr


def test_wrong_arguments_raise_as_they_would(project: Project) -> None:
    """A call with wrong arguments raises Python's TypeError and records nothing."""
    project.write("exp.py", EXPERIMENT.replace("f()", "f(1, 2, 3)"))
    done = project.python("exp.py", status=1)
    assert "TypeError: too many positional arguments" in done.stderr
    project.recorder("list", status=3)


def test_log_and_save_never_end_a_run(project: Project) -> None:
    """A metric that is not a number and a missing file give warnings, and the run goes on."""
    project.write(
        "exp.py",
        """
        from recorder import record, log, save

        @record
        def f():
            log(loss="low", ok=True)
            save("not-there.txt")
            save(1)
            return "done"

        print(f())
        log(x=1)
        """,
    )
    done = project.python("exp.py")
    assert done.stdout == "done\n"
    for text in (
        "metric 'loss' is str",
        "'not-there.txt' was not saved",
        "needs a name",
        "outside a recorded run",
    ):
        assert text in done.stderr
    record = project.show(1)
    assert record["status"] == "finished"
    assert list(record["metrics"]) == ["ok"]
    assert len(record["warnings"]) == 3
