"""Reuse of a finished run in place of a call, only if everything that decides the call is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from project import Project

from recorder import record

TRAIN = """
    import os
    from pathlib import Path

    import numpy as np
    from recorder import log, record, save


    @record
    def train(lr: float = 0.1, data: str = "data.txt", fail: bool = False, seed: int = 0):
        print("it runs")
        log(loss=lr)
        Path("model.txt").write_text(f"{lr} {seed}")
        save("model.txt")
        Path("found.txt").write_text(f"{lr}")
        if fail:
            raise ValueError("no")
        return {"text": Path(data).read_text(), "array": np.full(3, lr)}


    @record
    def free(n: int = 1):
        return n
"""


@pytest.fixture
def trained(project: Project) -> Project:
    """A project with one run of the experiment; git ignores its input."""
    project.write("train.py", TRAIN)
    project.write("data.txt", "one")
    project.write(".gitignore", "*.txt\n__pycache__\n")
    project.commit()
    run(project)
    return project


def run(project: Project, *arguments: str, **options: Any) -> str:
    """Call ``recorder run --reuse``, and return its message about the run."""
    done = project.recorder("run", "train.py:train", "--reuse", *arguments, **options)
    said = done.stderr.strip().splitlines()[-1]
    assert ("is reused" in said) == ("it runs" not in done.stdout)
    return said.partition(":")[0]


def test_an_identical_call_is_reused(trained: Project) -> None:
    """An identical call is not run again: the run is named, gets the tag, and the files that it wrote are restored."""
    (trained.root / "model.txt").write_text("another")
    (trained.root / "found.txt").unlink()
    assert run(trained, "--tag", "again") == "run 1 is reused"
    assert (trained.root / "model.txt").read_text() == "0.1 0"
    assert (trained.root / "found.txt").read_text() == "0.1"
    assert trained.show(1)["tags"] == ["again"]
    assert run(trained, "seed=0", "lr=0.1") == "run 1 is reused"
    assert len(json.loads(trained.recorder("list", "--json").stdout)) == 1
    done = trained.recorder("run", "train.py:train", "lr=0.1,0.2", "--reuse")
    assert "run 1  lr=0.1  reused" in done.stderr and "run 2  lr=0.2  finished" in done.stderr
    sweep = done.stderr.strip().rpartition(" ")[2]
    assert "1 finished, 1 reused" in done.stderr and sweep in trained.show(1)["tags"]
    again = trained.recorder("run", "train.py:train", "lr=0.1,0.2", "--reuse").stderr
    assert "2 reused" in again and "finished" not in again


def test_a_change_leads_to_a_new_run(trained: Project) -> None:
    """A different config, seed, input, variable, hash seed, signing key or code leads to a new run."""
    assert run(trained, "lr=0.2") == "run 2"
    assert run(trained, "--seed", "1") == "run 3"
    assert run(trained, env={"OMP_NUM_THREADS": "1"}) == "run 4"
    assert run(trained, env={"PYTHONHASHSEED": "5"}) == "run 5"
    assert run(trained, env={"RECORDER_KEY_FILE": str(trained.root.parent / "key")}) == "run 6"
    (trained.root / "data.txt").write_text("two")
    assert run(trained) == "run 7"
    (trained.root / "data.txt").write_text("one")
    assert run(trained) == "run 1 is reused"
    trained.write("train.py", TRAIN + "\n    # changed\n")
    assert run(trained) == "run 8"


def test_failed_runs_and_replays_are_not_reused(trained: Project) -> None:
    """Failed runs and replays are not reused."""
    for number in (2, 3):
        assert run(trained, "fail=true", status=3) == f"run {number}"
    trained.recorder("replay", "1")
    trained.recorder("remove", "1", "--yes")
    assert run(trained) == "run 5"


def test_a_drawn_seed(trained: Project) -> None:
    """A run with a drawn seed is reused for a call that would draw one, and not for a call with a given seed."""
    for arguments, said in (
        ([], "run 2: "), ([], "run 2 is reused"), (["--seed", "3"], "run 3: "), (["--seed", "3"], "run 3 is reused"),
    ):  # fmt: skip
        done = trained.recorder("run", "train.py:free", "--reuse", *arguments)
        assert said in done.stderr


SCRIPT = """
    import asyncio, json, logging, os
    from pathlib import Path

    from recorder import record
    from recorder.store.store import RunStore

    ran = []


    @record(reuse=True)
    def read(name: str):
        ran.append(name)
        import decimal
        return {"text": Path(name).read_text(), "tuple": (1, 2)}


    @record(reuse=True)
    async def wait(n: int):
        ran.append(n)
        return n


    @record
    def outer():
        return read("data.txt")["text"]


    def make(value):
        @record(reuse=True)
        def inner(n: int = 1):
            return value
        return inner


    if __name__ == "__main__":
        logging.basicConfig(format="%(message)s", level=logging.INFO)
        first = read("data.txt")
        assert read("data.txt") == first == {"text": "one", "tuple": (1, 2)}
        assert asyncio.run(wait(3)) == asyncio.run(wait(3)) == 3
        assert ran == ["data.txt", 3]
        assert outer() == "one" and ran == ["data.txt", 3]
        assert make(1)() == 1 and make(2)() == 2
        Path("data.txt").write_text("two")
        assert read("data.txt")["text"] == "two"
        print(json.dumps([run.experiment for run in RunStore().runs()]))
"""


def test_a_function_that_reuses_returns_what_it_returned(project: Project) -> None:
    """reuse=True returns the stored result without a call; an enclosing run gets its inputs; a closure is always called."""
    project.write("script.py", SCRIPT)
    project.write("data.txt", "one")
    project.write(".gitignore", "data.txt\n__pycache__\n")
    project.commit()
    done = project.python("script.py")
    assert json.loads(done.stdout) == ["read", "wait", "outer", "inner", "inner", "read"]
    assert "read: run 1 is reused" in done.stderr
    assert [item["path"] for item in project.show(3)["inputs"]] == ["data.txt"]
    found = json.loads(project.recorder("replay", "outer", "--json").stdout)
    assert found["verdict"] == "reproduced"
    assert [one["experiment"] for one in json.loads(project.recorder("list", "--json").stdout)][6:] == [
        "outer", "read",
    ]  # fmt: skip


def test_a_generator_cannot_be_reused() -> None:
    """Decorating a generator with reuse=True raises TypeError, since its values are not kept."""
    with pytest.raises(TypeError, match="count is a generator"):

        @record(reuse=True)
        def count() -> Any:
            yield 1
