"""Tests for settings that `recorder run` fixes before Python starts, and for planting TensorFlow and CuPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from recorder.capture.seeding.determinism import THREADS, fixed_variables

ORDER = """\
import os
from recorder import record

@record
def order(n: int = 8):
    return {"set": sorted(hash(str(i)) for i in range(n)), "threads": os.environ.get("OMP_NUM_THREADS")}
"""


def test_the_hash_seed_is_fixed(project: Project) -> None:
    """`recorder run` fixes the hash seed, the record has it, and a replay uses it."""
    project.write("order.py", ORDER)
    for _ in range(2):
        project.recorder("run", "order.py:order", "n=5")
    first, second = project.show(1), project.show(2)
    assert first["process"]["hash_seed"] == "0"
    assert first["result"] == second["result"]
    assert "deterministic" not in first["seed_info"]
    project.recorder("replay", "1", env={"PYTHONHASHSEED": "5"})


def test_a_hash_seed_of_ones_own_is_kept(project: Project) -> None:
    """PYTHONHASHSEED keeps the user's value, including `random`."""
    project.write("order.py", ORDER)
    project.recorder("run", "order.py:order", env={"PYTHONHASHSEED": "3"})
    project.recorder("run", "order.py:order", env={"PYTHONHASHSEED": "random"})
    assert project.show(1)["process"]["hash_seed"] == "3"
    assert "hash_seed" not in project.show(2)["process"]


def test_threads(project: Project) -> None:
    """`--threads N` sets the libraries' threads, and a replay uses the same number wherever it is started."""
    project.write("order.py", ORDER)
    project.recorder("run", "--threads", "2", "order.py:order", env={"OMP_NUM_THREADS": "4"})
    assert project.show(1)["result"]["threads"] == "2"
    assert "deterministic" not in project.show(1)["seed_info"]
    project.recorder("replay", "1", env={"OMP_NUM_THREADS": "1"})
    assert project.recorder("run", "--threads", "0", "order.py:order", status=2).returncode == 2


