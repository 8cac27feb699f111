"""PyTorch's flags: read one by one, whatever another one says; nothing is loaded for them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import Project

from recorder import Store


def test_flags_of_the_newer_api(project: Project) -> None:
    """A run whose matmul precision was set by PyTorch's newer API is recorded, with the flags that can be read."""
    pytest.importorskip("torch")
    project.write(
        "e.py",
        """
        import torch
        from recorder import record

        torch.backends.cuda.matmul.fp32_precision = "tf32"

        @record(strict=True)
        def f():
            return 1

        f()
        """,
    )
    project.python("e.py")
    store = Store(project.root)
    (run,) = store.runs()
    assert run.environment is not None
    flags = json.loads(store.read(run.environment))["torch"]
    assert flags["backends.cuda.matmul.fp32_precision"] == "tf32"
    assert flags["get_float32_matmul_precision"] == "unreadable: RuntimeError"
    assert flags["are_deterministic_algorithms_enabled"] is False
    assert "backends.cudnn.conv.fp32_precision" in flags


def test_nothing_is_loaded() -> None:
    """Where PyTorch is not loaded there are no flags, and it is not loaded for them."""
    code = "import sys; from recorder.capture.numerics import torch_flags; print(torch_flags(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None False"
