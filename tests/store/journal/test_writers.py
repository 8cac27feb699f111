"""Tests of concurrent writers of one store: real processes, threads, tasks, forks and workers."""

from __future__ import annotations

import asyncio
import collections
import json
import multiprocessing
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from project import Project

from recorder import current_run, log, record
from recorder.records import Record
from recorder.store.store import RunStore

PROCESSES, EACH = 8, 200

# Each process reports that it is ready, and they all start at once.
WRITER = """
    import sys
    from recorder import record, log

    @record
    def write(process: int, i: int):
        for step in range(3):
            log(step=step, value=process * 1000 + i)
        return [process, i]

    process, count = int(sys.argv[1]), int(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    for i in range(count):
        assert write(process, i) == [process, i]
"""


def check_whole(runs: list[Record], *, count: int) -> None:
    """Assert that no run is lost or duplicated, each number is unique, and each run is finished with its own metrics."""
    assert [run.number for run in runs] == list(range(1, count + 1))
    assert len({run.id for run in runs}) == count
    assert collections.Counter(run.status for run in runs) == {"finished": count}
    for run in runs:
        expected = run.config["process"] * 1000 + run.config["i"]
        metric = run.metrics["value"]
        assert (metric.min, metric.max, metric.last, metric.count) == (expected,) * 3 + (3,)
        assert run.result == [run.config["process"], run.config["i"]]


