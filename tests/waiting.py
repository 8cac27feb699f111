"""Wait for a condition with a bound, instead of for a fixed time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], bool], *, within_s: float = 60) -> None:
    """Wait until the condition holds, and fail if it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def wait_for_tick(folder: Path) -> None:
    """Wait until a new file in the folder gets a later time stamp than one made before.

    The kernel dates files by its timer tick, up to 10 ms apart, and a network file system by its server's clock.
    """
    probe = folder / f"tick-{os.getpid()}"

    def stamp() -> int:
        probe.touch()
        return probe.stat().st_ctime_ns

    first = stamp()
    wait_until(lambda: stamp() > first)
    probe.unlink()
