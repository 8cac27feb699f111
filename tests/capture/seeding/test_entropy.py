"""Tests for draws from the run's seed beyond the global generators, and from the operating system."""

from __future__ import annotations

import asyncio
import copy
import os
import secrets
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.random
import pytest
from project import Project

from recorder import RecorderWarning, jax_key, rng
from recorder.capture.seeding.seed import Planting, plant


@pytest.fixture
def planting() -> Iterator[Planting]:
    """A seed that is planted during the test."""
    planted = plant(7)
    yield planted
    planted.restore()


def draw() -> float:
    """Return the first number of a generator created without a seed."""
    return float(np.random.default_rng().random())


MADE = {
    "default_rng": lambda: np.random.default_rng(),
    "SeedSequence": lambda: np.random.default_rng(np.random.SeedSequence()),
    "PCG64": lambda: np.random.Generator(np.random.PCG64()),
    "Philox": lambda: np.random.Generator(np.random.Philox()),
    "RandomState": lambda: np.random.RandomState(),
    "seed": lambda: np.random.seed() or np.random,
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_without_a_seed_takes_the_runs(name: str) -> None:
    """Each NumPy generator created without a seed repeats under the same run seed, and differs from the others."""
    found = []
    for seed in (7, 7, 8):
        planting = plant(seed)
        found.append([MADE[name]().normal() for _ in range(3)])
        assert planting.drawn["unseeded"] == 3
        planting.restore()
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 3
    assert MADE[name]().normal() != MADE[name]().normal()


def test_a_seed_that_was_given_is_kept(planting: Planting) -> None:
    """A generator with an explicit seed behaves as outside a run, and is not counted."""
    inside = np.random.default_rng(3).normal(), np.random.RandomState(3).normal()
    copied = copy.deepcopy(np.random.default_rng(3)).normal()
    assert planting.drawn["unseeded"] == 0
    planting.restore()
    assert inside == (np.random.default_rng(3).normal(), np.random.RandomState(3).normal())
    assert copied == inside[0]


def test_a_place_in_the_code_has_bits_of_its_own() -> None:
    """Draws at another place, such as during a library's import, do not shift a stream."""
    found = []
    for others in range(2):
        planting = plant(7)
        for _ in range(others):
            np.random.default_rng()
        found.append([np.random.default_rng().normal() for _ in range(2)])
        planting.restore()
    assert found[0] == found[1] and found[0][0] != found[0][1]


def test_nothing_of_it_stays(planting: Planting) -> None:
    """After the run, NumPy and the operating system are asked as before, and public names never change."""
    public = np.random.default_rng, np.random.SeedSequence, np.random.PCG64
    assert isinstance(np.random.default_rng(), np.random.Generator)
    planting.restore()
    assert (np.random.default_rng, np.random.SeedSequence, np.random.PCG64) == public
    assert "recorder" not in type(os.urandom).__module__
    assert "recorder" not in type(np.random.bit_generator.randbits).__module__  # type: ignore[attr-defined]
    assert planting.drawn["unseeded"] == 1


def test_a_run_within_a_run() -> None:
    """A nested run has its own streams, and the outer run continues where it was."""
    outer = plant(1)
    first = draw()
    inner = plant(2)
    draw()
    inner.restore()
    second = draw()
    outer.restore()
    alone = plant(1)
    assert [draw(), draw()] == [first, second]
    alone.restore()
    assert outer.drawn["unseeded"] == 2 and inner.drawn["unseeded"] == 1


def test_other_threads_are_not_touched(planting: Planting) -> None:
    """A thread outside the run gets the operating system's entropy."""
    threads = [threading.Thread(target=np.random.default_rng) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert planting.drawn["unseeded"] == 0


def test_runs_in_tasks_that_overlap() -> None:
    """Each of two asyncio tasks draws from its own run's seed in any order."""

    async def run(seed: int) -> list[float]:
        planting = plant(seed)
        found = []
        for _ in range(3):
            found.append(np.random.default_rng().random())
            await asyncio.sleep(0)
        planting.restore()
        return found

    async def both() -> list[list[float]]:
        return list(await asyncio.gather(run(1), run(2)))

    together = asyncio.run(both())
    assert together == [asyncio.run(run(1)), asyncio.run(run(2))]
    assert "recorder" not in type(np.random.bit_generator.randbits).__module__  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_draws_its_own(planting: Planting, tmp_path: Path) -> None:
    """Generators created without a seed in forked workers differ, as they do without recorder."""
    for name in ("a", "b"):
        pid = os.fork()
        if pid == 0:
            (tmp_path / name).write_text(str(np.random.default_rng().integers(2**60)))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_rng_spawns_from_the_seed(planting: Planting) -> None:
    """`rng` returns generators spawned from the seed as NumPy does, a new stream for each call."""
    found = [rng().random() for _ in range(3)]
    children = np.random.SeedSequence(7).spawn(3)
    assert found == [np.random.default_rng(child).random() for child in children]
    assert planting.drawn["spawned"] == 3 and planting.drawn["unseeded"] == 0


@pytest.mark.parametrize("seed", [-1, 0, 2**31, 2**200])
def test_rng_of_any_integer(seed: int) -> None:
    """`rng` accepts any integer as the run's seed."""
    planting = plant(seed)
    np.random.default_rng()
    assert 0 <= rng().random() < 1
    planting.restore()


def test_rng_outside_a_run() -> None:
    """Outside a run, `rng` warns and returns generators that differ."""
    with pytest.warns(RecorderWarning, match=r"rng\(\) outside a recorded run"):
        first, second = rng(), rng()
    assert first.random() != second.random()


def test_the_keys_of_jax(planting: Planting) -> None:
    """`jax_key` returns a new key of the seed for each call, and JAX is listed among the generators."""
    jax = pytest.importorskip("jax")
    found = [jax.random.normal(jax_key()).item() for _ in range(2)]
    key = jax.random.key(7)
    assert found == [jax.random.normal(jax.random.fold_in(key, n)).item() for n in range(2)]
    assert found[0] != found[1]
    assert "jax" in planting.names


def test_the_systems_entropy_is_counted_and_not_changed(planting: Planting) -> None:
    """Draws of system entropy differ, and are counted by place."""
    assert uuid.uuid4() != uuid.uuid4()
    assert secrets.token_bytes(8) != os.urandom(8)
    places = list(planting.streams.system)
    assert planting.drawn["system_draws"] == 4
    assert {file for file, _ in places} == {__file__} and len(places) == 2


PROGRAM = """\
import random
import numpy as np
from recorder import record, rng, save
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

@record
def train(n: int = 40):
    data = np.random.default_rng().normal(size=(n, 3))
    labels = (data[:, 0] > 0).astype(int)
    a, b, c, d = train_test_split(data, labels)
    forest = RandomForestClassifier(n_estimators=3).fit(a, c)
    import torch
    weights = torch.nn.Linear(3, 2)(torch.from_numpy(data[:2]).float())
    return {
        "sum": float(data.sum()), "score": forest.predict_proba(b)[:, 0].tolist(),
        "spawned": [rng().random(), rng().random()],
        "state": float(np.random.RandomState().rand()), "torch": weights.tolist(), "python": random.random(),
    }

if __name__ == "__main__":
    train()
"""


@pytest.mark.torch
def test_a_replay_gives_the_same_numbers(project: Project) -> None:
    """A program with unseeded generators, streams of `rng`, and late imports is reproduced."""
    pytest.importorskip("sklearn")
    project.write("train.py", PROGRAM)
    project.python("train.py")
    project.python("train.py")
    first, second = project.show(1), project.show(2)
    assert first["result"] != second["result"]
    assert first["seed_info"]["unseeded"] == 2
    assert first["seed_info"]["spawned"] == 2
    assert "torch" in first["seed_info"]["generators"]
    assert project.recorder("replay", "1").returncode == 0
    replayed = project.show(3)
    assert replayed["result"] == first["result"]
    assert replayed["seed_info"]["unseeded"] == 2
    said = project.recorder("show", "1").stdout
    assert "2 generators of NumPy made without a seed" in said and "rng(): 2" in said
