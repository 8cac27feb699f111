"""Tests of shell completion for each kind of word, with a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from project import ROOT, Project

pytestmark = pytest.mark.skipif(os.name == "nt" or not shutil.which("bash"), reason="needs bash")

SCRIPT = """
    from pathlib import Path
    from recorder import record, log, save

    @record(tags=["paper"])
    def train(lr: float = 0.1, model: dict = {"depth": 3}):
        "Train it."
        log(accuracy=1)
        Path("predictions.csv").write_text("1")
        save("predictions.csv")

    def tail():
        pass

    if __name__ == "__main__":
        train()
        train(0.2)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two runs, and `recorder` on the PATH of its shells."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "project").mkdir()
    (folder / "bin").mkdir()
    script = folder / "bin" / "recorder"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m recorder "$@"\n')
    script.chmod(0o755)
    project = Project(folder / "project")
    project.env["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    project.write("train.py", SCRIPT)
    project.commit()
    project.python("train.py")
    return project


WORDS = {
    "unt": ["untag"],
    "--st": ["--store"],
    "show ''": ["2", "1", "last", "train", "paper"],
    "tag 1 pa": ["paper"],
    "list -e ''": ["train"],
    "list -t ''": ["paper"],
    "list --sort model": ["model", "model.depth"],
    "list -g lr,metrics.accuracy.m": ["lr,metrics.accuracy.max", "lr,metrics.accuracy.min"],
    "cat 1 : p": ["predictions.csv"],
    "cat tr": ["train:"],
    "restore 1 pre": ["predictions.csv"],
    "code 1 ''": ["train.py"],
    "run tr": ["train.py:"],
    "run train.py : t": ["train", "tail"],
    "run train.py : train ''": ["lr=", "model="],
    "diff 1 --only con": ["config"],
    "show nothing": [],
    "--store nowhere show ''": [],
}


def test_words(project: Project) -> None:
    """bash's function completes each kind of word; a word without a match gives nothing and prints nothing."""
    lines = ['eval "$(_RECORDER_COMPLETE=bash_source recorder)"; compopt() { :; }']
    for words in WORDS:
        lines.append(f"COMP_WORDS=(recorder {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))")
        lines.append(
            "COMPREPLY=(); _recorder_completion recorder; (IFS='|'; echo \"${COMPREPLY[*]}\")"
        )
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], cwd=project.root, env=project.env,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    answers = [line.split("|") if line else [] for line in done.stdout.splitlines()]
    assert dict(zip(WORDS, answers, strict=True)) == WORDS


class Shell:
    """An interactive bash on a pseudo-terminal."""

    def __init__(self, project: Project) -> None:
        import pty

        self._parent, child = pty.openpty()
        env = {**project.env, "PS1": "READY> ", "TERM": "dumb"}
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], cwd=project.root, env=env, stdin=child, stdout=child,
            stderr=child, start_new_session=True,
        )  # fmt: skip
        os.close(child)

    def type(self, text: str, *, until: str) -> str:
        """Type the text, and wait for output."""
        os.write(self._parent, text.encode())
        said, deadline = "", time.monotonic() + 60
        while until not in said:
            assert time.monotonic() < deadline, said
            said += os.read(self._parent, 4096).decode(errors="replace")
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._parent)


@pytest.fixture
def shell(project: Project) -> Iterator[Shell]:
    """A bash with completion enabled as the guide describes."""
    guide = "".join(path.read_text() for path in (ROOT / "recorder" / "guide").glob("*.md"))
    line = 'eval "$(_RECORDER_COMPLETE=bash_source recorder)"'
    assert line in guide
    shell = Shell(project)
    shell.type("", until="READY> ")
    shell.type(f"{line}; echo so'me'\n", until="some\r\n")
    yield shell
    shell.close()


def test_in_a_real_bash(shell: Shell) -> None:
    """A tab completes a command, a run, and a name after a colon, which bash treats as a separate word."""
    shell.type("recorder unt\t", until="untag ")
    shell.type("pa\t", until="paper ")
    shell.type("\x15recorder cat 1:pre\t", until="1:predictions.csv ")
    shell.type("\x15recorder run tra\t", until="train.py:")
    shell.type("tr\t", until="train ")
    shell.type("m\t", until="model=")
    shell.type("1 && recorder list -g l\t", until=" -g lr ")
