"""The command line as a whole, in a real process: imports, verbose output, errors, encodings."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from project import Project

HEAVY = (
    "git",
    "rich",
    "numpy",
    "pandas",
    "torch",
    "pyarrow",
    "cloudpickle",
    "matplotlib",
    "psutil",
)
# Each command with the heavy packages that it needs.
COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "help": (["--help"], ()),
    "version": (["--version"], ()),
    "list": (["list"], ()),
    "list, everything": (["list", "--where", "x > 0", "--sort", "-y", "--grade", "-c", "x,y"], ()),
    "list, groups": (["list", "-g", "x"], ()),
    "list, csv": (["list", "--csv"], ()),
    "show": (["show", "1"], ()),
    "diff": (["diff", "1", "2"], ()),
    "diff, several": (["diff", "1", "2", "1"], ()),
    "plot": (["plot", "1", "2", "-m", "y"], ("numpy",)),  # plotille takes its numbers
    "logs": (["logs", "1"], ()),
    "logs, following": (["logs", "1", "-f"], ()),
    "cat": (["cat", "1:out.txt"], ()),
    "cat, a value": (["cat", "1:result"], ()),
    "cat, an array": (["cat", "1:array"], ("numpy",)),
    "restore": (["restore", "1", "--to", "there"], ()),
    "code": (["code", "1"], ("git",)),
    "env": (["env", "1"], ()),
    "env, requirements": (["env", "1", "--format", "requirements"], ()),
    "tag": (["tag", "1", "t"], ()),
    "untag": (["untag", "1", "t"], ()),
    "note": (["note", "1", "n"], ()),
    "du": (["du"], ("git",)),
    "remove": (["remove", "2", "--yes"], ()),
    "remove, undone": (["remove", "--undo"], ()),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two runs."""
    root = tmp_path_factory.mktemp("cli") / "project"
    root.mkdir()
    project = Project(root)
    project.write(
        "train.py",
        """
        import numpy as np
        from pathlib import Path
        from recorder import record, log, save

        @record
        def train(x):
            print("hello")
            log(y=x)
            Path("out.txt").write_text("out")
            save("out.txt")
            save(np.arange(3) + x, name="array")
            return {"x": x}

        train(1)
        train(2)
        """,
    )
    project.commit()
    project.python("train.py")
    return project


@pytest.mark.torch(needed=False)
def test_no_command_imports_what_it_does_not_need(project: Project) -> None:
    """Each command imports only the heavy packages that it needs."""
    code = (
        "import json, sys\nfrom recorder.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        f"finally:\n    json.dump([m for m in {HEAVY!r} if m in sys.modules], sys.stderr)"
    )
    loaded = {}
    for name, (arguments, _) in COMMANDS.items():
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=project.root, env=project.env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode in (0, 1), (name, done.stderr)
        loaded[name] = json.loads(done.stderr[done.stderr.rindex("[") :])
    allowed = {name: allowed for name, (_, allowed) in COMMANDS.items()}
    assert {name: set(found) - set(allowed[name]) for name, found in loaded.items()} == {
        name: set() for name in COMMANDS
    }


def test_verbose_says_what_happens(project: Project) -> None:
    """-v logs the store, its files and processes to stderr, through the logger `recorder`; stdout stays the same."""
    done = project.recorder("-v", "code", "1")
    assert done.stdout == project.recorder("code", "1").stdout
    lines = done.stderr.splitlines()
    assert lines[0] == f"store: {project.root / '.recorder'}"
    assert any(line.endswith("ms  opens runs.jsonl") for line in lines)
    assert any(" ms  runs git " in line and "ls-tree" in line for line in lines)
    said = project.recorder("-v", "restore", "1", "out.txt", "--to", "verbose").stderr
    assert " ms  reads objects/" in said
    assert "no store" in project.recorder("-v", "list", status=3, cwd=project.root.parent).stderr


def test_the_version(project: Project) -> None:
    """`recorder --version` prints the version."""
    from recorder import __version__

    assert project.recorder("--version").stdout == f"recorder, version {__version__}\n"


def test_verbose_uses_logging(project: Project) -> None:
    """A handler on the logger `recorder` gets what -v prints."""
    code = """
import logging, sys
lines = []
class Handler(logging.Handler):
    def emit(self, record):
        lines.append((record.name, record.getMessage()))
logging.getLogger("recorder").addHandler(Handler())
from recorder.cli import main
try:
    main(["-v", "show", "1"])
finally:
    assert lines[0][0] == "recorder" and lines[0][1].startswith("store: "), lines
    assert any(line.endswith("opens runs.jsonl") for _, line in lines), lines
"""
    project.python("-c", code)


@pytest.mark.parametrize(
    "args", [["show", "1"], ["list"], ["list", "-g", "x"], ["plot", "1", "-m", "y"]]
)
def test_a_latin_1_terminal(project: Project, args: list[str]) -> None:
    """A terminal that lacks a character shows ? in its place, and no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "recorder", *args], cwd=project.root, capture_output=True, check=True,
        env={**project.env, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr and done.stdout.decode("latin-1")


def test_an_unknown_command(project: Project) -> None:
    """An unknown command suggests the nearest, and `log`, which is a function, the command of that meaning."""
    for word, near in (("lsit", "list"), ("log", "logs"), ("repaly", "replay")):
        assert (
            f"no command {word!r}: did you mean {near}" in project.recorder(word, status=2).stderr
        )
    assert "recorder --help lists them" in project.recorder("xyzzy", status=2).stderr


def test_cat_names_what_there_is(project: Project) -> None:
    """`cat` with an unknown name lists every name of the run, and the command for its console output."""
    said = project.recorder("cat", "1:stdout", status=3).stderr
    assert "run 1 has no 'stdout'; it has: array, out.txt, result" in said.replace(
        "out.txt, array", "array, out.txt"
    )
    assert said.endswith("; for its stdout: recorder logs 1\n")
