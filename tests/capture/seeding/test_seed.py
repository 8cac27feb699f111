"""Tests for the seed: drawn, planted in every generator, and removed afterwards."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings

import numpy as np
import numpy.random  # numpy itself loads it on first use
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.capture.seeding.seed import draw_seed, plant


def run(code: str) -> str:
    """Return the output of the code in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_seeds_are_drawn_afresh() -> None:
    """A drawn seed has 31 bits, and two of them differ."""
    seeds = {draw_seed() for _ in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**31 for seed in seeds)


@given(st.integers())
def test_any_integer_is_planted(seed: int) -> None:
    """Any integer repeats its numbers, and the generators are restored."""
    before = random.getstate(), np.random.get_state()[1].tobytes()
    drawn = []
    for _ in range(2):
        planting = plant(seed)
        drawn.append((random.random(), np.random.rand()))
        planting.restore()
    assert drawn[0] == drawn[1]
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


def test_a_seed_is_planted_as_a_person_would() -> None:
    """A common seed gives the numbers of random.seed and numpy.random.seed."""
    planting = plant(42)
    found = random.random(), np.random.rand()
    planting.restore()
    assert found == (random.Random(42).random(), np.random.RandomState(42).rand())
    assert {"random", "numpy"} <= set(planting.names)


def test_overlapping_plantings() -> None:
    """The last of several overlapping plantings to end restores the state from before all of them."""
    before = random.getstate(), np.random.get_state()[1].tobytes()
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (1, 0, 2)):
        plantings = [plant(seed) for seed in range(3)]
        numbers = [random.random() for _ in range(2)]
        for n in order[:-1]:
            plantings[n].restore()
        if order[-1] == 2:  # the newest continues where it was
            expected = random.Random(2)
            assert [*numbers, random.random()] == [expected.random() for _ in range(3)]
        plantings[order[-1]].restore()
        assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


def test_nested_plantings() -> None:
    """After a nested planting, the outer one continues where it was."""
    outer = plant(1)
    first = random.random()
    inner = plant(2)
    random.random()
    inner.restore()
    second = random.random()
    outer.restore()
    outer.restore()
    alone = random.Random(1)
    assert [first, second] == [alone.random(), alone.random()]
    assert not any("Planting" in type(finder).__name__ for finder in sys.meta_path)


def test_numpy_imported_during_the_run() -> None:
    """NumPy is planted if it is imported during the run, and works as usual."""
    code = """
import sys
from recorder.capture.seeding.seed import plant
planting = plant(7)
assert "numpy" not in sys.modules
assert planting.names == ("random",), planting.names
import numpy
found = numpy.random.rand()
assert planting.names == ("random", "numpy")
import importlib.util
assert importlib.util.find_spec("numpy.random").loader is numpy.random.__loader__
planting.restore()
assert numpy.random.RandomState(7).rand() == found
assert numpy.random.rand() != found
print("ok")
"""
    assert run(code) == "ok"


@pytest.mark.torch
def test_torch_before_and_during_the_run() -> None:
    """PyTorch's generator is planted and restored, loaded before or imported during the run."""
    code = """
from recorder.capture.seeding.seed import plant
first = plant(7)
import torch
found = torch.rand(3).tolist()
assert "torch" in first.names
first.restore()
state = torch.get_rng_state()
second = plant(7)
assert torch.rand(3).tolist() == found == torch.rand(3, generator=torch.Generator().manual_seed(7)).tolist()
second.restore()
assert torch.equal(torch.get_rng_state(), state)
print("ok")
"""
    assert run(code) == "ok"


def test_a_module_that_is_not_there() -> None:
    """A missing module raises Python's own error."""
    code = """
import sys
from recorder.capture.seeding.seed import plant
plant(7)
try:
    import nobody_has_this
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code) == "No module named 'nobody_has_this'"


def test_a_generator_that_refuses_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken library causes a warning with its name, and the other generators are planted."""
    import types

    monkeypatch.setitem(sys.modules, "cupy", types.ModuleType("cupy"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        planting = plant(3)
        planting.restore()
    assert any("cupy" in str(w.message) for w in said)
    assert "cupy" not in planting.names and "numpy" in planting.names
