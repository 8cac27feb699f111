"""Tests for PyTorch's flags and the native libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from project import Project

from recorder.store.store import RunStore


@pytest.mark.torch
def test_flags_of_the_newer_api(project: Project) -> None:
    """A run whose matmul precision was set by PyTorch's newer API is recorded with all readable flags."""
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
    store = RunStore(project.root)
    (run,) = store.runs()
    assert run.runtime is not None
    flags = json.loads(store.read(run.runtime.last))["torch"]
    assert flags["backends.cuda.matmul.fp32_precision"] == "tf32"
    assert flags["get_float32_matmul_precision"] == "unreadable: RuntimeError"
    assert flags["are_deterministic_algorithms_enabled"] is False
    assert "backends.cudnn.conv.fp32_precision" in flags


def test_nothing_is_loaded() -> None:
    """If PyTorch is not loaded, there are no flags, and it is not loaded for them."""
    code = "import sys; from recorder.capture.environment.numerics import torch_flags; print(torch_flags(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None False"


@pytest.mark.torch
def test_flags_as_a_run_began_and_ended(project: Project) -> None:
    """Flags set by a run are in its end, not its start, and equal ends have equal fingerprints."""
    project.write(
        "e.py",
        """
        from recorder import record

        @record
        def f(seed=0):
            import torch
            torch.use_deterministic_algorithms(True)
            torch.set_num_threads(1)

        f()
        f()
        """,
    )
    project.python("e.py")
    store = RunStore(project.root)
    first, second = store.runs()
    assert first.runtime is not None and second.runtime is not None
    begun, ended = (json.loads(store.read(d)) for d in (first.runtime.start, first.runtime.last))
    assert begun["torch"] is None
    assert ended["torch"]["are_deterministic_algorithms_enabled"] is True
    assert ended["torch"]["get_num_threads"] == 1
    assert "devices" not in ended["torch"]  # the run has not initialized CUDA
    assert second.runtime.end is None and second.runtime.numerics == first.runtime.numerics


def test_native_libraries_and_their_threads(project: Project) -> None:
    """The libraries behind NumPy are listed with their current number of threads."""
    pytest.importorskip("numpy")
    project.write(
        "e.py",
        """
        from recorder import record
        import threadpoolctl, numpy

        @record
        def f(threads):
            return 1

        for threads in (1, 2):
            with threadpoolctl.threadpool_limits(threads, user_api="blas"):
                f(threads)
        """,
    )
    project.python("e.py")
    store = RunStore(project.root)
    for run in store.runs():
        assert run.runtime is not None
        found = json.loads(store.read(run.runtime.last))["libraries"]
        blas = [library for library in found if library["api"] == "openblas"]
        assert [b["threads"] for b in blas] == [run.config["threads"]] * len(blas)
        assert all("/" not in str(library) for library in found)


def test_no_library_is_looked_for_without_need() -> None:
    """A process without numeric libraries does not import threadpoolctl."""
    code = """
import sys
from recorder.capture.environment.packages import Packages
from recorder.capture.environment.runtime import describe_runtime
found = describe_runtime(Packages(), report=print).described
print(found["libraries"], [m for m in ("threadpoolctl", "ctypes", "numpy", "torch", "psutil") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_looking_for_libraries_leaves_no_trace() -> None:
    """Variables and modules are unchanged afterwards, and threadpoolctl can be imported later as usual."""
    pytest.importorskip("numpy")
    code = """
import os, sys
import numpy
os.environ.pop("KMP_DUPLICATE_LIB_OK", None)
from recorder.capture.environment.native_libraries import Libraries
before = dict(os.environ)
found = Libraries().describe()
print(dict(os.environ) == before, "threadpoolctl" in sys.modules)
import threadpoolctl
print(os.environ["KMP_DUPLICATE_LIB_OK"], len(found) == len(threadpoolctl.threadpool_info()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True False", "True True"]
