"""The README is true: its commands run, and print what it shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import click
import pytest
from conftest import Project, bin_folder

from recorder.cli import cli

ROOT = Path(__file__).parent.parent
CONTEXT = click.Context(cli)
README = (ROOT / "README.md").read_text()
FILES = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", README, re.DOTALL)
PYTHON = re.findall(r"<!-- python -->\n```python\n(.*?)```", README, re.DOTALL)
SESSIONS = re.findall(r"<!-- session -->\n```console\n(.*?)\n```", README, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)

# What is another one each time: ages, sizes of archives, durations, the clock and what is computed from it.
_VARYING = [
    (re.compile(r"\b(\d+\.\d+ s|\d+ ms)\b"), "DURATION"),
    (re.compile(r"\b\d+ (s|min)\b"), "AGE"),
    (re.compile(r"\b\d+\.\d kB$", re.MULTILINE), "SIZE"),
    (re.compile(r"\b1[78]\d{8}\.\d+"), "CLOCK"),
    (re.compile(r"\d\.\de[-+]\d\d (relative|absolute)"), "ERROR"),
    # Another processor's BLAS rounds the last bits otherwise.
    (re.compile(r"\b(\d+\.\d{11})\d{2,}\b"), r"\1"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "DIGEST"),
    (re.compile(r"\bsnapshot [0-9a-f]{10}\b"), "SNAPSHOT"),
    (re.compile(r"\bPython 3\.\d+\.\d+"), "PYTHON"),
    (re.compile(r"\bsweep-[0-9a-z]{6}\b"), "SWEEP"),
]


def steady(text: str) -> list[str]:
    """The lines without what varies, from machine to machine too, and without the widths of columns."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return [" ".join(line.split()) for line in text.splitlines()]


def check_python(project: Project) -> None:
    """The Python session prints what it shows, in the store of the sessions."""
    text = re.sub(r"(\.\d{11})\d+", r"\1...", "\n".join(PYTHON))
    (project.root / "session.txt").write_text(text)
    test = "import doctest; print(doctest.testfile('session.txt', False, optionflags=doctest.ELLIPSIS))"
    done = project.python("-c", test)
    assert "failed=0" in done.stdout, done.stdout


@pytest.mark.skipif(os.name == "nt", reason="the session is a Unix shell's")
def test_the_sessions_print_what_they_show(project: Project, tmp_path: Path) -> None:
    """Each command of the sessions, in a fresh repository, prints what the README shows."""
    for text, name in FILES:
        (project.root / name).write_text(text)
    project.commit()
    path = f"{bin_folder(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    assert len(SESSIONS) == 2
    for session in SESSIONS:
        steps = re.split(r"^\$ (.*)\n?", session, flags=re.MULTILINE)[1:]
        for command, shown in zip(steps[::2], steps[1::2], strict=True):
            done = subprocess.run(
                command,
                shell=True,
                cwd=project.root,
                env={**project.env, "PATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert steady(done.stdout) == steady(shown), command
    check_python(project)


def split_command(command: str) -> list[list[str]]:
    """The parts of a command between its ``&&``."""
    return [shlex.split(part) for part in command.split("&&")]


def test_the_first_command(tmp_path: Path) -> None:
    """The command that installs, trains and replays does so in a fresh clone and a fresh environment.

    The dependencies are taken from this environment; everything else is done as written.
    """
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", ".recorder", "__pycache__", ".*_cache", "*.egg-info"
    )
    shutil.copytree(ROOT, clone, ignore=ignored)
    Project(clone).commit()
    steps = split_command(COMMANDS[0])
    assert steps[0] == ["python3", "-m", "venv", ".venv"]
    assert steps[1] == [".venv/bin/pip", "install", "-q", ".[examples]"]
    venv.create(clone / ".venv", with_pip=False, system_site_packages=False)
    build(clone, tmp_path)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RECORDER", "PYTHON"))}
    for step in steps[2:]:
        done = subprocess.run(step, cwd=clone, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().splitlines()[-1] == "reproduced"
    assert Project(clone).git("status", "--porcelain") == "", "the example left files in the clone"


def build(clone: Path, tmp_path: Path) -> None:
    """Install the clone into its own environment, with this one's dependencies behind it."""
    site = next((clone / ".venv").glob("lib/python*/site-packages"))
    wheel_folder = tmp_path / "wheel"
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheel_folder)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True)
    wheel = next(wheel_folder.glob("run_recorder-*.whl"))
    shutil.unpack_archive(wheel, site, "zip")
    # The first entry wins: recorder is the clone's, all else is this environment's.
    others = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others) + "\n")
    script = clone / ".venv" / "bin" / "recorder"
    script.write_text(f"#!{clone}/.venv/bin/python\nfrom recorder.cli import main\nmain()\n")
    script.chmod(0o755)


def test_the_second_command_is_what_ci_runs() -> None:
    """.ci/run takes the test command from the README, which makes an environment and runs the whole suite."""
    script = (ROOT / ".ci" / "run").read_text()
    (pattern,) = re.findall(r"^    grep '(.*)' README.md$", script, re.MULTILINE)
    assert [line for line in README.splitlines() if re.search(pattern, line)] == [COMMANDS[1]]
    assert split_command(COMMANDS[1]) == [
        ["python3", "-m", "venv", ".venv"],
        [".venv/bin/pip", "install", "-q", "-e", ".[test]"],
        [".venv/bin/pytest", "-n", "2"],
    ]
    assert re.search(r'^step .* bash -c "\$\(readme_command\)"$', script, re.MULTILINE)


def test_every_command_is_in_the_readme() -> None:
    """Each command of the command line stands in the README, and each option that the README gives one is its own."""
    for name in cli.list_commands(CONTEXT):
        assert f"`recorder {name}" in README
    shown = re.findall(
        r"(?:^|[`$ ])recorder ((?:--store \S+ )?)([a-z]+)( [^`|\n]*)?", README, re.MULTILINE
    )
    assert len(shown) > 60
    for _, name, rest in shown:
        command = cli.get_command(CONTEXT, name)
        if command is None:
            continue  # a sentence about recorder
        known = {option for param in command.params for option in param.opts} | {"--help"}
        given = re.findall(r"(?<= )--?[a-z][a-z-]*", rest.partition(" -- ")[0])
        assert set(given) <= known, name + rest
