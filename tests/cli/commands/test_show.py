"""`recorder show`: everything about one run on one screen, and the next commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest
from project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two runs of one experiment, a run of another, and a replay of the first run."""
    root = tmp_path_factory.mktemp("show") / "project"
    root.mkdir()
    project = Project(root)
    project.write(
        "train.py",
        """
        from pathlib import Path
        from recorder import record, log, save

        @record
        def train(lr, text="%s"):
            for i in range(10):
                print("line", i)
            print("\\x1b[31mred")
            log(loss=lr)
            Path("a file.csv").write_text("1")
            save("a file.csv")
            return {"loss": lr}

        @record
        def many(**kw):
            return 1

        if __name__ == "__main__":
            train(0.1)
            many(**{f"key_{i}": i for i in range(20)})
            train(0.2)
        """
        % ("long " * 40),
    )
    project.commit()
    project.python("train.py")
    project.recorder("replay", "1")
    return project


def test_the_end_of_the_console(project: Project) -> None:
    """The last lines of a long output are shown without escape sequences, with the command that prints all."""
    said = project.recorder("show", "1").stdout
    assert "line 9\n  red\n" in said and "line 1\n" not in said
    assert "of 11 lines: recorder logs 1" in said


def test_what_became_of_its_replays(project: Project) -> None:
    """A run lists the verdicts of its replays, and a replay names its original."""
    assert "  replayed run 4 reproduced\n" in project.recorder("show", "1").stdout
    assert "  replay   of run 1\n" in project.recorder("show", "4").stdout
    assert "replayed" not in project.recorder("show", "3").stdout


def test_without_a_run(project: Project) -> None:
    """Without RUN, `show` and `logs` take the newest run that is not a replay."""
    assert project.recorder("show").stdout.startswith("run 3  train")
    assert project.recorder("logs").stdout == project.recorder("logs", "3").stdout != ""
    assert project.recorder("show", "last-replay").stdout.startswith("run 4  train")


def test_the_next_commands_work(project: Project) -> None:
    """The suggested commands work as they are printed, and compare with the previous run of the experiment."""
    said = project.recorder("show", "3").stdout.partition("next\n")[2]
    commands = [line.strip().partition("  ")[0] for line in said.splitlines()]
    assert "recorder diff 1 3" in commands
    for command in commands:
        words = shlex.split(command.replace("DIR", str(project.root / "restored")))
        assert words[0] == "recorder"
        project.recorder(*words[1:], status=1 if words[1] == "diff" else 0)
    assert (project.root / "restored" / "a file.csv").read_text() == "1"


def test_many_arguments_stand_side_by_side(project: Project) -> None:
    """Many arguments share lines."""
    said = project.recorder("show", "many").stdout
    assert "key_0" in said and len(said.splitlines()) < 40


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_no_line_is_wider_than_the_terminal(project: Project) -> None:
    """On a terminal of 60 columns, long lines are cut, or wrapped if nothing else shows their text."""
    import fcntl
    import pty
    import struct
    import termios

    import click

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    env = {k: v for k, v in project.env.items() if k not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "recorder", "show", "1"]
    process = subprocess.Popen(command, cwd=project.root, env=env, stdout=child)
    os.close(child)
    said = b""
    while True:
        try:
            said += os.read(parent, 65536)
        except OSError:  # it has ended
            break
    process.wait()
    os.close(parent)
    lines = click.unstyle(said.decode()).splitlines()
    assert "next" in lines and max(map(len, lines)) <= 60
