"""Tests of `recorder replay --explain` with real programs: true causes are found, and no others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from project import ROOT, Project
from waiting import wait_until

from recorder.capture.environment.hardware import describe_platform
from recorder.replay.deviations import processors
from recorder.replay.explain.factor import Adjustment, join_changes
from recorder.replay.explain.instruction_sets import numpy_dispatch
from recorder.replay.request import Request
from recorder.store.store import RunStore

# With a fixed hash seed, only the factor under test varies.
FIXED = {"PYTHONHASHSEED": "0"}


def explained(project: Project, run: str, *args: str) -> dict[str, Any]:
    """Explain the replay of a run, compare the tries with the runs in the store, and return the JSON."""
    done = project.recorder("replay", run, "--explain", "--json", *args, status=1)
    found: dict[str, Any] = json.loads(done.stdout)["explanation"]
    store = RunStore(project.root / ".recorder")
    tried = {one["run"]: one["is_kept"] for one in found["tries"]}
    there = {record.number: record for record in store.runs()}
    assert {number for number, kept in tried.items() if kept} == {n for n in tried if n in there}
    assert {record.number for record in store.trash()} >= {
        n for n, kept in tried.items() if not kept
    }
    assert all(there[one["run"]].tags == ("explain",) for one in found["causes"])
    return found


def test_the_order_of_a_set(project: Project) -> None:
    """An output that depends on the hash seed is distinguished from one that reads the clock, and the lines are named."""
    project.write(
        "order.py",
        """
        import time
        from recorder import record, save

        @record
        def order():
            with open("names.csv", "w") as file:
                file.write(",".join({f"name{i}" for i in range(40)}))
            save("names.csv")
            return part() and time.time()

        @record
        def part():
            return 1

        if __name__ == "__main__":
            order()
        """,
    )
    project.python("order.py")
    done = project.recorder("replay", "order", "--explain", status=1)
    assert (
        "\nnames.csv depends on PYTHONHASHSEED, which run 1 did not fix: replays with"
        " PYTHONHASHSEED=0 agree with each other, and others do not (run "
    ) in done.stdout
    assert (
        "in the code: hash order: the order of {f'name{i}' for i in range(40)} (order.py:8)"
        in done.stdout
    )
    assert "to change: sort the set first, or start Python with PYTHONHASHSEED=0" in done.stdout
    assert (
        "\nresult differs between replays whatever is changed: run 1 is not deterministic\n"
        "  may be due to: clock: time.time() (order.py:10)"
    ) in done.stdout
    assert "explaining: replay with PYTHONHASHSEED=1\n" in done.stderr
    listed = json.loads(project.recorder("list", "--json").stdout)
    # The run, the replay, and the try that shows the cause, each with its nested run.
    assert [one["experiment"] for one in listed] == ["order", "part"] * 3
    assert listed[4]["note"] == "explains run 1: with PYTHONHASHSEED=0"


def test_the_clock_is_no_cause(project: Project) -> None:
    """A result with the time is not deterministic, the line is a hint, and a reproduced run has no explanation."""
    project.write(
        "clock.py",
        """
        import time
        from recorder import record

        @record
        def clock(read: bool = True):
            return time.time() if read else 0

        if __name__ == "__main__":
            clock(False)
            clock()
        """,
    )
    project.python("clock.py", env=FIXED)
    found = explained(project, "last")
    assert found["causes"] == []
    assert (found["varying"], found["unexplained"]) == (["result"], ["result"])
    assert found["hints"] == ["clock: time.time() (clock.py:7)"]
    fine = project.recorder("replay", "1", "--explain", "--json")
    assert json.loads(fine.stdout)["explanation"] is None
    for args in (["--repeat", "2"], ["--set", "read=false"]):
        assert (
            "--explain is for one replay"
            in project.recorder("replay", "1", "--explain", *args, status=2).stderr
        )


def test_a_file_that_never_appears_again_is_no_evidence(project: Project) -> None:
    """A file with a random name varies; no change is credited with its absence."""
    project.write(
        "named.py",
        """
        import os
        from recorder import record

        @record
        def named():
            with open(f"part-{os.urandom(4).hex()}1.txt", "w") as file:
                file.write("the same")
            return {word for word in ("a", "b", "c")} and 1

        if __name__ == "__main__":
            named()
        """,
    )
    project.python("named.py")
    found = explained(project, "1")
    assert found["causes"] == []
    assert found["varying"] and set(found["unexplained"]) == set(found["varying"])
    assert all("not deterministic" in sentence for sentence in found["sentences"])


SUMS = """
    import sys
    from recorder import record

    @record
    def total(*paths: str):
        return sum(int(open(path).read()) for path in paths), len(paths)

    if __name__ == "__main__":
        total(*sys.argv[1:])
