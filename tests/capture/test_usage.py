"""Tests for CPU time and memory: measured at the end, and sampled during a run on request."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from project import Project

from recorder import record
from recorder.capture.sampling import Sampler
from recorder.capture.usage import Meter
from recorder.store.store import RunStore


def test_usage_is_measured() -> None:
    """CPU time, including that of children, and memory are about right."""
    meter = Meter()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    sum(range(3_000_000))
    usage = meter.stop()
    assert usage.cpu_user_s > 0.02
    assert usage.peak_memory_bytes is None or 10**7 < usage.peak_memory_bytes < 10**11


def test_a_short_run_has_processor_time() -> None:
    """A millisecond of work is measured, although clock ticks are 10 ms."""
    meter = Meter()
    start = time.perf_counter()
    while time.perf_counter() - start < 0.001:
        pass
    usage = meter.stop()
    assert 0 < usage.cpu_user_s + usage.cpu_system_s < 1


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_a_peak_of_an_earlier_run_is_told_from_ones_own() -> None:
    """A peak of memory counts for a run only if it is higher than before the run."""
    Meter()
    idle = Meter().stop()
    assert idle.peak_memory_bytes is not None
    assert idle.peak_memory_before_bytes == idle.peak_memory_bytes
    meter = Meter()
    held = bytearray(idle.peak_memory_bytes)
    held[::4096] = b"x" * len(held[::4096])
    usage = meter.stop()
    assert usage.peak_memory_bytes is not None and usage.peak_memory_before_bytes is not None
    assert usage.peak_memory_bytes > usage.peak_memory_before_bytes


def test_samples_of_work_and_memory() -> None:
    """Samples show a busy process and a child's memory, and a short run has a sample too."""
    samples: list[dict[str, int | float]] = []
    sampler = Sampler(3600, samples.append)
    start = time.process_time()
    while time.process_time() - start < 0.2:
        pass
    sampler.stop()
    (sample,) = samples
    assert sampler.problem == "" and not sampler._thread.is_alive()
    assert sample["usage.cpu_percent"] > 1
    assert 10**7 < sample["usage.memory_bytes"] < 10**11


def test_a_sample_that_fails_ends_the_sampling() -> None:
    """A failing sample ends the thread without a traceback, and the reason is kept."""

    def refuse(sample: object) -> None:
        raise OSError("no space left")

    sampler = Sampler(0.001, refuse)
    sampler._thread.join(30)
    assert not sampler._thread.is_alive()
    sampler.stop()
    assert sampler.problem == "OSError: no space left"


SAMPLED = """
import time
from recorder import log, record

@record(usage=0.02)
def f():
    log(loss=1.0)
    time.sleep(0.1)  # five samples
    return 1

f()
"""


def test_a_sampled_run(project: Project) -> None:
    """Samples are metrics of the run, but are ignored by verdicts, diffs, and the list of runs."""
    project.write("e.py", SAMPLED)
    project.python("e.py")
    store = RunStore(project.root)
    (run,) = store.runs()
    assert run.metrics["usage.cpu_percent"].count >= 1
    assert run.metrics["usage.memory_bytes"].last > 10**7
    replay = project.recorder("replay", "1")
    assert "reproduced" in replay.stdout and "usage." not in replay.stdout
    assert "usage." not in project.recorder("diff", "1", "2").stdout
    assert "usage." not in project.recorder("list").stdout
    assert "usage.memory_bytes" in project.recorder("show", "1").stdout


def test_only_samples_are_no_evidence(project: Project) -> None:
    """A replay of a run with nothing but samples verifies nothing."""
    project.write("e.py", SAMPLED.replace("    log(loss=1.0)\n", "").replace("return 1", "return"))
    project.python("e.py")
    assert "nothing verified" in project.recorder("replay", "1", status=4).stdout


def test_without_psutil(project: Project) -> None:
    """Without psutil, sampling causes a warning, or an error with strict=True, and psutil is imported only on request."""
    project.write("psutil.py", "raise ImportError('none')")
    project.write("e.py", SAMPLED)
    assert "psutil is missing" in project.python("e.py").stderr
    (run,) = RunStore(project.root).runs()
    assert list(run.metrics) == ["loss"] and "psutil is missing" in run.warnings[0]
    project.write("e.py", SAMPLED.replace("usage=0.02", "usage=0.02, strict=True"))
    assert "psutil is missing" in project.python("e.py", status=1).stderr
    project.write(
        "e.py", SAMPLED.replace("usage=0.02", "") + "import sys; print('psutil' in sys.modules)"
    )
    assert project.python("e.py").stdout == "False\n"
    assert len(RunStore(project.root).runs()) == 2


def test_a_metric_under_a_sampled_name(project: Project) -> None:
    """A user's metric with a sampled name is kept, with a warning that replays ignore it."""
    project.write("e.py", SAMPLED.replace("loss=1.0", "{'usage.mine': 2}"))
    project.python("e.py")
    (run,) = RunStore(project.root).runs()
    assert run.metrics["usage.mine"].last == 2 and "usage.mine" in run.warnings[0]


def test_an_interval_must_be_positive() -> None:
    """An interval that is not positive is refused by the decorator."""
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="usage="):
            record(usage=wrong)
