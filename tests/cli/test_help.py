"""The examples in the help of each command work, one after the other, in one project."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
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

# The commands in an order in which a person may use them: the exit status and the output of each example.
DONE: dict[str, list[tuple[int, str]]] = {
    "run": [(0, "trained"), (0, " 17 "), (0, "train: 6 runs")],
    "tag": [(0, "tagged paper: runs 12-13"), (0, "tagged ablation: runs 5-9"), (3, "")],
    "replay": [(0, "reproduced"), (0, "nothing is missing"), (0, "2 reproduced")],
    "exec": [(0, "trained"), (0, "")],
    "show": [(0, "shell  finished"), (0, "shell  finished"), (0, '"experiment": "train"')],
    "diff": [(1, "~ lr"), (1, "lr "), (0, "nothing differs")],
    "plot": [(0, "lr="), (0, "accuracy")],
    "cat": [(0, "loss 0.6"), (0, "0\n")],
    "code": [(0, "train.py"), (0, "def train(lr"), (3, "")],
    "env": [(0, "Python "), (0, "click==")],
    "logs": [(0, ""), (0, ""), (0, "")],
    "restore": [(0, "1 file, 23 B in run12"), (0, " in code12"), (0, " in papers/13")],
    "list": [(0, " 13 "), (0, " 13 "), (0, "numbers")],
    "note": [(0, "noted: run 12"), (0, "note removed: run 12")],
    "untag": [(0, "removed tag paper: runs 12-13"), (3, "")],
    "export": [(0, "paper.zip: runs 12-13"), (0, "tagged.zip: runs 12-13")],
    "du": [(0, "on disk"), (0, "on disk")],
    "remove": [(0, "removed: runs 12-13"), (0, "taken out of the trash: run 12"), (3, "")],
    "gc": [(0, "run in the trash  1"), (0, "run in the trash  1")],
    "import": [(0, "imported: run"), (0, "nothing new")],
    "check": [(0, "everything is as it was written"), (0, "everything is as it was written")],
    "guide": [(0, "replay"), (0, "# "), (0, "seed")],
}
# These start processes that import the project as its own programs do: in the test's process they would import the
# test's modules.
APART = ("run", "replay", "exec")
# Given before an example, in an order that suits the others.
BEFORE = {"export": ["tag", "12-13", "paper"]}


def commands() -> dict[str, click.Command]:
    """Return every command by its name."""
    ctx = click.Context(cli)
    return {name: cli.get_command(ctx, name) or cli for name in cli.list_commands(ctx)}


def examples(command: click.Command) -> list[str]:
    """Return the command lines that the help shows, each on one line of 80 columns, ready to be copied."""
    text = command.get_help(click.Context(command, terminal_width=80))
    block = re.search(r"^  Examples:\n((?:    .*\n)+)", text, re.MULTILINE)
    return [line.strip() for line in block[1].splitlines()] if block else []


class Output(NamedTuple):
    """The result of a command."""

    status: object
    out: str
    err: str


@pytest.fixture
def do(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[list[str]], Output]:
    """Give a command line in a project in which `train` has run thirteen times."""
    project.write("train.py", TRAIN)
    project.commit()
    project.python("-c", THIRTEEN)
    project.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # `main` sets another

    def do(args: list[str]) -> Output:
        if args[0] in APART:
            apart = project.recorder(*args, status=None)
            return Output(apart.returncode, apart.stdout, apart.stderr)
        with pytest.raises(SystemExit) as done:
            main(args)
        return Output(done.value.code, *capfd.readouterr())

    return do


def test_each_example_works(do: Callable[[list[str]], Output]) -> None:
    """Each command's help has examples, which do what they should when they are typed."""
    found = commands()
    assert set(DONE) == set(found)
    for name, expected in DONE.items():
        shown = examples(found[name])
        assert len(shown) == len(expected), (name, shown)
        if name in BEFORE:
            do(BEFORE[name])
        for example, (status, text) in zip(shown, expected, strict=True):
            words = shlex.split(example)
            assert words[:2] == ["recorder", name]
            output = do(words[1:])
            assert (output.status, text in output.out) == (status, True), (example, output)
            assert "Traceback" not in output.err, (example, output)


def test_the_help_of_each_command() -> None:
    """Each help starts with a verb phrase, then examples; no line says more than it must about numbers."""
    for name, command in commands().items():
        text = command.get_help(click.Context(command, terminal_width=80))
        first = text.split("\n\n")[1].strip()
        assert re.fullmatch(r"[A-Z][a-z]+ .*[a-z]\.", first), (name, first)
        assert text.split("\n\n")[2].strip().startswith("Examples:"), name
        assert "x>=" not in text and "<=x" not in text, name
        assert "--store FOLDER" in text, name


def test_the_groups_of_commands() -> None:
    """`recorder --help` lists every command in one of the groups, and costs no import of a command."""
    code = "import sys; from recorder.cli import main; sys.argv[1:] = ['--help']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    groups = re.findall(r"^([A-Z][a-z ]+):\n((?:  [a-z]+ .*\n)+)", done.stdout, re.MULTILINE)
    listed = {title: re.findall(r"^  ([a-z]+) ", block, re.MULTILINE) for title, block in groups}
    assert listed["Record"] == ["run", "exec"] and listed["Replay"] == ["replay"]
    assert sorted(name for names in listed.values() for name in names) == sorted(commands())
