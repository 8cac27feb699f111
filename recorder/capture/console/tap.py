"""Redirection of a process's stdout and stderr through the tee, and back.

A `Tap` lasts from the start of the first console to the stop of the last. Descriptors 1 and 2 become the write ends
of pipes, or slaves of pseudo-terminals. Only the tee process holds the far ends, so output flows without any code
running in this process.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple, TypeAlias

from .redirect import Diversion, above
from .streams import StandIns, is_open
from .tee.messages import CONTROL, receive, receive_bytes, send, send_bytes

_TEE = Path(__file__).with_name("tee") / "__main__.py"
_READY_WITHIN_S = 20.0
_numbers = itertools.count(1)

# Signals to the whole process group (Ctrl-C, Ctrl-Z, a scheduler's notice) are meant for the program, not for the
# tee. The shell ignores them, and its children inherit that. The shell also makes the tee an orphan of the program,
# so that the program's os.wait() does not return it.
_SIGNALS = "HUP INT QUIT TERM TSTP TTIN TTOU USR1 USR2 ALRM VTALRM PROF XCPU"
_START = f'trap "" {_SIGNALS}; "$@" >/dev/null 2>&1 &'


# The files for stdout, stderr, and the index of arrivals.
Files: TypeAlias = tuple[int, int, int]


class Written(NamedTuple):
    """The omissions in the files of a sink: bytes cut from each stream, and removed credentials, marked "o" or "e".

    `errno` is the last error of writing a file, or 0.
    """

    cut_bytes: tuple[int, int]
    errno: int
    taken: frozenset[tuple[str, bytes]]


class Scribe:
    """A connection to the tee process `pid`. Raises OSError if the process cannot be started, or is gone.

    Starting takes 20 ms, in which this process continues. Use the connection once it is `ready`.
    """

    pid: int | None = None

    def __init__(self) -> None:
        import _socket

        ours, theirs = _socket.socketpair()
        self._control = _socket.socket(fileno=above(ours.detach()))
        child = above(theirs.detach(), lowest=CONTROL + 1)
        try:
            _spawn(child)
            os.close(child)
            child = -1
            self._values: frozenset[bytes] = frozenset()
        except BaseException:
            self._control.close()
            raise
        finally:
            if child >= 0:
                os.close(child)

    def ready(self) -> Scribe:
        """Wait until the process has reported that it runs, and return self."""
        if self.pid is None:
            self._control.settimeout(_READY_WITHIN_S)
            self.pid = int(self._hear()[1])
            self._control.settimeout(None)
        return self

    def tell(self, *words: object, fds: tuple[int, ...] = ()) -> None:
        """Send one message."""
        send(self._control, " ".join(map(str, words)), fds)

    def scrub(self, values: Collection[bytes]) -> None:
        """Remove `values`, in addition to earlier ones, from everything written from now on."""
        if not self._values.issuperset(values):
            self._values |= frozenset(values)
            payload = "\n".join(sorted(value.hex() for value in self._values)).encode()
            self.tell("scrub", len(payload))
            send_bytes(self._control, payload)

    def hear_of(self, sink: int) -> Written:
        """Receive the answer about a sink, skipping earlier answers that an interrupt left unread."""
        while True:
            words = self._hear()
            taken = receive_bytes(self._control, int(words[4])).decode()
            if words[0] == str(sink):
                out, err, errno = map(int, words[1:4])
                pairs = [line.split() for line in taken.splitlines()]
                found = {(letter, bytes.fromhex(text)) for letter, text in pairs}
                return Written((out, err), errno, frozenset(found))

    def _hear(self) -> list[str]:
        words, _ = receive(self._control)
        if not words:
            raise ConnectionError("the tee process has ended")
        return words

    def close(self) -> None:
        """Hang up. The process ends when no process is left that could print."""
        self._control.close()


def _spawn(control: int) -> None:
    program = [sys.executable, "-I", "-S", str(_TEE)]
    # If Python is embedded in another program, sys.executable is that program.
    is_python = "py" in Path(sys.executable or "").name.lower() and not getattr(
        sys, "frozen", False
    )
    if not (is_python and hasattr(os, "posix_spawn") and _TEE.is_file()):
        raise OSError("the tee process cannot be started on this system")
    shell = ["sh", "-c", _START, "sh", *program]
    actions = [(os.POSIX_SPAWN_DUP2, control, CONTROL)]
    pid = os.posix_spawn("/bin/sh", shell, os.environ, file_actions=actions)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # the program ignores SIGCHLD, so its children are not waited for


class Tap:
    """A redirection of the process's streams from the first sink to the last.

    Each sink consists of three files: for stdout, for stderr, and for the index of arrivals.
    """

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._number = next(_numbers)
        self._sinks: set[int] = set()
        self._diversions: list[Diversion] = []
        self._stand_ins = StandIns()
        self._pipes: list[int] = []

    def add(
        self, files: Files, *, limit_bytes: int, since_s: float, values: Collection[bytes] = ()
    ) -> int:
        """Begin to write the output, without credentials, to the files too, and return the number of the new sink.

        Times in the index count from `since_s` (`time.monotonic`). `values` are credentials known by their text.
        Raises OSError.
        """
        sink, nested = next(_numbers), bool(self._sinks)
        words = (sink, limit_bytes, int(nested), int(since_s * 1000))
        try:
            self._scribe.scrub(values)
            self._add(sink, files, words, nested)
        except BaseException:
            if not nested:
                self.end()
            raise
        self._sinks.add(sink)
        return sink

    def _add(self, sink: int, files: Files, words: tuple[int, ...], nested: bool) -> None:
        if not nested:
            for fd in (1, 2):
                if is_open(fd):
                    self._diversions.append(Diversion(fd))
        new = [] if nested else self._diversions
        strangers = self._stand_ins.find_strangers(frozenset(one.fd for one in self._diversions))
        pipes = [(fd, *map(above, os.pipe())) for fd in strangers]
        lanes = "".join("OE"[diversion.fd - 1] for diversion in new) + "".join(
            "oe"[fd - 1] for fd, _, _ in pipes
        )
        fds = [held for diversion in new for held in (diversion.far, diversion.original)] + [
            far for _, far, _ in pipes
        ]
        self._scribe.tell("add", self._number, *words, lanes, fds=(*fds, *files))
        if nested:
            self._scribe.hear_of(sink)
        for diversion in new:
            diversion.begin()
        for fd, far, near in pipes:
            os.close(far)
            self._pipes.append(near)
            self._stand_ins.place(fd, take=functools.partial(_write_all, near))

    def remove(self, sink: int) -> Written:
        """End a sink. Everything printed so far is in its files.

        Raises OSError if the tee process is gone.
        """
        self._sinks.discard(sink)
        if not self._sinks:
            self.end()
        self._scribe.tell("remove", self._number, sink)
        return self._scribe.hear_of(sink)

    @property
    def is_idle(self) -> bool:
        """True if no sink is left."""
        return not self._sinks

    def end(self) -> None:
        """Restore each stream that the program has not replaced since."""
        self._stand_ins.remove()
        for diversion in self._diversions:
            diversion.end()
        for near in self._pipes:
            os.close(near)
        self._diversions, self._pipes = [], []

    def forget(self) -> None:
        """Release everything in a forked child. Its parent restores the streams."""
        for diversion in self._diversions:
            diversion.forget()
        self._scribe.close()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
