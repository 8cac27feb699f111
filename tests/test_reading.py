"""The Python side: the store as a sequence of records, what they give, and how they look."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import os
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Project
from tinydb import where

import recorder
import recorder.reading
from recorder import Record, Store
from recorder.errors import (
    ContentNotFoundError,
    QueryError,
    RunNotFoundError,
    TagError,
)

TRAIN = """
    import sys
    import numpy as np
    from recorder import log, record, save

    @record
    def train(lr: float = 0.1, layers: tuple = (32, 16), optim: dict = {"momentum": 0.9}):
        for loss in (1.0, 0.5, 0.25):
            log(loss=loss)
        np.save("weights.npy", np.array([0.5, 1.5]))
        save("weights.npy")
        print("done")
        return {"loss": loss}

    if __name__ == "__main__":
        for lr in map(float, sys.argv[1:]):
            train(lr)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which `train` ran twice, for who only copies it."""
    root = tmp_path_factory.mktemp("trained") / "project"
    root.mkdir()
    project = Project(root)
    project.write("train.py", TRAIN)
    project.commit()
    project.python("train.py", "0.05", "0.1")
    return root


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Iterator[Store]:
    """A store of one's own with the two runs, in the working directory."""
    shutil.copytree(trained, tmp_path / "project", symlinks=True)
    with (
        contextlib.chdir(tmp_path / "project")
        if hasattr(contextlib, "chdir")
        else _chdir(tmp_path / "project")
    ):
        yield Store()


@contextlib.contextmanager
def _chdir(path: Path) -> Iterator[None]:
    """contextlib.chdir, which Python 3.10 has not."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


MODULES = [m.name for m in pkgutil.iter_modules(recorder.reading.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings(store: Store, name: str) -> None:
    """What the docstrings of the room show comes out as they show it."""
    module = importlib.import_module(f"recorder.reading.{name}")
    names: dict[str, Any] = {"store": store, "Store": Store, "record": store[2]}
    finder = doctest.DocTestFinder()
    runner = doctest.DocTestRunner()
    for test in finder.find(module, globs=names):
        runner.run(test)
    assert runner.summarize().failed == 0


def test_a_store_is_a_sequence_of_records(store: Store) -> None:
    """Runs are had by number, from the end, by id, name and tag, by slices, and as many as there are."""
    first, second = store
    assert (first.number, second.number, len(store)) == (1, 2, 2)
    assert (
        store[1] == first == store[-2] == store[first.id] == store[first.id[:6]] == store["train~1"]
    )
    assert store[np.int64(2)] == second == store["last"] == store[second]
    assert [record.number for record in reversed(store)] == [2, 1]
    assert [
        [r.number for r in store[part]]
        for part in (slice(2, None), slice(-1, None), slice(None, 2))
    ] == [[2], [2], [1]]
    assert isinstance(first, Record) and 1 in store and first in store and 7 not in store
    for ref in (3, 0, -3, "nothing", "last~2"):
        with pytest.raises(RunNotFoundError):
            store[ref]
    with pytest.raises(TypeError):
        store[1.5]  # type: ignore[call-overload]


def test_the_last_run_of_an_experiment(store: Store) -> None:
    """`last` gives the newest run, of an experiment where one is named, and says when there is none."""
    assert store.last() == store.last("train") == store[2]
    with pytest.raises(RunNotFoundError, match="no run of 'fit'"):
        store.last("fit")


def test_runs_by_query(store: Store) -> None:
    """The grammar, TinyDB's queries and functions find the same runs; a mistake is a QueryError."""
    for condition in (
        "lr < 0.1",
        where("config").lr < 0.1,
        lambda document: document["config"]["lr"] < 0.1,
    ):
        assert [record.number for record in store.runs(where=condition)] == [1]
    assert len(store.runs(where=where("config").nothing == 1)) == 0
    with pytest.raises(QueryError, match="did you mean"):
        store.runs(where="lrr > 1")


def test_tags_and_notes(store: Store) -> None:
    """Tags and notes are given to one run or several, and taken; what is had before stays what it was."""
    before = store[1]
    assert [r.tags for r in store.tag(store.runs(), "paper", "figure")] == [("paper", "figure")] * 2
    assert before.tags == () and store[before].tags == ("paper", "figure")
    assert [r.tags for r in store.untag([1, "last"], "paper")] == [("figure",)] * 2
    assert store.note(before, "the first")[0].note == "the first" == store[1].note
    with pytest.raises(TagError):
        store.tag(1, "12")


def test_a_frame_has_a_dtype_for_each_column(store: Store) -> None:
    """A row a run by number; numbers, texts and times have their dtypes, also where a run lacks them."""
    frame = store.frame()
    assert list(frame.index) == [1, 2] and frame.index.name == "run"
    assert frame["config.lr"].dtype == "float64" and frame["metrics.loss"].tolist() == [0.25, 0.25]
    assert frame["config.layers"].tolist() == [(32, 16)] * 2
    assert frame["config.optim.momentum"].tolist() == [0.9, 0.9]
    assert str(frame["started"].dtype) == "datetime64[us, UTC]"
    assert frame["started"][2] == pd.Timestamp(store[2].started)
    assert len(store.runs()[:0].frame()) == 0


def test_what_is_not_there_is_said(store: Store) -> None:
    """A name that no output, input or metric has is an error with the nearest ones."""
    record = store[1]
    for get, name in (
        (record.output, "weights.npz"),
        (record.series, "los"),
        (record.input, "data.csv"),
    ):
        with pytest.raises(ContentNotFoundError, match="there is"):
            get(name)