"""


def test_changed_inputs(project: Project) -> None:
    """The changed input that matters is found among several, and where two matter, exactly those two."""
    data = [project.write(f"../{name}.txt", "1").resolve() for name in "abc"]
    project.write("total.py", SUMS)
    project.python("total.py", *map(str, data), env=FIXED)
    data[0].write_text("1 ")
    data[1].write_text("5")
    one = explained(project, "last", "--current-inputs")
    assert [cause["items"] for cause in one["causes"]] == [["result"]]
    assert one["sentences"] == [
        f"result depends on {data[1]}, which has changed since run 1: with the stored b.txt it matches the record"
    ]
    project.python("total.py", *map(str, data), env=FIXED)
    data[1].write_text("6")
    data[2].write_text("7")
    (both,) = explained(project, "last", "--current-inputs")["causes"]
    assert both["reproduces"] and both["said"] == "the stored b.txt and the stored c.txt"


def test_changed_code(project: Project) -> None:
    """With --current-code the recorded code explains a divergence."""
    project.write("total.py", SUMS)
    file = project.write("../a.txt", "3")
    project.python("total.py", str(file), env=FIXED)
    project.write("total.py", SUMS.replace("len(paths)", "-len(paths)"))
    found = explained(project, "last", "--current-code")
    assert found["causes"][0]["said"] == "the recorded code"
    assert len(found["tries"]) == 3  # again; and the change, twice


def make_python(folder: Path, *, tiny: str, factor: int) -> str:
    """Return an interpreter with this one's packages, and a version of the package `tiny` that scales by a factor."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    packages = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join([*packages, str(ROOT), ""]))
    (site / "tiny.py").write_text(f"def scale(x):\n    return {factor} * x\n")
    info = site / f"tiny-{tiny}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tiny\nVersion: {tiny}\n")
    (info / "RECORD").write_text("tiny.py,,\n")
    return str(folder / "bin" / "python")


