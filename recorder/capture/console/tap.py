"""Leading a process's stdout and stderr through the tee, and back again.

A `Tap` lasts from the start of the first console to the stop of the last. Descriptors 1 and 2 become the
write ends of pipes, or the slaves of pseudo-terminals, whose far ends only the tee's process holds: nothing in
this process has to run for the output to flow.
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

# Signals to the whole process group (Ctrl-C, Ctrl-Z, a scheduler's notice) are for the program and not for its
# tee: the shell ignores them, and what is ignored stays so in what it starts. And the shell is there so that
# the program is not the tee's parent: its os.wait() meets no stranger.
_SIGNALS = "HUP INT QUIT TERM TSTP TTIN TTOU USR1 USR2 ALRM VTALRM PROF XCPU"
_START = f'trap "" {_SIGNALS}; "$@" >/dev/null 2>&1 &'


# Of stdout, of stderr, of the index of arrivals.
Files: TypeAlias = tuple[int, int, int]


class Written(NamedTuple):
    """What the files of a sink lack: bytes cut from each stream, and the credentials, with "o" or "e" for the stream.

    `errno` is the last trouble with a file, 0 without.
    """

    cut_bytes: tuple[int, int]
    errno: int
    taken: frozenset[tuple[str, bytes]]


class Scribe:
    """The conversation with the tee's process `pid`. Raises OSError where it cannot be started, or has gone.

    It is spoken to once it is `ready`, 20 ms later, in which this process does something else.
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
        """Itself, once its process has said that it is there."""
        if self.pid is None:
            self._control.settimeout(_READY_WITHIN_S)
            self.pid = int(self._hear()[1])
            self._control.settimeout(None)
        return self

    def tell(self, *words: object, fds: tuple[int, ...] = ()) -> None:
        """Send one message."""
        send(self._control, " ".join(map(str, words)), fds)

    def scrub(self, values: Collection[bytes]) -> None:
        """Let nothing of `values` be written from now on, and nothing of what was named before."""
        if not self._values.issuperset(values):
            self._values |= frozenset(values)
            payload = "\n".join(sorted(one.hex() for one in self._values)).encode()
            self.tell("scrub", len(payload))
            send_bytes(self._control, payload)

    def hear_of(self, sink: int) -> Written:
        """The answer about a sink; earlier ones, which an interrupt left unread, are passed over."""
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
            raise ConnectionError("the process that writes it down has ended")
        return words

    def close(self) -> None:
        """Hang up; the process ends when nobody is left who could print."""
        self._control.close()


def _spawn(control: int) -> None:
    program = [sys.executable, "-I", "-S", str(_TEE)]
    # Where Python is part of another program, that is what sys.executable would start.
    is_python = "py" in Path(sys.executable or "").name.lower() and not getattr(
        sys, "frozen", False
    )
    if not (is_python and hasattr(os, "posix_spawn") and _TEE.is_file()):
        raise OSError("the process that writes down what is printed cannot be started from here")
    shell = ["sh", "-c", _START, "sh", *program]
    actions = [(os.POSIX_SPAWN_DUP2, control, CONTROL)]
    pid = os.posix_spawn("/bin/sh", shell, os.environ, file_actions=actions)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # the program has set its children to be waited for by nobody


class Tap:
    """The process's streams, diverted from the first sink to the last; each sink is three files.

    These are stdout's, stderr's, and that of the index of arrivals.
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
        """Write what is printed from now on to the files too, but for credentials; the new sink's number.

        Times in the index count from `since_s`, by `time.monotonic`. `values` are credentials that are known by their
        text. Raises OSError.
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
        lanes = "".join("OE"[one.fd - 1] for one in new) + "".join(
            "oe"[fd - 1] for fd, _, _ in pipes
        )
        fds = [held for one in new for held in (one.far, one.original)] + [
            far for _, far, _ in pipes
        ]
        self._scribe.tell("add", self._number, *words, lanes, fds=(*fds, *files))
        if nested:
            self._scribe.hear_of(sink)
        for one in new:
            one.begin()
        for fd, far, near in pipes:
            os.close(far)
            self._pipes.append(near)
            self._stand_ins.place(fd, take=functools.partial(_write_all, near))

    def remove(self, sink: int) -> Written:
        """End a sink: what was printed until now is in its files.

        Raises OSError where the tee's process has gone.
        """
        self._sinks.discard(sink)
        if not self._sinks:
            self.end()
        self._scribe.tell("remove", self._number, sink)
        return self._scribe.hear_of(sink)

    @property
    def is_idle(self) -> bool:
        """Whether no sink is left."""
        return not self._sinks

    def end(self) -> None:
        """Put every stream back where it is still ours."""
        self._stand_ins.remove()
        for one in self._diversions:
            one.end()
        for near in self._pipes:
            os.close(near)
        self._diversions, self._pipes = [], []

    def forget(self) -> None:
        """In a forked child: leave the streams as they are, they are its parent's to put back."""
        for one in self._diversions:
            one.forget()
        self._scribe.close()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
