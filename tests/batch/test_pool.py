"""Tests of sweeps: several runs of one command line, each in a separate process."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from project import Project

from recorder.batch.report import ProcessReport

TRAIN = """
    import os, sys, time
    from recorder import log, record, rng

    loaded = os.getpid()


    @record(tags=["own"])
    def train(lr: float = 0.1, opt: str = "sgd", wait: float = 0, seed: int = 0):
        log(loss=lr * seed, pid=os.getpid())
        print("printed by", seed)
        open(f"begun-{lr}-{seed}", "w").close()
        time.sleep(wait)
        if lr > 5:
            raise ValueError("diverged [at] once")
        if lr < 0:
            os.kill(os.getpid(), 9)
        return {"hash": os.environ["PYTHONHASHSEED"], "argv": sys.argv[1:], "stdin": sys.stdin.read()}


    @record
    def drawn(n: int = 1):
        return float(rng().normal())
"""


@pytest.fixture
def sweeping(project: Project) -> Project:
    """Return a committed project with the experiments, whose outputs git ignores."""
    project.write("train.py", TRAIN)
    project.write(".gitignore", "begun-*")
    project.commit()
    return project


def runs(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.recorder("list", "--json").stdout)
    return found


def test_a_grid_is_a_run_for_each_cell(sweeping: Project) -> None:
    """Each combination runs in a separate process; one that fails or dies does not stop the others."""
    values = ["lr=0.1,6,-1", "opt=a,b", "seed=0:2"]
    done = sweeping.recorder("run", "train.py:train", *values, "--tag", "t", "-j", "3", status=3)
    found = runs(sweeping)
    cells = {(one["config"]["lr"], one["config"]["opt"], one["config"]["seed"]) for one in found}
    assert cells == {(lr, "a,b", seed) for lr in (0.1, 6.0, -1.0) for seed in (0, 1)}
    ended = {(one["config"]["lr"], one["status"]) for one in found}
    assert ended == {(0.1, "finished"), (6.0, "failed"), (-1.0, "lost")}
    assert len({one["process"]["pid"] for one in found}) == 6
    assert {one["result"]["hash"] for one in found if one["result"]} == {"0"}
    assert {one["result"]["stdin"] for one in found if one["result"]} == {""}
    sweep = found[0]["tags"][-1]
    assert sweep.startswith("sweep-") and {tuple(one["tags"]) for one in found} == {
        ("own", "t", sweep)
    }
    assert "opt=a,b is one string" in done.stderr
    assert "ValueError: diverged [at] once" in done.stderr and "killed by signal 9" in done.stderr
    assert f"2 finished, 4 failed: recorder list --tag {sweep}" in done.stderr
    assert "printed by" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[1].split()[:2] == ["run", "status"]
    listed = sweeping.recorder("list", "--where", f'"{sweep}" in tags', "--json").stdout
    assert len(json.loads(listed)) == 6


def test_repeat_counts_seeds_up(sweeping: Project) -> None:
    """--repeat N uses N seeds that start at --seed, the parameter's value, or 0."""
    sweeping.recorder("run", "train.py:train", "lr=1,2", "--repeat", "2")
    sweeping.recorder("run", "train.py:train", "--repeat", "2", "--seed", "5")
    sweeping.recorder("run", "train.py:drawn", "--repeat", "2", "--seed", "8")
    found = runs(sweeping)
    assert [one["seed_info"]["value"] for one in found] == [0, 1, 0, 1, 5, 6, 8, 9]
    assert [one["config"]["lr"] for one in found[:4]] == [1.0, 1.0, 2.0, 2.0]
    assert found[-1]["result"] != found[-2]["result"]
    stderr = sweeping.recorder("run", "train.py:drawn", "seed=0:3", status=2).stderr
    assert "drawn has no parameter 'seed'; to seed its generators: --seed N or --repeat N" in stderr
    again = json.loads(sweeping.recorder("replay", "8", "--json").stdout)
    assert again["verdict"] == "reproduced"