@pytest.mark.skipif(sys.platform == "win32", reason="its virtual environments have another layout")
def test_a_changed_package(project: Project, tmp_path: Path) -> None:
    """A changed package is the cause, with both versions, where the recorded one restores the result."""
    old = make_python(tmp_path / "old", tiny="1.0", factor=2)
    make_python(tmp_path / "new", tiny="2.0", factor=3)
    project.write(
        "scaled.py",
        """
        import tiny
        from recorder import record

        @record
        def scaled(x: int = 2):
            return tiny.scale(x)

        if __name__ == "__main__":
            scaled()
        """,
    )

    def call(*args: str, status: int = 0) -> str:
        done = subprocess.run(
            [old, *args],
            cwd=project.root,
            env={**project.env, **FIXED},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    call("scaled.py")
    said = call(
        "-m", "recorder", "replay", "1", "--env", str(tmp_path / "new"), "--explain", status=1
    )
    assert (
        "result depends on the installed versions, which differ from run 1 (tiny: 1.0 -> 2.0): with"
        in said
    )
    assert "it matches the record" in said
    assert "to change: install the recorded versions (recorder env 1 lists them)" in said


@pytest.mark.skipif(processors() < 2, reason="needs two processors")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_the_number_of_processors(project: Project) -> None:
    """The number of processors is the cause where a sum is split by it."""
    project.write(
        "parts.py",
        """
        import os
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        from recorder import record

        @record
        def total():
            numbers = np.random.default_rng(0).standard_normal(1_000_003).astype(np.float32)
            workers = len(os.sched_getaffinity(0))
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(lambda part: part.cumsum()[-1], np.array_split(numbers, workers)))
            return float(sum(parts, np.float32(0)))

        if __name__ == "__main__":
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
            total()
        """,
    )
    project.python("parts.py", env=FIXED)
    found = explained(project, "last")
    (cause,) = found["causes"]
    assert cause["reproduces"] and cause["said"] == "one processor"
    assert found["varying"] == []


@pytest.mark.torch
@pytest.mark.skipif(processors() < 2, reason="needs PyTorch and two processors")
def test_a_race_of_threads(project: Project) -> None:
    """Deterministic algorithms, or one thread, explain a sum that threads compute in any order."""
    project.write(
        "race.py",
        """
        import torch
        from recorder import record

        @record
        def scatter():
            torch.manual_seed(0)
            index = torch.randint(0, 5, (5_000_000,))  # 10 ms of two threads: longer than a time slice
            return torch.zeros(5).index_put_((index,), torch.randn(5_000_000), accumulate=True).tolist()

        if __name__ == "__main__":
            scatter()
        """,
    )
    project.python("race.py", env=FIXED)
    found = explained(project, "last")
    (cause,) = found["causes"]
    assert cause["said"] in ("deterministic algorithms", "one thread")
    assert found["varying"] == ["result"] and not found["unexplained"]


def has_avx2() -> bool:
    return "avx2" in describe_platform()["cpu"]["instructions"]


@pytest.mark.skipif(not has_avx2(), reason="needs a processor with AVX2")
@pytest.mark.parametrize(
    ("variable", "computes", "said"),
    [
        ("OPENBLAS_CORETYPE", "numbers @ numbers[:20].T", "OpenBLAS's code for Nehalem"),
        ("NPY_DISABLE_CPU_FEATURES", "np.sin(numbers)", "instruction sets up to "),
    ],
)
def test_instruction_sets(project: Project, variable: str, computes: str, said: str) -> None:
    """The instruction sets are the cause where another processor rounded differently."""
    program = """
        import os
        import numpy as np
        from recorder import record

        @record
        def compute():
            numbers = np.random.default_rng(0).standard_normal((301, 257)).astype(np.float32)
            return COMPUTES

        if __name__ == "__main__":
            # Like a processor without AVX2: the variable is gone when the environment is recorded.
            os.environ.pop("VARIABLE")
            compute()
        """
    project.write("compute.py", program.replace("COMPUTES", computes).replace("VARIABLE", variable))
    lesser = (
        "Nehalem" if variable == "OPENBLAS_CORETYPE" else " ".join(numpy_dispatch(sys.executable))
    )
    project.python("compute.py", env={**FIXED, variable: lesser})
    done = project.recorder("replay", "1", "--json", status=None)
    if done.returncode == 0:
        pytest.skip("this NumPy rounds the same with and without AVX2")
    (cause,) = explained(project, "1")["causes"]
    assert cause["reproduces"] and cause["said"].startswith(said)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C works differently there")
def test_ctrl_c_leaves_no_tries(project: Project) -> None:
    """An interrupted explanation ends with status 130, and its tries are in the trash."""
    project.write(
        "slow.py",
        """
        import time
        from recorder import record

        @record
        def slow(wait: float = 0.5):
            time.sleep(wait)
            return time.time()

        if __name__ == "__main__":
            slow()
        """,
    )
    project.python("slow.py", env=FIXED)
    command = [sys.executable, "-m", "recorder", "replay", "1", "--explain"]
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    store = RunStore(project.root / ".recorder")
    for line in process.stderr:
        if line.startswith("explaining: "):
            break
    wait_until(lambda: len(store) >= 3)  # the try is running
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in said
    assert [record.verdict is not None for record in store.runs()] == [False, True]
    assert [record.status for record in store.trash()] == ["interrupted"]


def test_changes_joined() -> None:
    """Joined changes apply together and leave every other option of the request."""
    joined = join_changes(
        [
            Adjustment(said="a", variables={"A": "1"}, current_inputs=False),
            Adjustment(said="b", variables={"B": "2"}, processors=1, inputs={"x": "y"}),
        ]
    )
    assert (joined.said, joined.processors) == ("a and b", 1)
    request = Request(variables={"A": "0", "C": "3"}, rtol=0.5, current_inputs=True)
    changed = joined.apply(request)
    assert changed.variables == {"A": "1", "B": "2", "C": "3"}
    assert (changed.current_inputs, changed.inputs, changed.rtol) == (False, {"x": "y"}, 0.5)
    assert sys.executable == changed.interpreter
