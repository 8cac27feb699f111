"""The readable descriptors in the order in which they became readable.

A program can print to stderr and then to stdout before the tee wakes up. The kernel knows which was first, and Linux's
epoll returns descriptors in that order.
"""

from __future__ import annotations

import select
import sys


class Ready:
    """A set of descriptors to wait for."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            self._poll, self._events = select.epoll(), select.EPOLLIN | select.EPOLLONESHOT
        else:
            self._poll, self._events = select.poll(), select.POLLIN

    def add(self, fd: int) -> None:
        """Add a descriptor."""
        self._poll.register(fd, self._events)

    def again(self, fd: int) -> None:
        """Wait for the descriptor again. Call this right after reading, so that it queues behind the others."""
        self._poll.modify(fd, self._events)

    def remove(self, fd: int) -> None:
        """Remove a descriptor."""
        self._poll.unregister(fd)

    def wait(self) -> list[int]:
        """Wait until a descriptor is readable, and return all that are."""
        return [fd for fd, _ in self._poll.poll()]
