"""`recorder show`: everything about one run on one screen, and what to do next."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest
from project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two runs of one experiment, a replay of the first, and a run of another."""
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
    """The last lines of a long console are shown, without its escapes, and how to see all of it."""
    said = project.recorder("show", "1").stdout
    assert "line 9\n  red\n" in said and "line 1\n" not in said
    assert "of 11 lines: recorder logs 1" in said


def test_what_became_of_its_replays(project: Project) -> None:
    """A run says how its replays came out, and a replay of which run it is one."""
    assert "  replayed run 4 reproduced\n" in project.recorder("show", "1").stdout
    assert "  replay   of run 1\n" in project.recorder("show", "4").stdout
    assert "replayed" not in project.recorder("show", "3").stdout


def test_the_next_commands_work(project: Project) -> None:
    """What is offered can be typed as it stands, and is about the run before of the same experiment."""
    said = project.recorder("show", "3").stdout.partition("next\n")[2]
    commands = [line.strip().partition("  ")[0] for line in said.splitlines()]
    assert "recorder diff 1 3" in commands
    for command in commands:
        words = shlex.split(command.replace("DIR", str(project.root / "restored")))
        assert words[0] == "recorder"
        project.recorder(*words[1:], status=1 if words[1] == "diff" else 0)
    assert (project.root / "restored" / "a file.csv").read_text() == "1"


def test_many_arguments_stand_side_by_side(project: Project) -> None:
    """More arguments than a few take no line each."""
    said = project.recorder("show", "many").stdout
    assert "key_0" in said and len(said.splitlines()) < 40


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_no_line_is_wider_than_the_terminal(project: Project) -> None:
    """At a terminal of 60 places long lines are cut, or wrapped where they say something for once."""
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
