"""Which descriptors can be read, in the order in which they came to be.

A program that prints to stderr and at once to stdout has printed both before this process has woken up. The kernel
knows which was first, and Linux's epoll gives them in that order.
"""

from __future__ import annotations

import select
import sys


class Ready:
    """Descriptors that are waited for."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            self._poll, self._events = select.epoll(), select.EPOLLIN | select.EPOLLONESHOT
        else:
            self._poll, self._events = select.poll(), select.POLLIN

    def add(self, fd: int) -> None:
        """Wait for this one too."""
        self._poll.register(fd, self._events)

    def again(self, fd: int) -> None:
        """Wait for it again: to be said as soon as it was read, so that it takes its place behind others."""
        self._poll.modify(fd, self._events)

    def remove(self, fd: int) -> None:
        """Wait for it no more."""
        self._poll.unregister(fd)

    def wait(self) -> list[int]:
        """Those that can be read, once there is one."""
        return [fd for fd, _ in self._poll.poll()]
