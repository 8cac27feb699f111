"""Redirection of a file descriptor into a pipe or a pseudo-terminal, and back."""

from __future__ import annotations

import os
from typing import Any


class Diversion:
    """A redirection of descriptor `fd` into a pipe, or a pseudo-terminal for a terminal. `far` is the other end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.original = above(os.dup(fd))
        far, near = _open_terminal(fd) or os.pipe()
        self.far, self._near = above(far), above(near)
        self._identity = _identity(self._near)

    def begin(self) -> None:
        """Redirect the descriptor. The tee must hold the far end by now."""
        os.dup2(self._near, self.fd)
        self._close("far", "_near")

    def end(self) -> None:
        """Restore the original, unless the program has replaced the descriptor since."""
        if self._near < 0 <= self.original and _identity(self.fd) == self._identity:
            os.dup2(self.original, self.fd)
        self.forget()

    def forget(self) -> None:
        """Close the held descriptors without touching `fd`."""
        self._close("original", "far", "_near")

    def _close(self, *names: str) -> None:
        for name in names:
            held = getattr(self, name)
            if held >= 0:
                setattr(self, name, -1)
                os.close(held)


def _open_terminal(like: int) -> tuple[int, int] | None:
    """Open a pseudo-terminal with the size and settings of the terminal `like`. Return None if it is not a terminal.

    Output processing is off, because the real terminal already converts line ends.
    """
    if not os.isatty(like):
        return None
    import fcntl
    import termios

    try:
        far, near = os.openpty()
    except OSError:
        return None  # a container without pseudo-terminals: the program sees a pipe in place of the terminal
    settings: list[Any] = termios.tcgetattr(like)
    settings[1] &= ~termios.OPOST
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(near, termios.TCSANOW, settings)
    fcntl.ioctl(near, termios.TIOCSWINSZ, fcntl.ioctl(like, termios.TIOCGWINSZ, bytes(8)))
    return far, near


def above(fd: int, *, lowest: int = 3) -> int:
    """Return the descriptor, or a copy from `lowest` up. Lower numbers may belong to streams the program closed."""
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
