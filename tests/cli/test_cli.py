"""The command line as a whole: what each command imports, in a real process."""

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
# Each command with what it may load of those, since it cannot do without.
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
    """A project with two runs."""
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
    """Of the heavy packages each command loads only those that it cannot do without."""
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
    """With -v the store, its files and the processes are told on stderr; what is printed stays the same."""
    done = project.recorder("-v", "code", "1")
    assert done.stdout == project.recorder("code", "1").stdout
    lines = done.stderr.splitlines()
    assert lines[0] == f"the store is {project.root / '.recorder'}"
    assert any(line.endswith("ms  opens runs.jsonl") for line in lines)
    assert any(" ms  runs git " in line and "ls-tree" in line for line in lines)
    said = project.recorder("-v", "restore", "1", "out.txt", "--to", "verbose").stderr
    assert " ms  reads objects/" in said
    assert "no store" in project.recorder("-v", "list", status=3, cwd=project.root.parent).stderr


def test_the_version(project: Project) -> None:
    """`recorder --version` says which it is."""
    from recorder import __version__

    assert project.recorder("--version").stdout == f"recorder, version {__version__}\n"
