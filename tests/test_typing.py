"""Type checkers accept the code of the README and of the examples under their strict settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import ROOT

# Programs only: fragments such as the lines for a Trainer name things that they do not define.
PROGRAMS = re.findall(
    r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
)
# pyright bundles stubs of scikit-learn in which `gamma` of SVC must be a string.
WRONG_STUBS = {("tuning.py", "reportArgumentType")}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the README's programs and the examples."""
    for name, text in PROGRAMS:
        (tmp_path / f"readme_{name}").write_text(text)
    for example in (ROOT / "examples").glob("*.py"):
        if example.name != "convnet.py" or find_spec("torch"):
            shutil.copy(example, tmp_path)
    assert len(list(tmp_path.glob("*.py"))) >= 6
    return tmp_path


@pytest.mark.torch(needed=False)
def test_mypy_accepts_the_programs(programs: Path) -> None:
    """`mypy --strict` finds no error in the README's programs and the examples."""
    pytest.importorskip("mypy")
    # Packages without types are not what is checked here; PyTorch's Tensor.backward has none.
    options = ["--strict", "--ignore-missing-imports", "--untyped-calls-exclude=torch"]
    command = [sys.executable, "-m", "mypy", *options, "."]
    done = subprocess.run(command, cwd=programs, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.torch(needed=False)
def test_pyright_accepts_the_programs(programs: Path) -> None:
    """pyright finds no error in the README's programs and the examples, as far as recorder is concerned."""
    pytest.importorskip("pyright")
    if shutil.which("node") is None:
        pytest.skip("pyright needs node")
    settings = {"extraPaths": [str(ROOT), *sys.path], "typeCheckingMode": "standard"}
    settings |= {"reportMissingImports": False, "reportAttributeAccessIssue": False}
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson"]
    done = subprocess.run(command, cwd=programs, capture_output=True, text=True)
    errors = [
        f"{Path(found['file']).name}:{found['range']['start']['line'] + 1}: {found['message']}"
        for found in json.loads(done.stdout)["generalDiagnostics"]
        if found["severity"] == "error"
        and (Path(found["file"]).name, found.get("rule")) not in WRONG_STUBS
    ]
    assert errors == []
