"""Tests of the child processes that run recorder's own programs."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from project import ROOT

from recorder.environments.child import describe_exit, start_command

STATEMENT = re.compile(r"from (recorder[.\w]*) import main")


def statements() -> list[str]:
    """Return every import statement that the package hands to a child process."""
    return [
        node.value
        for path in sorted((ROOT / "recorder").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and STATEMENT.fullmatch(node.value)
    ]


def test_each_program_exists() -> None:
    """Each import statement for a child names a module with a main function."""
    modules = [statement.split()[1] for statement in statements()]
    assert len(modules) == 4
    assert all(inspect.isfunction(import_module(module).main) for module in modules)


def test_modules_of_the_working_directory_do_not_shadow_recorder(tmp_path: Path) -> None:
    """A child imports recorder and its dependencies, not the modules in its working directory."""
    (tmp_path / "recorder").mkdir()
    (tmp_path / "recorder" / "__init__.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "msgspec.py").write_text("raise SystemExit('shadowed')")
    command = start_command(
        sys.executable, "from recorder.environments.interpreter import main", str(tmp_path)
    )
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"python"' in done.stdout


def test_describe_exit() -> None:
    """A negative status names the signal, any other the exit status."""
    assert describe_exit(-9) == "was killed by signal 9"
    assert describe_exit(3) == "ended with status 3"