def test_what_would_run_is_said_and_not_run(sweeping: Project) -> None:
    """--dry-run prints a line for each run, and creates no store."""
    done = sweeping.recorder("run", "train.py:train", "lr=1,2", "--repeat", "2", "--dry-run")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["train:", "4", "runs"], ["lr", "seed"], ["1", "0"], ["1", "1"], ["2", "0"], ["2", "1"],
    ]  # fmt: skip
    assert not (sweeping.root / ".recorder").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=0:101"], "101 runs, more than 100; confirm with --yes"),
        (["seed=0:3", "--repeat", "2"], "--repeat and several values of seed"),
        (["seed=3", "--seed", "2"], "--seed and seed= exclude each other"),
        (["lr=0.1,x"], "lr='x' is not of type float"),
        (["--config", "none.toml"], "none.toml: No such file"),
        (["lr=1,2", "-j", "0"], "-j"),
        (["--tag", "12"], "'12' cannot be a tag"),
    ],
)
def test_a_mistake_is_said_before_anything_runs(
    sweeping: Project, arguments: list[str], message: str
) -> None:
    """Too many runs without --yes, contradictions, and wrong values are usage errors, and nothing is recorded."""
    done = sweeping.recorder("run", "train.py:train", *arguments, status=2)
    assert message in done.stderr
    assert not (sweeping.root / ".recorder").exists()


def test_a_cell_that_cannot_be_loaded_fails_alone(sweeping: Project) -> None:
    """A cell whose module cannot be imported has no run, and the reason is reported."""
    sweeping.write(
        "broken.py",
        "import sys\nif sys.argv[0] != 'broken.py' or len(sys.orig_argv) < 6: 1 / 0\n"
        + "from recorder import record\n@record\ndef f(a: int = 1): return a\n",
    )
    done = sweeping.recorder("run", "broken.py:f", "a=1,2", status=3)
    assert done.stderr.count("no run  a=") == 2 and "ZeroDivisionError" in done.stderr
    assert "2 failed" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_a_sweep_keeps_what_there_is(sweeping: Project, number: int) -> None:
    """Ctrl-C or SIGTERM begins no more runs, interrupts the running ones, and ends with status 130."""
    command = [sys.executable, "-m", "recorder", "run", "train.py:train", "seed=0:6", "-j", "2"]
    process = subprocess.Popen(
        [*command, "wait=60"], cwd=sweeping.root, env=sweeping.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    # The first two wait for a minute.
    wait_for(lambda: len(list(sweeping.root.glob("begun-*"))) == 2)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "2 interrupted, 4 not started: recorder list --tag" in stderr
    assert [one["status"] for one in runs(sweeping)] == ["interrupted", "interrupted"]
    assert not list((sweeping.root / ".recorder" / "live").glob("*/stdout"))


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(os.name == "nt", reason="a Unix terminal")
def test_on_a_terminal_there_is_a_bar_and_a_table(sweeping: Project) -> None:
    """A sweep on a terminal shows a progress bar with the running cells, and ends with the table."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "recorder", "run", "train.py:train", "lr=1,6", "wait=0.5", "-j", "2"],
        cwd=sweeping.root, env={**sweeping.env, "TERM": "xterm", "COLUMNS": "100"}, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    printed = read_all(ours)
    assert process.wait(timeout=60) == 3
    assert "0/2" in printed and "2/2" in printed and "1 failed" in printed
    assert "ValueError: diverged [at] once" in printed
    assert "1 finished, 1 failed: recorder list --tag" in printed


def read_all(descriptor: int) -> str:
    found = b""
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # the process has closed the terminal
            return found.decode(errors="replace")
        if not data:
            return found.decode(errors="replace")
        found += data


def test_a_report_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    """A report replaces the one before, and a reader sees either of them whole."""
    place = str(tmp_path / "0.json")
    assert ProcessReport.read(place) is None
    for report in (
        ProcessReport(store="s", number=3),
        ProcessReport(store="s", number=3, status="finished"),
    ):
        report.write(place)
        assert ProcessReport.read(place) == report
