"""The examples run, and each of their runs replays with the verdict that it should have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Project

EXAMPLES = Path(__file__).parent.parent / "examples"

# The settings that make each example quick, and what its replay compares.
CASES = [
    (
        "digits.py:classify",
        ["trees=20"],
        {"result", "predictions", "confusion", "accuracy", "train_accuracy"},
    ),
    ("tuning.py:tune", ["images=300"], {"result", "accuracy", "train_accuracy"}),
    ("network.py:train", ["epochs=2"], {"result", "model.npz", "predictions", "loss", "accuracy"}),
    ("pi.py:estimate_pi", ["points=20000", "report_every=5000"], {"result", "estimate", "error"}),
    ("convnet.py:train", ["epochs=1", "images=300"], {"result", "model.pt", "loss", "accuracy"}),
]


def test_each_example_has_a_case() -> None:
    """No example is left out here."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        target.partition(":")[0] for target, _, _ in CASES
    }


@pytest.mark.parametrize(("target", "settings", "compared"), CASES, ids=[case[0] for case in CASES])
def test_an_example_runs_and_replays(
    project: Project, target: str, settings: list[str], compared: set[str]
) -> None:
    """The example runs from the command line with a config, and its replay is identical in everything."""
    pytest.importorskip("sklearn")
    if target.startswith("convnet"):
        pytest.importorskip("torch")
    shutil.copytree(
        EXAMPLES, project.root / "examples", ignore=shutil.ignore_patterns("__pycache__")
    )
    project.commit()
    project.recorder("run", f"examples/{target}", *settings)
    found = json.loads(project.recorder("replay", "1", "--json").stdout)
    assert found["verdict"] == "reproduced"
    deciding = {item["name"]: item["verdict"] for item in found["items"] if item["decides"]}
    assert set(deciding) == compared
    assert set(deciding.values()) == {"identical"}
