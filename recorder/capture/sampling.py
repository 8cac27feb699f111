"""A thread that samples CPU, memory, and GPU usage during a run, for ``@record(usage=SECONDS)``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..formats.points import SAMPLED

Write = Callable[[dict[str, int | float]], None]


def can_sample() -> bool:
    """Import psutil, which sampling requires, and return True if it is installed."""
    try:
        import psutil  # noqa: F401
    except ImportError:
        return False
    return True


class Sampler:
    """A thread that passes a sample to `write` every `interval_s` seconds, and a last one when stopped.

    A sample has usage.cpu_percent (100 per processor, since the last sample) and usage.memory_bytes (resident), both
    for this process and its children. If pynvml is installed, it also has usage.gpuN.percent and
    usage.gpuN.memory_bytes of each whole GPU, whoever uses it. `names` are the metrics written so far. Any error
    ends the sampling and is kept in `problem`. Raises ImportError if psutil is not installed.
    """

    def __init__(self, interval_s: float, write: Write) -> None:
        import psutil

        self._psutil: Any = psutil
        self._gpus = Gpus()
        self._interval_s = interval_s
        self._write = write
        self._stopped = threading.Event()
        self.problem = ""
        self.names: set[str] = set()
        self._attempt(self._begin)
        self._thread = threading.Thread(target=self._run, name="recorder-usage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take the last sample and end the thread. `problem` is "" if everything worked."""
        self._stopped.set()
        self._thread.join()
        self._attempt(self._sample)
        self._attempt(self._gpus.close)

    def _begin(self) -> None:
        self._process: Any = self._psutil.Process()
        self._last = time.monotonic(), self._look()[0]

    def _run(self) -> None:
        while not self.problem and not self._stopped.wait(self._interval_s):
            self._attempt(self._sample)

    def _attempt(self, act: Callable[[], None]) -> None:
        """Call `act`, unless an earlier call failed."""
        try:
            if not self.problem:
                act()
        except Exception as error:  # noqa: BLE001 - reported by the run; a thread must not end in a traceback
            self.problem = f"{type(error).__name__}: {' '.join(str(error).split())}"

    def _sample(self) -> None:
        sample = {**self._describe(), **self._gpus.describe()}
        self.names |= sample.keys()
        self._write(sample)

    def _describe(self) -> dict[str, int | float]:
        now = time.monotonic()
        cpu_s, memory_bytes = self._look()
        then, before_s = self._last
        self._last = now, cpu_s
        share = max(0.0, cpu_s - before_s) / max(now - then, 1e-9)
        return {
            f"{SAMPLED}cpu_percent": round(100 * share, 2),
            f"{SAMPLED}memory_bytes": memory_bytes,
        }

    def _look(self) -> tuple[float, int]:
        """Return CPU seconds and current memory in bytes of the process and its children, including ended ones."""
        cpu_s, memory_bytes = 0.0, 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
            except self._psutil.Error:  # a child has ended
                continue
            cpu_s += times.user + times.system
            cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            memory_bytes += memory.rss
        return cpu_s, memory_bytes


class Gpus:
    """NVIDIA GPUs through pynvml. Empty if pynvml or the driver is not installed."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        try:
            import pynvml
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except pynvml.NVMLError:  # no driver
            return
        self._nvml = pynvml

    def describe(self) -> dict[str, int | float]:
        """Return used memory in bytes and utilization in percent by GPU, as far as the driver reports them."""
        found: dict[str, int | float] = {}
        for index, handle in enumerate(self._handles):
            name = f"{SAMPLED}gpu{index}"
            try:
                found[f"{name}.memory_bytes"] = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used)
                found[f"{name}.percent"] = int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            except self._nvml.NVMLError:  # a MIG instance has no utilization
                continue
        return found

    def close(self) -> None:
        """Shut down NVML."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._handles = []
            self._nvml = None
