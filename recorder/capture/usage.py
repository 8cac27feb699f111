"""What a run takes: processor time and memory."""

from __future__ import annotations

import os
import sys

from ..records import Usage

# ru_maxrss is in kilobytes on Linux and in bytes on macOS: getrusage(2) of each.
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class Meter:
    """Measures this process, and the children that it waits for, from its making to `stop`."""

    def __init__(self) -> None:
        self._start = os.times()

    def stop(self) -> Usage:
        """Seconds of processor time since the start, and the process's peak memory so far (None on Windows)."""
        end = os.times()
        user = end.user - self._start.user + end.children_user - self._start.children_user
        system = end.system - self._start.system + end.children_system - self._start.children_system
        return Usage(cpu_user_s=user, cpu_system_s=system, peak_memory_bytes=peak_memory_bytes())


def peak_memory_bytes() -> int | None:
    """The largest resident size that this process has had; None where the platform does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT_BYTES
