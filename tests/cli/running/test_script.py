"""Tests of `train.main()`: a command line from the signature, equivalent to `recorder run`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from project import Project

SCRIPT = """
    import os
    import sys
    from recorder import record, log


    @record
    def fit(lr: float, hidden_size: int = 3, fast: bool = False, names: list[str] = ["a"], config: str = "c",
            password="hunter2222", optim: dict = {"beta": 1}, seed: int = 0):
        '''Fit a model.'''
        log(loss=lr)
        if lr > 5:
            raise ValueError("diverged")
        return [lr, hidden_size, fast, names, config, optim, seed, sys.argv[1:], os.environ.get("OMP_NUM_THREADS")]


    @fit.preset
    def small():
        '''A quick look.'''
        return {"hidden_size": 1}


    fit.main()
"""


@pytest.fixture
def script(project: Project) -> Project:
    """Return a project with the script, which has no main guard."""
    project.write("fit.py", SCRIPT)
    project.commit()
    return project


def results(project: Project) -> list[Any]:
    return [one["result"] for one in json.loads(project.recorder("list", "--json").stdout)]


def test_the_help_is_made_from_the_signature(script: Project) -> None:
    """The help has each parameter as an option with type and default, without credentials, and presets and docstring."""
    said = " ".join(script.python("fit.py", "--help").stdout.split())
    for text in (
        "Fit a model.", "Presets: small (A quick look.)", "--lr FLOAT required", "--hidden-size, --hidden_size INT default 3",
        "--fast / --no-fast default False", "--names LIST[STR] default ['a']", "--repeat N", "--config FILE", "--seed N",
    ):  # fmt: skip
        assert text in said
    assert "hunter2222" not in said
    assert not (script.root / ".recorder").exists()


def test_options_set_parameters(script: Project) -> None:
    """Options, flags, presets and KEY=VALUE form one config, and the process restarts only if an option needs it."""
    script.python(
        "fit.py", "--lr", "0.3", "--hidden_size", "4", "--fast", "optim.beta=3", "config=x"
    )
    script.python(
        "fit.py",
        "--lr",
        "1",
        "--preset",
        "small",
        "--names",
        '["b"]',
        "--threads",
        "1",
        "--seed",
        "9",
    )
    assert results(script) == [
        [0.3, 4, True, ["a"], "x", {"beta": 3}, 0, [], None],
        [1.0, 1, False, ["b"], "c", {"beta": 1}, 9, [], "1"],
    ]  # fmt: skip
    assert [script.show(n)["process"].get("hash_seed") for n in (1, 2)] == [None, "0"]


def test_mistakes_and_failures_have_their_status(script: Project) -> None:
    """A missing or wrong value gives one line, without a default that is a credential; a failed run exits with 3."""
    for arguments, said in (
        (["--lr", "x"], "lr='x' is not of type float"),
        ([], "missing a required argument: 'lr'"),
    ):
        done = script.python("fit.py", *arguments, status=2)
        assert (
            said in done.stderr and done.stderr.count("\n") == 1 and "hunter2222" not in done.stderr
        )
    assert "ValueError: diverged" in script.python("fit.py", "--lr", "6", status=3).stderr


def test_a_script_runs_a_grid_and_replays(script: Project) -> None:
    """Several values run in processes that load the script up to main(), as `recorder run` and a replay do."""
    done = script.python("fit.py", "--lr", "1,2", "--lr", "3", "--repeat", "2", "-j", "3")
    assert "6 finished: recorder list --tag sweep-" in done.stderr
    assert sorted((one[0], one[6]) for one in results(script)) == [
        (lr, seed) for lr in (1.0, 2.0, 3.0) for seed in (0, 1)
    ]
    script.recorder("run", "fit.py:fit", "lr=4")
    assert results(script)[-1][0] == 4.0
    done = script.recorder("replay", "last", "--secret", "password=hunter2222", "--json")
    assert json.loads(done.stdout)["verdict"] == "reproduced"
