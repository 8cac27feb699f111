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
    "recorder.secrets.key": 1,
    "recorder.secrets": 1,
    "recorder.records": 1,
    "recorder.hazards": 1,
    "recorder.codec": 1,
    "recorder.formats.points": 1,
    "recorder.formats.series": 2,
    "recorder.git": 1,
    "recorder.recording.tolerance": 0,
    "recorder.formats.console_index": 0,
    "recorder.formats.compression": 0,
    "recorder.recording.sigint": 0,
    "recorder.capture": 2,
    "recorder.store": 2,
    "recorder.store.store": 3,
    "recorder.store.query.catalogue": 3,
    "recorder.store.query.fields": 2,
    "recorder.store.query.query": 3,
    "recorder.store.content.restore": 3,
    "recorder.store.content.console": 3,
    "recorder.store.content.timeline": 2,
    "recorder.store.content.contents": 3,
    "recorder.store.content.series": 3,
    "recorder.store.maintenance.check": 3,
    "recorder.store.maintenance.gc": 3,
    "recorder.store.maintenance.disk_usage": 3,
    "recorder.store.archive.transfer": 3,
    "recorder.config": 3,
    "recorder.recording.project": 4,
    "recorder.recording.discovered_outputs": 4,
    "recorder.paths": 0,
    "recorder.recording.problems": 3,
    "recorder.recording.invocation": 4,
    "recorder.recording.monitors": 4,
    "recorder.recording.outputs": 4,
    "recorder.recording.inputs": 4,
    "recorder.recording.record_builder": 4,
    "recorder.recording.run": 4,
    "recorder.recording.secondary_rank": 4,
    "recorder.recording.generators": 0,
    "recorder.recording.current": 4,
    "recorder.recording.yielding": 5,
    "recorder.recording.reuse": 5,
    "recorder.recording.session": 5,
    "recorder.recording.options": 0,
    "recorder.recording.experiment": 5,
    "recorder.recording.execution": 5,
    "recorder.api.decorator": 5,
    "recorder.api.start_run": 5,
    "recorder.recording.exec": 5,
    "recorder.compare": 4,
    "recorder.recording.worktree": 4,
    "recorder.recording.comparison": 4,
    "recorder.replay": 6,
    "recorder.batch": 6,
    "recorder.recording.entrypoint": 5,
    "recorder.api": 7,
    "recorder.environments": 6,
    "recorder.render": 7,
    "recorder.cli": 7,
    "recorder.__main__": 8,
    "recorder": 8,
}
# One owner for each dependency.
OWNERS = {
    "tinydb": {"recorder.store.journal.table", "recorder.store.query.query"},
    "git": {"recorder.git"},
    "cloudpickle": {"recorder.codec.pickle"},
    "click": {"recorder.cli", "recorder.render"},
    "blake3": {"recorder.digest"},
    "threadpoolctl": {"recorder.capture.environment.native_libraries"},
    "rich": {"recorder.render"},
    "psutil": {"recorder.capture.sampling"},
    "plotille": {"recorder.render.plots.terminal"},
    "plotly": {"recorder.render.plots.picture"},
    "matplotlib": {"recorder.render.plots.picture"},
}
# Same-floor rooms that must not know each other.
STRANGERS = [("recorder.capture", "recorder.store"), ("recorder.compare", "recorder.recording.run")]


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
