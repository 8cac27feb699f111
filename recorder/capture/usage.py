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
        self._start = processor_times()
        self._peak_bytes = peak_memory_bytes()

    def stop(self) -> Usage:
        """Seconds of processor time since the start, and the process's peak memory so far (None on Windows)."""
        user, system = (
            max(0.0, end - start) for end, start in zip(processor_times(), self._start, strict=True)
        )
        return Usage(
            cpu_user_s=user,
            cpu_system_s=system,
            peak_memory_bytes=peak_memory_bytes(),
            peak_memory_before_bytes=self._peak_bytes,
        )


def processor_times() -> tuple[float, float]:
    """Seconds that this process and the children it waited for have spent in user and in system mode.

    To the microsecond, where os.times() counts ticks of 10 ms; Windows has no getrusage, and finer os.times().
    """
    try:
        import resource
    except ImportError:  # Windows
        times = os.times()
        return times.user + times.children_user, times.system + times.children_system
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + children.ru_utime, own.ru_stime + children.ru_stime


def peak_memory_bytes() -> int | None:
    """The largest resident size that this process has had; None where the platform does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT_BYTES