@pytest.mark.parametrize("exists", [True, False], ids=["a store", "no store yet"])
def test_eight_processes_record_two_hundred_runs_each(project: Project, exists: bool) -> None:
    """Concurrent writers, with or without an existing store, lose no run, duplicate none, and get consecutive numbers."""
    project.write("write.py", WRITER)
    if exists:
        RunStore(project.root / ".recorder", create=True)
    processes = [
        subprocess.Popen(
            [sys.executable, "write.py", str(n), str(EACH)],
            cwd=project.root,
            env=project.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert (project.root / ".recorder").exists() is exists
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert (process.returncode, said) == (0, "")
    store = RunStore(project.root / ".recorder")
    check_whole(store.runs(), count=PROCESSES * EACH)
    written = collections.Counter((r.config["process"], r.config["i"]) for r in store.runs())
    assert written == {(p, i): 1 for p in range(PROCESSES) for i in range(EACH)}
    assert list((store.path / "live").iterdir()) == []
    assert list((store.path / "staging").iterdir()) == []
    assert not [path.name for path in store.path.glob("code.git.*")]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """Return a store of this test, which experiments use by default."""
    monkeypatch.setenv("RECORDER_STORE", str(tmp_path / "store"))
    return RunStore(tmp_path / "store", create=True)


def test_eight_threads_record_twenty_five_runs_each(store: RunStore) -> None:
    """Threads of a process keep their runs and metrics apart, and each sees its own current run."""

    @record
    def write(process: int, i: int) -> list[int]:
        mine = current_run()
        for step in range(3):
            log(step=step, value=process * 1000 + i)
            assert current_run() is mine
        return [process, i]

    def work(thread: int) -> None:
        for i in range(25):
            write(thread, i)
        assert current_run() is None

    before = random.getstate()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert random.getstate() == before
    check_whole(store.runs(), count=8 * 25)


def test_twenty_tasks_are_runs_of_their_own(store: RunStore) -> None:
    """Interleaved tasks keep their runs apart; a task started by a run is part of that run."""

    async def log_later(value: int) -> None:
        await asyncio.sleep(0)
        log(step=2, value=value)

    @record
    async def write(process: int, i: int) -> list[int]:
        mine = current_run()
        for step in range(2):
            log(step=step, value=process * 1000 + i)
            await asyncio.sleep(0.001 * (i % 3))
            assert current_run() is mine
        await asyncio.create_task(log_later(process * 1000 + i))
        return [process, i]

    async def all_at_once() -> None:
        await asyncio.gather(*(write(0, i) for i in range(20)))
        assert current_run() is None

    asyncio.run(all_at_once())
    check_whole(store.runs(), count=20)


WORKERS = """
    import multiprocessing, sys
    import joblib
    from recorder import record, log

    @record
    def write(process: int, i: int):
        for step in range(3):
            log(step=step, value=process * 1000 + i)
        return [process, i]

    @record
    def sweep(how: str):
        log(step=0, outer=1)
        jobs = [(p, i) for p in range(4) for i in range(5)]
        if how in ("loky", "threading"):
            parallel = joblib.Parallel(n_jobs=4, backend=how)
            found = parallel(joblib.delayed(write)(p, i) for p, i in jobs)
        else:
            with multiprocessing.get_context(how).Pool(4) as pool:
                found = pool.starmap(write, jobs)
        log(step=1, outer=2)
        return found == [list(job) for job in jobs]

    if __name__ == "__main__":
        sweep(sys.argv[1])
"""


@pytest.mark.parametrize("how", ["loky", "threading", "fork", "spawn", "forkserver"])
def test_workers_record_while_the_run_that_started_them_goes_on(project: Project, how: str) -> None:
    """Workers of joblib and multiprocessing lose no run, and their runs can be replayed."""
    if how not in ("loky", "threading", *multiprocessing.get_all_start_methods()):
        pytest.skip(f"no {how} here")
    project.write("sweep.py", WORKERS)
    done = project.python("sweep.py", how)
    assert (done.stdout, done.stderr) == ("", "")
    outer, *inner = RunStore(project.root / ".recorder").runs()
    assert (outer.experiment, outer.status, outer.result) == ("sweep", "finished", True)
    assert {name: metric.count for name, metric in outer.metrics.items()} == {"outer": 2}
    assert [run.number for run in inner] == list(range(2, 22))
    assert sorted(run.result for run in inner) == [[p, i] for p in range(4) for i in range(5)]
    for run in inner:
        expected = run.config["process"] * 1000 + run.config["i"]
        assert (run.status, run.metrics["value"].min, run.metrics["value"].max) == (
            "finished",
            expected,
            expected,
        )
        assert (run.function.module, run.function.script) == ("sweep", True)
    assert "reproduced" in project.recorder("replay", "2").stdout


FORKED = """
    import os, subprocess, sys
    from recorder import current_run, log, record, save

    how = sys.argv[1]

    @record
    def experiment():
        log(step=0, x=1)
        mine = current_run()
        pid = os.fork()
        if pid == 0:
            assert current_run() is None
            log(step=1, x=100)
            mine.log(child=1)
            save({"of": "the child"}, name="child")
            mine.save({"of": "the child"}, name="child")
            if how == "return":
                return "the child's"
            if how == "exception":
                raise ValueError("the child's")
            if how == "_exit":
                os._exit(0)
            sys.exit(0)
        _, status = os.waitpid(pid, 0)
        look = "from recorder import Store; print(Store().find('last').status)"
        said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True).stdout
        assert said == "running\\n", said
        log(step=2, x=3)
        save({"of": "the parent"}, name="parent")
        return status

    print(experiment(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("how", ["return", "exception", "_exit", "exit"])
def test_a_child_forked_in_a_run_does_not_touch_it(project: Project, how: str) -> None:
    """However a forked child exits, the run goes on, and its record is finished by the parent alone."""
    project.write("forked.py", FORKED)
    done = project.python("forked.py", how)
    (run,) = RunStore(project.root / ".recorder").runs()
    assert run.status == "finished"
    assert run.result == (256 if how == "exception" else 0)
    assert done.stdout == ("the child's\n" if how == "return" else "") + f"{run.result}\n"
    assert done.stderr.count("in a process that was forked from run 1 keeps nothing") == 4
    assert ("ValueError: the child's" in done.stderr) is (how == "exception")
    assert list(run.metrics) == ["x"]
    assert run.series is not None and run.series.text is not None
    rows = [line.split(",") for line in run.series.text.splitlines()]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("name", "step", "value"),
        ("x", "0", "1"),
        ("x", "2", "3"),
    ]
    assert [output.name for output in run.outputs] == ["parent"]
    assert run.warnings == ()
    journal = (project.root / ".recorder" / "runs.jsonl").read_text().splitlines()
    assert len(journal) == 2  # as running and as finished: the child wrote nothing
    assert list((project.root / ".recorder" / "live").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_run_whose_process_was_killed_is_lost_though_its_child_lives(project: Project) -> None:
    """A forked child does not keep its parent's run alive."""
    project.write(
        "orphan.py",
        """
        import os, sys, time
        from recorder import record

        @record
        def experiment():
            printed, tell = os.pipe()
            if os.fork() == 0:
                print("child", os.getpid(), flush=True)
                os.write(tell, b"x")
                time.sleep(60)
                os._exit(0)
            os.read(printed, 1)
            os.kill(os.getpid(), 9)

        experiment()
        """,
    )
    process = subprocess.Popen(
        [sys.executable, "orphan.py"],
        cwd=project.root,
        env=project.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    try:
        assert process.wait(timeout=60) == -9
        (found,) = json.loads(project.recorder("list", "--json").stdout)
        assert found["status"] == "lost"
    finally:
        os.kill(child, 9)
        process.stdout.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_records_runs_of_its_own(project: Project) -> None:
    """A recorded call in a forked child is a separate run, whose parent is the run that it was forked in."""
    project.write(
        "forks.py",
        """
        import os
        from recorder import record, log

        @record
        def inner(n):
            log(n=n)
            return n

        @record
        def outer():
            children = []
            for n in range(4):
                pid = os.fork()
                if pid == 0:
                    inner(n)
                    os._exit(0)
                children.append(pid)
            return [os.waitpid(pid, 0)[1] for pid in children]

        outer()
        """,
    )
    project.python("forks.py")
    outer, *inner = RunStore(project.root / ".recorder").runs()
    assert (outer.status, outer.result, dict(outer.metrics)) == ("finished", [0, 0, 0, 0], {})
    assert [run.number for run in inner] == [2, 3, 4, 5]
    assert sorted(run.result for run in inner) == [0, 1, 2, 3]
    for run in inner:
        assert (run.status, run.parent, run.metrics["n"].last) == ("finished", outer.id, run.result)
