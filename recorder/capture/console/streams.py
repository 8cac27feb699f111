"""Python's standard streams: which ones end in a descriptor, stand-ins for the others, and flushing.

In a plain script, `sys.stdout` ends in descriptor 1. In Jupyter, under pytest, or inside
`contextlib.redirect_stdout` it does not, so Python's output never reaches the descriptor.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

NAMES = {1: "stdout", 2: "stderr"}
_DESCRIPTORS = frozenset(NAMES)

Take = Callable[[bytes], object]


class StandIn:
    """A stand-in for the stream `sys.<name>` that passes everything on and gives a copy of the output to `take`.

    If copying fails, only the copying ends.
    """

    def __init__(self, stream: Any, *, take: Take) -> None:
        self._stream = stream
        self._take: Take | None = take

    def write(self, data: Any) -> Any:
        """Write to the stream, then copy."""
        count = self._stream.write(data)
        self._copy(
            data.encode("utf-8", "backslashreplace") if isinstance(data, str) else bytes(data)
        )
        return count

    def writelines(self, lines: Any) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        """The binary layer of the stream, copied in the same way. Raises AttributeError if there is none."""
        return StandIn(self._stream.buffer, take=self._copy)

    def end(self) -> None:
        """Stop copying. Other code may still hold this object."""
        self._take = None

    def _copy(self, data: bytes) -> None:
        if self._take is not None:
            try:
                self._take(data)
            except OSError:
                self._take = None

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":
            raise AttributeError(name)  # during copy.copy, the attribute does not exist yet
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)


class StandIns:
    """The stand-ins in place for `sys.stdout` and `sys.stderr`."""

    def __init__(self) -> None:
        self._placed: list[tuple[str, Any, StandIn]] = []

    def find_strangers(self, diverted: frozenset[int] = _DESCRIPTORS) -> list[int]:
        """Return the numbers of the standard streams that end in no diverted descriptor and have no stand-in."""
        found = []
        for fd, name in NAMES.items():
            stream = getattr(sys, name, None)
            ours = any(stream is stand_in for _, _, stand_in in self._placed)
            if stream is not None and not ours and not (fd in diverted and ends_in(stream, fd)):
                found.append(fd)
        return found

    def place(self, fd: int, *, take: Take) -> None:
        """Replace a standard stream by a stand-in."""
        stream = getattr(sys, NAMES[fd])
        stand_in = StandIn(stream, take=take)
        self._placed.append((NAMES[fd], stream, stand_in))
        setattr(sys, NAMES[fd], stand_in)

    def remove(self) -> None:
        """Restore each stream whose stand-in is still in place."""
        for name, stream, stand_in in reversed(self._placed):
            stand_in.end()
            if getattr(sys, name) is stand_in:
                setattr(sys, name, stream)
        self._placed.clear()


def ends_in(stream: Any, fd: int) -> bool:
    """Return True if the stream writes to descriptor `fd`, directly or through a stream that it holds.

    Loggers that print and keep a copy hold the stream that they replaced.
    """
    if _number(stream) == fd:
        return True
    inner = getattr(stream, "__dict__", {})
    return any(_number(held) == fd for held in inner.values() if hasattr(held, "write"))


def _number(stream: Any) -> int | None:
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError, TypeError):
        return None
    return number if isinstance(number, int) else None


def flush() -> None:
    """Flush the buffers of Python and C for the standard streams.

    A stream that cannot be flushed keeps its buffer, and reports the error at the program's own next flush.
    """
    for stream in {id(stream): stream for stream in _streams()}.values():
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    _flush_c()


def holds_back() -> bool:
    """Return True if a standard stream keeps whole lines in its buffer."""
    return any(not (stream.line_buffering or stream.write_through) for stream in _streams())


def _streams() -> list[io.TextIOWrapper]:
    found = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return [stream for stream in found if isinstance(stream, io.TextIOWrapper)]


_c_flush: Callable[[], object] | None = None


def _flush_c() -> None:
    """Flush C's stdout if ctypes is loaded. Importing it takes 7 ms, and C code that prints usually loads it."""
    global _c_flush
    if _c_flush is None:
        _c_flush = _find_c_flush()
    if _c_flush is not None:
        _c_flush()


def _find_c_flush() -> Callable[[], object] | None:
    ctypes = sys.modules.get("ctypes")
    if ctypes is None:
        return None
    try:
        library = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        # Not fflush(NULL), which blocks while a thread reads from C's stdin.
        stdout = ctypes.c_void_p.in_dll(library, name)
    except (AttributeError, OSError, ValueError, TypeError):
        return None
    return lambda: library.fflush(stdout)


def is_open(fd: int) -> bool:
    """Return True if the descriptor is open."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
