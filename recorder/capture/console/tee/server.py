"""The server of the tee process, which writes down the output of a recorded program and passes it on.

It is a process, not a thread of the program, so that it continues while the program holds Python's lock in C code for
a minute, and after the program crashes or is killed. The last output is then kept. It costs one process start per
program, and imports nothing slow.

Messages (see `.messages`) arrive on the socket at descriptor 3, with descriptors (SCM_RIGHTS):

    add TAP SINK LIMIT ACK SINCE LANES   A run begins. Times count from `SINCE` (ms, monotonic). LANES has one letter
                                    per new lane: "o" for stdout, "e" for stderr, a capital if it is passed on.
                                    Descriptors: for each lane the one to read and, for a capital, the destination;
                                    then the sink's three files for stdout, stderr, and the index.
    remove TAP SINK                 A run ends. Everything printed until now belongs to it.
    scrub LENGTH                    This many bytes follow: credentials, one per line in hex digits, to be removed
                                    from the files from now on. Known formats are always removed.

The answer to `add` and `remove` is ``SINK CUT_OUT CUT_ERR ERRNO LENGTH``: the bytes cut from each stream, the last
error of writing a file, and the number of bytes that follow: the removed credentials, one per line, as "o" or "e" and
hex digits. The very first message is ``ready PID``. The process ends when the program has ended and no process is
left that could print.
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
    """The event loop, which handles messages and output in the order of their arrival."""

    def __init__(self, control: _socket.socket) -> None:
        self._control: _socket.socket | None = control
        self._taps: dict[int, Lanes] = {}
        self._rules = Rules(patterns.find)
        self._ready = Ready()
        self._ready.add(control.fileno())

    def run(self) -> None:
        """Serve until the program and every lane have ended."""
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
        lines = [f"{letter} {value.hex()}\n" for letter, value in sorted(done.taken)]
        taken = "".join(lines).encode()
        send(control, " ".join(map(str, (number, *done.cut_bytes, done.errno, len(taken)))))
        send_bytes(control, taken)

    def _follow_size(self) -> None:
        """Resize each pseudo-terminal whenever its terminal's size changes."""
        import fcntl
        import signal
        import termios

        def copy(*_: object) -> None:
            for lane in [lane for tap in list(self._taps.values()) for lane in tap.lanes]:
                try:
                    size = fcntl.ioctl(lane.onward or -1, termios.TIOCGWINSZ, bytes(8))
                    fcntl.ioctl(lane.fd, termios.TIOCSWINSZ, size)
                except (OSError, ValueError):
                    continue  # not a terminal, or closed, so there is no size to copy

        signal.signal(signal.SIGWINCH, copy)

    def _end_all(self, control: _socket.socket) -> None:
        # The program has ended without a message: write everything that it printed.
        self._ready.remove(control.fileno())
        self._control = None
        for tap in self._taps.values():
            tap.drain()
            for transcript in list(tap.transcripts):
                tap.remove(transcript)
