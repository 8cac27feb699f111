"""What each command's help shows as an example is done, by each, in one project."""

from __future__ import annotations

import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from project import Project

from recorder.cli import cli, main

TRAIN = """
    import argparse
    from pathlib import Path
    from recorder import log, record, save

    @record
    def train(lr: float = 0.05, epochs: int = 3):
        for loss in (1 / (1 + lr * epoch) for epoch in range(epochs)):
            log(loss=loss, accuracy=1 - loss)
        Path("predictions.csv").write_text(f"loss {loss}")
        save("predictions.csv")
        print("trained")
        return loss

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("--epochs", type=int)
        train(epochs=parser.parse_args().epochs)
"""
THIRTEEN = "import train; [train.train(lr=number / 200) for number in range(1, 14)]"

# The commands in an order in which a person may give them: the exit status of each one's example, and what it prints.
DONE: dict[str, tuple[int, str]] = {
    "run": (0, "trained"),
    "replay": (0, "reproduced"),
    "exec": (0, "trained"),
    "show": (0, "run 17  train  finished"),
    "diff": (1, "~ lr"),
    "plot": (0, "run 17  lr=0.05"),
    "cat": (0, "loss 0.6"),
    "code": (0, "def train(lr"),
    "env": (0, "click=="),
    "logs": (0, "trained"),
    "restore": (0, "1 file, 23 B in run12"),
    "tag": (0, "tagged paper: runs 12-13"),
    "list": (0, " 13 "),
    "note": (0, "noted: run 12"),
    "untag": (0, "no longer tagged paper: runs 12-13"),
    "export": (0, "paper.zip: runs 12-13"),
    "du": (0, "on disk"),
    "remove": (0, "removed: runs 12-13"),
    "gc": (0, "run in the trash  2"),
    "import": (0, "2 are in the trash here"),
    "check": (0, "everything is as it was written"),
    "guide": (0, "# Replay a run"),
}
# They start processes that import the project as its own programs do: here that would be the test's.
APART = ("run", "replay", "exec")


def commands() -> dict[str, click.Command]:
    """Every command by its name."""
    ctx = click.Context(cli)
    return {name: cli.get_command(ctx, name) or cli for name in cli.list_commands(ctx)}


def examples(command: click.Command) -> list[str]:
    """The command lines that its help shows, each on one line of 80 columns, to be copied."""
    said = command.get_help(click.Context(command, terminal_width=80))
    return re.findall(r"^ *Example: (.*)\n$", said, re.MULTILINE)


class Said(NamedTuple):
    """What a command came to."""

    status: object
    out: str
    err: str


@pytest.fixture
def do(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[list[str]], Said]:
    """Does a command line in a project in which `train` has run thirteen times."""
    project.write("train.py", TRAIN)
    project.commit()
    project.python("-c", THIRTEEN)
    project.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # `main` sets another

    def do(args: list[str]) -> Said:
        if args[0] in APART:
            apart = project.recorder(*args, status=None)
            return Said(apart.returncode, apart.stdout, apart.stderr)
        with pytest.raises(SystemExit) as done:
            main(args)
        return Said(done.value.code, *capfd.readouterr())

    return do


def test_each_example_is_done(do: Callable[[list[str]], Said]) -> None:
    """Each command's help has an example, which comes to what it should where it is typed."""
    found = commands()
    assert set(DONE) == set(found)
    for name, (status, text) in DONE.items():
        shown = examples(found[name])
        assert shown, f"recorder {name} --help has no example"
        for example in shown:
            words = shlex.split(example)
            assert words[:2] == ["recorder", name]
            said = do(words[1:])
            assert (said.status, text in said.out) == (status, True), (example, said)
            assert "Traceback" not in said.err, (example, said)


def test_help_shows_no_ranges_of_numbers() -> None:
    """The help of no command shows a range such as ``[x>=1]``."""
    context = click.Context(cli, info_name="recorder")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert not re.search(r"\[[^]]*x[<>]", command.get_help(context)), name
