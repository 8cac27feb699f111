"""A descriptor of the program's, led away into a pipe or pseudo-terminal, and back again."""

from __future__ import annotations

import os
from typing import Any


class Diversion:
    """Descriptor `fd`, led into a pipe or, where it was a terminal, a pseudo-terminal; `far` is the other end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.original = above(os.dup(fd))
        far, near = _open_terminal(fd) or os.pipe()
        self.far, self._near = above(far), above(near)
        self._identity = _identity(self._near)

    def begin(self) -> None:
        """Lead the descriptor away; the tee holds the far end by now."""
        os.dup2(self._near, self.fd)
        self._close("far", "_near")

    def end(self) -> None:
        """Put back what was there, unless the program has put something else in its place."""
        if self._near < 0 <= self.original and _identity(self.fd) == self._identity:
            os.dup2(self.original, self.fd)
        self.forget()

    def forget(self) -> None:
        """Close what is held, and leave the descriptor as it is."""
        self._close("original", "far", "_near")

    def _close(self, *names: str) -> None:
        for name in names:
            held = getattr(self, name)
            if held >= 0:
                setattr(self, name, -1)
                os.close(held)


def _open_terminal(like: int) -> tuple[int, int] | None:
    """A pseudo-terminal of the size and settings of the terminal `like`; None where that is none.

    It passes bytes on as they are: it is the terminal itself that turns line ends into its own.
    """
    if not os.isatty(like):
        return None
    import fcntl
    import termios

    try:
        far, near = os.openpty()
    except OSError:
        return (
            None  # a container without them: the program will find a pipe in the terminal's place
        )
    settings: list[Any] = termios.tcgetattr(like)
    settings[1] &= ~termios.OPOST
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(near, termios.TCSANOW, settings)
    fcntl.ioctl(near, termios.TIOCSWINSZ, fcntl.ioctl(like, termios.TIOCGWINSZ, bytes(8)))
    return far, near


def above(fd: int, *, lowest: int = 3) -> int:
    """The descriptor, or a copy of it from `lowest` upwards: below may lie streams that the program closed."""
    if fd >= lowest:
        return fd
    import fcntl

    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
    os.close(fd)
    return copy


def _identity(fd: int) -> tuple[int, int, int]:
    try:
        status = os.fstat(fd)
    except OSError:
        return (-1, -1, -1)
    return status.st_dev, status.st_ino, status.st_rdev
