"""The process that writes down what a recorded program prints, and passes it on to where it would have gone.

A process, and not a thread of the program: it goes on when the program holds Python's lock in C code for a
minute, when it crashes, and when it is killed, so that the last words are kept. It costs one start a program.

It imports nothing that is slow to import. It is told what to do by messages (see `messages`) on the socket at
descriptor 3, descriptors sent along (SCM_RIGHTS):

    add TAP SINK LIMIT ACK SINCE LANES   a run begins, from whose `SINCE` (ms, monotonic) times count: LANES is one
                                    letter for each new lane, "o" stdout, "e" stderr, capitals for lanes that are
                                    passed on; descriptors: of each lane what to read and, for a capital, where to
                                    pass it on; then the sink's three files: stdout, stderr, the index
    remove TAP SINK                 a run ends: what has been printed until now is still its own
    scrub LENGTH                    these many bytes follow: credentials, each a line of hex digits, that are taken
                                    out of the files from now on, as those of the known formats are from the start

The answer to `add` and `remove` is ``SINK CUT_OUT CUT_ERR ERRNO LENGTH``: bytes cut from each stream, the last trouble
with a file, and how many bytes follow: the credentials that were taken out of them, "o" or "e" and hex digits a line.
Its first word of all is ``ready PID``.
It ends when the program has ended and nobody is left who could print.
"""

from __future__ import annotations

import _socket
import os

from ....secrets import patterns
from ....secrets.scrub import Rules
from .lane import Lane, Lanes
from .messages import receive, receive_bytes, send, send_bytes
from .ready import Ready
from .transcript import Transcript


class Server:
    """The loop: messages, and whatever is printed, in the order in which they come."""

    def __init__(self, control: _socket.socket) -> None:
        self._control: _socket.socket | None = control
        self._taps: dict[int, Lanes] = {}
        self._rules = Rules(patterns.find)
        self._ready = Ready()
        self._ready.add(control.fileno())

    def run(self) -> None:
        """Work until the program has ended and every lane has."""
        while self._control is not None or self._taps:
            for fd in self._ready.wait():
                if self._control is not None and fd == self._control.fileno():
                    self._obey(self._control)
                else:
                    self._pump(fd)
            self._tidy()

    def _pump(self, fd: int) -> None:
        for tap in self._taps.values():
            for lane in tap.lanes:
                if lane.fd == fd and not lane.closed:
                    tap.pump(lane)

    def _tidy(self) -> None:
        for number, tap in list(self._taps.items()):
            tap.drop_closed()
            if not tap.lanes and not tap.transcripts:
                del self._taps[number]

    def _obey(self, control: _socket.socket) -> None:
        words, fds = receive(control)
        self._ready.again(control.fileno())
        if not words:
            self._end_all(control)
        elif words[0] == "add":
            self._add(words, fds)
            if words[4] == "1":
                send(control, f"{words[2]} 0 0 0 0")
        elif words[0] == "scrub":
            lines = receive_bytes(control, int(words[1])).decode().split()
            self._rules.set_values(bytes.fromhex(line) for line in lines)
        else:
            self._remove(control, int(words[1]), int(words[2]))

    def _add(self, words: list[str], fds: list[int]) -> None:
        tap = self._taps.setdefault(int(words[1]), Lanes())
        tap.drain()
        for letter in words[6] if len(words) > 6 else "":
            fd = fds.pop(0)
            onward = fds.pop(0) if letter.isupper() else None
            stream = "oe".index(letter.lower())
            lane = Lane(fd, stream=stream, onward=onward, rules=self._rules, ready=self._ready)
            tap.lanes.append(lane)
            if onward is not None and os.isatty(onward):
                self._follow_size()
        out, err, index = fds
        tap.transcripts[int(words[2])] = Transcript(
            (out, err, index), limit_bytes=int(words[3]), since_s=int(words[5]) / 1000
        )

    def _remove(self, control: _socket.socket, tap: int, number: int) -> None:
        lanes = self._taps[tap]
        lanes.drain()
        done = lanes.remove(number)
        lines = [f"{letter} {one.hex()}\n" for letter, one in sorted(done.taken)]
        taken = "".join(lines).encode()
        send(control, " ".join(map(str, (number, *done.cut_bytes, done.errno, len(taken)))))
        send_bytes(control, taken)

    def _follow_size(self) -> None:
        """Give each pseudo-terminal its terminal's size whenever that changes."""
        import fcntl
        import signal
        import termios

        def copy(*_: object) -> None:
            for lane in [lane for tap in list(self._taps.values()) for lane in tap.lanes]:
                try:
                    size = fcntl.ioctl(lane.onward or -1, termios.TIOCGWINSZ, bytes(8))
                    fcntl.ioctl(lane.fd, termios.TIOCSWINSZ, size)
                except (OSError, ValueError):
                    continue  # no terminal, or closed: there is no size to keep up with

        signal.signal(signal.SIGWINCH, copy)

    def _end_all(self, control: _socket.socket) -> None:
        """The program has ended without a word: what it printed is written down to the last byte."""
        self._ready.remove(control.fileno())
        self._control = None
        for tap in self._taps.values():
            tap.drain()
            for transcript in list(tap.transcripts):
                tap.remove(transcript)
