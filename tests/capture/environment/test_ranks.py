"""Tests for jobs of several ranks, of which only the first records."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from project import Project

from recorder.capture.environment.ranks import find_rank
from recorder.store.store import RunStore

SIZE = 4

# The variables of rank `r` of `n` as each launcher sets them, all on one machine.
LAUNCHERS: dict[str, Any] = {
    "torchrun": lambda r, n: {
        "RANK": r, "WORLD_SIZE": n, "LOCAL_RANK": r, "LOCAL_WORLD_SIZE": n, "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 29500, "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": 0,
    },
    "Slurm": lambda r, n: {
        "SLURM_PROCID": r, "SLURM_NTASKS": n, "SLURM_JOB_ID": 1234, "SLURM_STEP_ID": 0, "SLURM_LOCALID": r,
        "SLURM_STEP_NUM_TASKS": n,
    },
    "Open MPI": lambda r, n: {
        "OMPI_COMM_WORLD_RANK": r, "OMPI_COMM_WORLD_SIZE": n, "OMPI_COMM_WORLD_LOCAL_SIZE": n,
        "PMIX_NAMESPACE": "prterun-host-77@1",
    },
    "MPICH": lambda r, n: {"PMI_RANK": r, "PMI_SIZE": n, "MPI_LOCALNRANKS": n},
    "MVAPICH": lambda r, n: {
        "MV2_COMM_WORLD_RANK": r, "MV2_COMM_WORLD_SIZE": n, "MV2_COMM_WORLD_LOCAL_SIZE": n,
    },
}  # fmt: skip

TRAIN = """
    import asyncio, json, os, random
    import numpy as np
    from recorder import current_run, log, record, save

    @record
    def train(epochs: int, seed=None):
        for epoch in range(epochs):
            log(step=epoch, loss=1 / (epoch + 1))
        save({"epochs": epochs}, name="model")
        return [current_run() is not None, seed, random.random(), float(np.random.rand())]

    @record
    async def evaluate(seed: int = 7):
        await asyncio.sleep(0)
        log(accuracy=0.5)
        return [current_run() is not None, seed, random.random(), float(np.random.rand())]

    if __name__ == "__main__":
        before = random.getstate()
        found = [train(3), train(3), asyncio.run(evaluate())]
        if not found[0][0]:
            log(outside=1)
        assert random.getstate() == before or "UNSEEDED" in os.environ
        print(json.dumps(found))
