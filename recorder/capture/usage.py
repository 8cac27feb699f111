"""CPU time and memory of a run."""

from __future__ import annotations

import os
import sys

from ..records import Usage

# ru_maxrss is in kilobytes on Linux and in bytes on macOS: see getrusage(2) of each.
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class Meter:
    """A measurement of this process, and of the children it waits for, from creation to `stop`."""

    def __init__(self) -> None:
        self._start = processor_times()
        self._peak_bytes = peak_memory_bytes()

    def stop(self) -> Usage:
        """Return CPU seconds since the start and the process's peak memory in bytes (None on Windows)."""
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
    """Return the user and system CPU seconds of this process and of the children it has waited for.

    getrusage has a resolution of 1 µs, os.times() of 10 ms. Windows has no getrusage, but a finer os.times().
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
    """Return the peak resident memory of this process in bytes, or None if the platform does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT_BYTES
