"""The house: floors, circles, owners of dependencies, names; held against the code's own statements."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from project import ROOT

PACKAGE = ROOT / "recorder"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
# The two lazy tables: the names of the package, and the commands of the command line.
LAZY_TABLES = {"recorder/__init__.py", "recorder/cli/__init__.py"}
LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml against the package in `folder`."""
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True)


def test_the_contracts_of_imports_hold() -> None:
    """Floors are kept, no room imports in a circle, and each dependency has one owner."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


PLANTED = {
    "store/format.py": "from ..cli import completion",
    "stray.py": "",
    "codec/plain.py": "def f():\n    from . import encoding",
    "compare/near.py": "import tinydb",
}


def test_planted_imports_break_the_contracts(tmp_path: Path) -> None:
    """The contracts can fail: upward, circular, unplaced and foreign imports in a copy are reported."""
    shutil.copytree(PACKAGE, tmp_path / "recorder", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, statement in PLANTED.items():
        with (tmp_path / "recorder" / module).open("a") as file:
            file.write(f"\n{statement}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    broken = done.stdout.partition("Broken contracts")[2]
    for report in (
        "recorder.store is not allowed to import recorder.cli",
        "recorder.stray",
        "No cycles are allowed in recorder.codec",
        "recorder.compare.near -> tinydb",
    ):
        assert report in broken, done.stdout[-3000:]


def test_nothing_is_imported_by_string() -> None:
    """No string that names a module of recorder goes to import_module or __import__, but in the two lazy tables."""
    for path, tree in TREES.items():
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            if called not in ("import_module", "__import__", "run_module", "resolve_name"):
                continue
            texts = [
                part.value
                for argument in node.args
                for part in ast.walk(argument)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            ours = [text for text in texts if text.startswith((".", "recorder"))]
            assert not ours or name in LAZY_TABLES, f"{name}:{node.lineno} imports {ours}"


def test_one_name_one_class() -> None:
    """No two classes of the package share a name."""
    places = defaultdict(list)
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_few_modules_at_the_root() -> None:
    """Only the words that everybody uses stand at the root of the package."""
    root = {path.stem for path in PACKAGE.glob("*.py")}
    assert root <= {
        *("__init__", "__main__", "records", "digest", "errors"),
        *("paths", "git", "hazards"),
    }
    assert all((folder / "__init__.py").exists() for folder in {path.parent for path in FILES})


def test_importing_recorder_is_light() -> None:
    """`from recorder import record` loads none of the heavy packages."""
    heavy = [
        *("git", "tinydb", "rich", "cloudpickle", "click", "numpy"),
        *("pandas", "torch", "psutil", "threadpoolctl", "msgspec"),
    ]
    code = (
        "import sys; from recorder import record, log, save\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_test_states_what_must_hold() -> None:
    """Each test function has a docstring whose first line is a sentence."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node)
                assert text and text.splitlines()[0].endswith("."), f"{path.name}: {node.name}"