"""


def variables(launcher: str, rank: int, size: int = SIZE) -> dict[str, str]:
    """Return the variables of one rank."""
    return {name: str(value) for name, value in LAUNCHERS[launcher](rank, size).items()}


def start(
    project: Project, ranks: list[Mapping[str, str]], *command: str
) -> list[subprocess.CompletedProcess[str]]:
    """Start the command in all ranks at once."""
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=project.root,
            env={**project.env, **rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ranks
    ]
    done = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return done


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_one_job_is_one_run(project: Project, launcher: str) -> None:
    """Of four ranks, only the first records each call, and all draw the same seeds."""
    project.write("train.py", TRAIN)
    done = start(project, [variables(launcher, r) for r in range(SIZE)], "train.py")
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * SIZE
    found = [json.loads(one.stdout) for one in done]
    assert [[call[0] for call in calls] for calls in found] == [[True] * 3, *[[False] * 3] * 3]
    assert all([c[1:] for c in calls] == [c[1:] for c in found[0]] for calls in found)
    runs = RunStore(project.root / ".recorder").runs()
    assert [(run.number, run.experiment, run.status) for run in runs] == [
        (1, "train", "finished"),
        (2, "train", "finished"),
        (3, "evaluate", "finished"),
    ]
    assert [run.result for run in runs] == found[0]
    assert [run.seed for run in runs] == [found[0][0][1], found[0][1][1], 7]
    assert runs[0].seed != runs[1].seed
    for run in runs:
        assert run.warnings == () and run.process is not None and run.process.ranks is not None
        assert (run.process.ranks.launcher, run.process.ranks.count) == (launcher, SIZE)
    assert runs[0].metrics["loss"].count == 3
    shown = project.recorder("show", "1").stdout
    assert f"rank     the first of 4, started by {launcher}" in shown


def test_seeds_are_drawn_afresh_for_each_job(project: Project) -> None:
    """Two jobs with the same variables draw different seeds."""
    project.write("train.py", TRAIN)
    project.write(
        "launch.py",
        """
        import json, os, subprocess, sys

        ranks = [
            subprocess.Popen([sys.executable, "train.py"], env={**os.environ, "RANK": str(r)}, stdout=subprocess.PIPE)
            for r in range(2)
        ]
        seeds = {json.loads(rank.communicate()[0])[0][1] for rank in ranks}
        assert len(seeds) == 1, seeds
        print(seeds)
        """,
    )
    env = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    assert (
        project.python("launch.py", env=env).stdout != project.python("launch.py", env=env).stdout
    )
    assert (
        len({run.seed for run in RunStore(project.root / ".recorder").runs()}) == 5
    )  # 7 occurs twice


def test_shells_between_the_launcher_and_python(project: Project) -> None:
    """Ranks that are each started by a shell script draw the same seed."""
    project.write("train.py", TRAIN)
    wrapper = f"import os; os.execv('/bin/sh', ['sh', '-c', '{sys.executable} train.py; true'])"
    done = start(project, [variables("MPICH", r) for r in range(2)], "-c", wrapper)
    seeds = [[call[1] for call in json.loads(one.stdout)] for one in done]
    assert seeds[0] == seeds[1]
    assert not RunStore(project.root / ".recorder").runs()[0].warnings


def test_ranks_with_nothing_in_common(project: Project) -> None:
    """If the ranks cannot draw a common seed, the record warns, and a given seed is planted in all of them."""
    project.write("train.py", TRAIN)
    apart = {"LOCAL_WORLD_SIZE": "1", "UNSEEDED": "1"}
    ranks = [variables("torchrun", r, 2) | apart for r in range(2)]
    first, second = start(project, ranks, "train.py")
    assert first.stderr.count("RecorderWarning: the ranks of this job have no common id") == 2
    assert second.stderr == ""
    runs = RunStore(project.root / ".recorder").runs()
    assert ["pass a seed to the experiment" in " ".join(run.warnings) for run in runs] == [
        True,
        True,
        False,
    ]
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    assert one[0][1] != two[0][1] and one[2][1:] == two[2][1:]


def test_a_step_on_several_machines(project: Project) -> None:
    """torchrun on two machines of a Slurm step derives the seed from the step, and its rank takes precedence."""
    project.write("train.py", TRAIN)
    step = {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "9", "SLURM_STEP_ID": "3"}
    local = {"LOCAL_WORLD_SIZE": "1"}
    ranks = [
        variables("torchrun", r, 2) | step | local | {"SLURM_PROCID": str(1 - r)} for r in range(2)
    ]
    one, two = (json.loads(done.stdout) for done in start(project, ranks, "train.py"))
    assert [call[1:] for call in one] == [call[1:] for call in two]
    assert (one[0][0], two[0][0]) == (True, False)


def test_what_is_no_rank() -> None:
    """The shell of a batch script, a job of one process, and incomplete or invalid variables are not ranks."""
    slurm = variables("Slurm", 0)
    assert find_rank(slurm) is not None
    for step in (None, "batch", "4294967291", "4294967290", ""):
        shell = {name: value for name, value in slurm.items() if name != "SLURM_STEP_ID"}
        assert find_rank(shell if step is None else {**shell, "SLURM_STEP_ID": step}) is None
    for launcher in LAUNCHERS:
        assert find_rank(variables(launcher, 0, 1)) is None
        assert find_rank({**variables(launcher, 1), "RECORDER_RANKS": "all"}) is None
    for wrong in ({"RANK": "1"}, {"WORLD_SIZE": "4"}, {"RANK": "4", "WORLD_SIZE": "4"},
                  {"RANK": "-1", "WORLD_SIZE": "4"}, {"RANK": "", "WORLD_SIZE": "x"}, {}):  # fmt: skip
        assert find_rank(wrong) is None


def test_tasks_that_are_no_job(project: Project) -> None:
    """With RECORDER_RANKS=all, each task records its own run."""
    project.write("train.py", TRAIN)
    ranks = [variables("Slurm", r) | {"RECORDER_RANKS": "all"} for r in range(SIZE)]
    assert [one.returncode for one in start(project, ranks, "train.py")] == [0] * SIZE
    runs = RunStore(project.root / ".recorder").runs()
    assert [run.number for run in runs] == list(range(1, 3 * SIZE + 1))
    assert all(run.process is not None and run.process.ranks is None for run in runs)


def test_recorder_run_in_ranks(project: Project) -> None:
    """`recorder run` in four ranks makes one run, and a failing experiment fails in each rank."""
    project.write(
        "train.py",
        """
        from recorder import log

        def train(lr: float):
            log(lr=lr)
            return 1 / lr
        """,
    )
    ranks = [variables("Slurm", r) for r in range(SIZE)]
    done = start(project, ranks, "-m", "recorder", "run", "train.py:train", "lr=0.5")
    assert [(one.returncode, one.stderr) for one in done] == [
        (0, "run 1: recorder show 1\n"),
        *[(0, "")] * 3,
    ]
    done = start(project, ranks, "-m", "recorder", "run", "train.py:train", "lr=0")
    assert [one.returncode for one in done] == [3] * SIZE
    assert all("ZeroDivisionError" in one.stderr for one in done)
    runs = RunStore(project.root / ".recorder").runs()
    assert [run.status for run in runs] == ["finished", "failed"]


def test_workers_of_the_first_rank(project: Project) -> None:
    """Processes started by the first rank inherit its variables, record, and draw their own seeds."""
    project.write(
        "pool.py",
        """
        import multiprocessing, subprocess, sys
        from recorder import record

        @record
        def work(n):
            return n

        @record
        def lead():
            with multiprocessing.get_context("fork").Pool(2) as pool:
                pool.map(work, range(4), chunksize=1)
            for n in range(2):
                subprocess.run([sys.executable, "pool.py", str(n)], check=True)

        if __name__ == "__main__":
            work(int(sys.argv[1])) if sys.argv[1:] else lead()
        """,
    )
    done = start(project, [variables("torchrun", r) for r in range(2)], "pool.py")
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 2
    outer, *inner = RunStore(project.root / ".recorder").runs()
    assert (outer.experiment, outer.status, outer.warnings) == ("lead", "finished", ())
    assert sorted(run.result for run in inner) == [0, 0, 1, 1, 2, 3]
    assert len({run.seed for run in inner}) == 6
    assert all(run.status == "finished" and run.warnings == () for run in inner)


DISTRIBUTED = """
    import os
    import torch
    import torch.distributed as dist
    from recorder import log, record, save

    @record
    def train(steps: int = 3):
        several = "RANK" in os.environ
        if several:
            dist.init_process_group("gloo")
        weight = torch.randn(4)
        for step in range(steps):
            gradient = torch.full((4,), float(step))
            if several:
                dist.all_reduce(gradient)
                gradient /= dist.get_world_size()
            weight -= 0.1 * gradient
            log(step=step, norm=weight.norm())
        if several:
            same = [torch.zeros(4) for _ in range(dist.get_world_size())]
            dist.all_gather(same, weight)
            assert all(torch.equal(one, weight) for one in same)
            dist.destroy_process_group()
        save(weight, name="weight")
        return weight.tolist()

    if __name__ == "__main__":
        train()
"""


@pytest.mark.torch
def test_torchrun(project: Project) -> None:
    """torchrun with two ranks makes one run without warnings, its ranks start equal, and a plain shell replays it."""
    project.write("train.py", DISTRIBUTED)
    done = project.python(
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py")
    )
    assert "RecorderWarning" not in done.stderr
    (run,) = RunStore(project.root / ".recorder").runs()
    assert (run.status, run.metrics["norm"].count, run.warnings) == ("finished", 3, ())
    assert run.process is not None and run.process.ranks is not None
    assert (run.process.ranks.launcher, run.process.ranks.count) == ("torchrun", 2)
    replay = project.recorder("replay", "1", status=None)
    assert "run 1 was the first of 2 ranks; its replay is a single process" in replay.stderr
    assert replay.returncode == 0, replay.stdout + replay.stderr
    again = RunStore(project.root / ".recorder").find(2)
    assert again.process is not None and again.process.ranks is None
