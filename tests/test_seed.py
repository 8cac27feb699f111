"""The seed: drawn, planted in every generator, and taken out again."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings

import numpy as np
import numpy.random  # which numpy itself loads at its first use only
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.capture.seed import draw_seed, plant


def run(code: str) -> str:
    """What the code prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_seeds_are_drawn_afresh() -> None:
    """A drawn seed has 31 bits, and two are not the same."""
    seeds = {draw_seed() for _ in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**31 for seed in seeds)


@given(st.integers())
def test_any_integer_is_planted(seed: int) -> None:
    """Any integer gives the same numbers each time, and leaves the generators as they were."""
    before = random.getstate(), np.random.get_state()[1].tobytes()
    drawn = []
    for _ in range(2):
        planting = plant(seed)
        drawn.append((random.random(), np.random.rand()))
        planting.restore()
    assert drawn[0] == drawn[1]
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


def test_a_seed_is_planted_as_a_person_would() -> None:
    """A usual seed gives what random.seed and numpy.random.seed give."""
    planting = plant(42)
    found = random.random(), np.random.rand()
    planting.restore()
    assert found == (random.Random(42).random(), np.random.RandomState(42).rand())
    assert {"random", "numpy"} <= set(planting.names)


def test_overlapping_plantings() -> None:
    """Of plantings that overlap, as runs in threads and tasks do, the last to end puts back what was before all."""
    before = random.getstate(), np.random.get_state()[1].tobytes()
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (1, 0, 2)):
        plantings = [plant(seed) for seed in range(3)]
        numbers = [random.random() for _ in range(2)]
        for n in order[:-1]:
            plantings[n].restore()
        if order[-1] == 2:  # the newest goes on where it was
            expected = random.Random(2)
            assert [*numbers, random.random()] == [expected.random() for _ in range(3)]
        plantings[order[-1]].restore()
        assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


def test_nested_plantings() -> None:
    """A planting within another gives the outer one its numbers back where it was."""
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
    """NumPy, when it is imported during the run only, is planted then, and works as ever."""
    code = """
import sys
from recorder.capture.seed import plant
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
    """PyTorch's generator is planted and put back, loaded before or imported during the run."""
    code = """
from recorder.capture.seed import plant
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
    """A module that cannot be imported is missing in Python's own words."""
    code = """
import sys
from recorder.capture.seed import plant
plant(7)
try:
    import nobody_has_this
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code) == "No module named 'nobody_has_this'"


def test_a_generator_that_refuses_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken library is named in a warning, and the others are planted all the same."""
    import types

    monkeypatch.setitem(sys.modules, "cupy", types.ModuleType("cupy"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        planting = plant(3)
        planting.restore()
    assert any("cupy" in str(w.message) for w in said)
    assert "cupy" not in planting.names and "numpy" in planting.names
