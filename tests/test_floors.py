"""The floors of the design: who may import whom, held against the code's own import statements."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "recorder"

# A module takes the floor of the longest prefix that stands here.
FLOORS = {
    "recorder.errors": 0,
    "recorder.digest": 0,
    "recorder.key": 1,
    "recorder.records": 1,
    "recorder.grade": 1,
    "recorder.codec": 1,
    "recorder.points": 1,
    "recorder.series": 2,
    "recorder.repository": 1,
    "recorder.tolerance": 0,
    "recorder.arrivals": 0,
    "recorder.packing": 0,
    "recorder.interrupt": 0,
    "recorder.capture": 2,
    "recorder.store": 2,
    "recorder.store.store": 3,
    "recorder.store.catalogue": 3,
    "recorder.store.lookup": 2,
    "recorder.store.query": 3,
    "recorder.store.restoring": 3,
    "recorder.store.console": 3,
    "recorder.store.timeline": 2,
    "recorder.store.contents": 3,
    "recorder.store.series": 3,
    "recorder.store.check": 3,
    "recorder.store.collection": 3,
    "recorder.store.sizes": 3,
    "recorder.store.transfer": 3,
    "recorder.config": 3,
    "recorder.setting": 4,
    "recorder.found": 4,
    "recorder.paths": 0,
    "recorder.report": 3,
    "recorder.call": 4,
    "recorder.observation": 4,
    "recorder.outputs": 4,
    "recorder.intake": 4,
    "recorder.account": 4,
    "recorder.run": 4,
    "recorder.attendance": 4,
    "recorder.driving": 0,
    "recorder.current": 4,
    "recorder.yielding": 5,
    "recorder.reuse": 5,
    "recorder.recording": 5,
    "recorder.options": 0,
    "recorder.experiment": 5,
    "recorder.execution": 5,
    "recorder.decorator": 5,
    "recorder.block": 5,
    "recorder.command": 5,
    "recorder.compare": 4,
    "recorder.present": 4,
    "recorder.comparison": 4,
    "recorder.replay": 6,
    "recorder.sweep": 6,
    "recorder.target": 5,
    "recorder.reading": 7,
    "recorder.cli": 7,
    "recorder.__main__": 8,
    "recorder": 8,
}
# One owner for each dependency.
OWNERS = {
    "tinydb": {"recorder.store.journal", "recorder.store.query"},
    "git": {"recorder.repository"},
    "cloudpickle": {"recorder.codec.pickle"},
    "click": {"recorder.cli"},
    "blake3": {"recorder.digest"},
    "threadpoolctl": {"recorder.capture.libraries"},
    "rich": {"recorder.cli.view"},
    "psutil": {"recorder.capture.sampling"},
    "pynvml": {"recorder.capture.sampling"},
    "filelock": {"recorder.store.disk"},
    "plotille": {"recorder.cli.view.plot"},
    "plotly": {"recorder.cli.view.picture"},
    "matplotlib": {"recorder.cli.view.picture"},
}
# Same-floor rooms that must not know each other.
STRANGERS = [("recorder.capture", "recorder.store"), ("recorder.compare", "recorder.run")]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(name: str) -> int:
    parts = name.split(".")
    while parts:
        if ".".join(parts) in FLOORS:
            return FLOORS[".".join(parts)]
        parts.pop()
    raise AssertionError(f"{name} has no floor")


def imports(path: Path) -> set[str]:
    """Every module that the file imports, at any depth, resolved to absolute names."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                is_module = (ROOT / deeper.replace(".", "/")).with_suffix(".py").exists() or (
                    ROOT / deeper.replace(".", "/") / "__init__.py"
                ).exists()
                found.add(deeper if is_module else base)
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_only_downwards(path: Path) -> None:
    """A module imports from lower floors, or from its own room on its own floor."""
    name = module_name(path)
    for other in imports(path):
        if other.split(".")[0] != "recorder" or name in ("recorder", "recorder.__main__"):
            continue
        assert other != "recorder", f"{name} imports the package's own face"
        assert floor(other) <= floor(name), f"{name} imports {other}, which is a floor above"
        for a, b in STRANGERS:
            for one, two in ((a, b), (b, a)):
                assert not (name.startswith(one) and other.startswith(two)), f"{name} sees {other}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_one_owner_for_each_dependency(path: Path) -> None:
    """Only the owner of a dependency imports it."""
    name = module_name(path)
    for other in imports(path):
        owners = OWNERS.get(other.split(".")[0])
        if owners:
            assert any(name == o or name.startswith(o + ".") for o in owners), f"{name}: {other}"


def test_no_import_cycle() -> None:
    """The graph of imports has no cycle, function-level imports included."""
    graph = {module_name(p): {i for i in imports(p) if i.startswith("recorder.")} for p in FILES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        if name != "recorder":
            visit(name, ())


def test_importing_recorder_is_light() -> None:
    """`from recorder import record` loads none of the heavy packages."""
    heavy = [
        "git",
        "tinydb",
        "rich",
        "cloudpickle",
        "click",
        "numpy",
        "pandas",
        "torch",
        "psutil",
        "threadpoolctl",
    ]
    code = (
        "import sys; from recorder import record, log, save\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_test_says_what_must_hold() -> None:
    """Each test function has a docstring whose first line is a sentence."""
    for path in sorted(Path(__file__).parent.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node)
                assert text and text.splitlines()[0].endswith("."), f"{path.name}: {node.name}"