def test_the_variables() -> None:
    """Variables that are set keep their value, except for an explicit number of threads."""
    fixed = fixed_variables({"OMP_NUM_THREADS": "4", "XLA_FLAGS": "--a"}, deterministic=True)
    assert "OMP_NUM_THREADS" not in fixed and fixed["MKL_NUM_THREADS"] == "1"
    assert fixed["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert fixed["XLA_FLAGS"] == "--a --xla_gpu_deterministic_ops=true"
    assert fixed_variables(fixed | {"OMP_NUM_THREADS": "4"}, deterministic=True) == {}
    asked = fixed_variables({"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "4"}, threads=2)
    assert asked == dict.fromkeys(THREADS, "2")
    assert fixed_variables(asked | {"PYTHONHASHSEED": "1"}, threads=2) == {}


TORCH = """\
import os
from recorder import record

@record
def train(n: int = 3):
    import torch
    return {
        "flags": [torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic,
                  torch.backends.cudnn.benchmark, torch.get_num_threads()],
        "cublas": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "numbers": torch.rand(n).tolist(),
    }
"""


@pytest.mark.torch
def test_deterministic_torch(project: Project) -> None:
    """`--deterministic` sets PyTorch's flags during its import, is recorded, and applies to a replay."""
    project.write("train.py", TORCH)
    project.recorder("run", "--deterministic", "train.py:train", "n=4")
    record = project.show(1)
    assert record["result"]["flags"] == [True, True, False, 1]
    assert record["result"]["cublas"] == ":4096:8"
    assert record["seed_info"]["deterministic"] is True
    said = project.recorder("show", "1").stdout
    assert "deterministic algorithms" in said and "not deterministic" not in said
    project.recorder("replay", "1")
    assert project.show(2)["seed_info"]["deterministic"] is True
    assert project.show(2)["result"] == record["result"]
    project.recorder("run", "train.py:train")
    assert project.show(3)["result"]["flags"][0] is False
    project.recorder("replay", "3", env={"RECORDER_DETERMINISTIC": "1"})
    assert project.show(4)["result"]["flags"][0] is False


@pytest.mark.torch
def test_torchs_flags_are_put_back() -> None:
    """PyTorch's flags are restored after the run."""
    code = """
import torch
from recorder.capture.seeding.seed import plant
torch.use_deterministic_algorithms(True, warn_only=True)
planting = plant(7)
assert torch.get_deterministic_debug_mode() == 2
assert planting.names == ("random", "numpy", "torch"), planting.names
planting.restore()
assert torch.get_deterministic_debug_mode() == 1
assert not torch.backends.cudnn.deterministic
"""
    run(code, {"RECORDER_DETERMINISTIC": "1"})


def run(code: str, env: dict[str, str]) -> None:
    """Run the code in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_jax_takes_the_flags() -> None:
    """XLA accepts the flag; it would end the process at an unknown one."""
    pytest.importorskip("jax")
    flags = fixed_variables({}, deterministic=True)
    run("import jax; jax.random.normal(jax.random.key(1))", flags)


# Their documented APIs, implemented with Python's generators.
TENSORFLOW = {
    "tensorflow/__init__.py": """
        from . import random, config
        from .python.eager import context
        """,
    "tensorflow/random.py": """
        from .python.eager import context

        def set_seed(seed):
            context.context()._set_global_seed(int(seed))

        def uniform(shape):
            return [context.context()._rng.random() for _ in range(shape[0])]
        """,
    "tensorflow/config/__init__.py": "from . import experimental",
    "tensorflow/config/experimental.py": """
        enabled = False

        def enable_op_determinism():
            global enabled
            enabled = True
        """,
    "tensorflow/python/__init__.py": "",
    "tensorflow/python/eager/__init__.py": "",
    "tensorflow/python/eager/context.py": """
        import random

        class Context:
            def __init__(self):
                self._seed, self._rng = None, random.Random()

            def _set_global_seed(self, seed):
                self._seed, self._rng = seed, random.Random(seed)

        _context = Context()

        def context():
            return _context
        """,
}
CUPY = {
    "cupy/__init__.py": "from . import random",
    "cupy/random.py": """
        from random import Random

        class RandomState:
            def __init__(self, seed=None):
                self.seed(seed)

            def seed(self, seed=None):
                self._rng = Random(seed)

            def random_sample(self):
                return self._rng.random()

        _state = None

        def get_random_state():
            global _state
            _state = _state or RandomState()
            return _state

        def set_random_state(state):
            global _state
            if not isinstance(state, RandomState):
                raise TypeError(state)
            _state = state

        def seed(seed=None):
            get_random_state().seed(seed)

        def rand():
            return get_random_state().random_sample()
        """,
}


@pytest.fixture
def libraries(project: Project) -> Path:
    """Packages named tensorflow and cupy, with the part of their API that seeding uses."""
    for name, text in {**TENSORFLOW, **CUPY}.items():
        project.write(name, text)
    return project.root


@pytest.mark.parametrize("early", [True, False])
def test_tensorflow_and_cupy(libraries: Path, early: bool) -> None:
    """Loaded before or during the run, they are planted, and continue afterwards as if there had been no run."""
    code = f"""
from recorder.capture.seeding.seed import plant
def load():
    global tensorflow, cupy
    import tensorflow, cupy
def draw():
    return tensorflow.random.uniform([2]) + [cupy.random.rand() for _ in range(2)]
if {early}:
    load()
    tensorflow.random.set_seed(5); cupy.random.seed(5)
    expected = [draw(), draw()]
    tensorflow.random.set_seed(5); cupy.random.seed(5)
    found = [draw()]
drawn = []
for seed in (7, 7, -8):
    planting = plant(seed)
    load()
    drawn.append(draw())
    assert {{"tensorflow", "cupy"}} <= set(planting.names)
    planting.restore()
assert drawn[0] == drawn[1] != drawn[2]
if {early}:
    assert [*found, draw()] == expected
else:
    assert draw() != drawn[0] and tensorflow.python.eager.context.context()._seed is None
assert not tensorflow.config.experimental.enabled
"""
    run(code, {"PYTHONPATH": str(libraries)})


def test_deterministic_tensorflow(libraries: Path) -> None:
    """A process started for deterministic computation enables TensorFlow's deterministic operations."""
    code = """
from recorder.capture.seeding.seed import plant
planting = plant(7)
import tensorflow
assert tensorflow.config.experimental.enabled
"""
    run(code, {"PYTHONPATH": str(libraries), "RECORDER_DETERMINISTIC": "1"})
