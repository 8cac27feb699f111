"""The process that writes down what a recorded program prints, and passes it on to where it would have gone.

A process, and not a thread of the program: it goes on when the program holds Python's lock in C code for a
minute, when it crashes, and when it is killed, so that the last words are kept. It costs one start a program.

Run as a script, this module imports nothing of recorder's but its neighbours `formats` and `scrub`, which import
nothing of recorder's at all. It is told what to do by messages of `MESSAGE_BYTES` on the socket at descriptor 3, blanks
at the end, descriptors sent along (SCM_RIGHTS):

    add TAP SINK LIMIT ACK LANES    a run begins: LANES is one letter for each new lane, "o" stdout, "e" stderr,
                                    capitals for lanes that are passed on; descriptors: of each lane what to
                                    read and, for a capital, where to pass it on; then the sink's two files
    remove TAP SINK                 a run ends: what has been printed until now is still its own
    scrub LENGTH                    these many bytes follow: credentials, each a line of hex digits, that are taken
                                    out of the files from now on, as those of the known formats are from the start

The answer to `add` and `remove` is ``SINK CUT_OUT CUT_ERR ERRNO LENGTH``: bytes cut from each file, the last trouble
with a file, and how many bytes follow: the credentials that were taken out of them, "o" or "e" and hex digits a line.
Its first word of all is ``ready PID``.
It ends when the program has ended and nobody is left who could print.
"""

from __future__ import annotations

# The C module: socket.py takes 10 ms to import, as long as the interpreter itself.
import _socket
import os
import select
import sys

TYPE_CHECKING = False  # typing takes 5 ms to import
if TYPE_CHECKING:
    from .scrub import Rules, Scrubber

MESSAGE_BYTES = 64
CONTROL = 3
_CHUNK_BYTES = 1 << 16
# More than any pipe holds: a child that prints without end does not keep a run from ending.
_DRAIN_BYTES = 1 << 22
_SLACK_BYTES = 1 << 20
_ORDER = sys.byteorder


class Sink:
    """A file that keeps the first and the last half of `limit_bytes`; `cut_bytes` were left out between them.

    The first half is written as it comes, the last when the sink is closed.
    """

    def __init__(self, fd: int, *, limit_bytes: int) -> None:
        self._fd = fd
        self._room = limit_bytes - limit_bytes // 2
        self._tail_bytes = limit_bytes // 2
        self._tail = bytearray()
        self.cut_bytes = 0
        self.errno = 0

    def write(self, data: bytes | memoryview) -> None:
        """Take in `data`. Trouble with the file is kept in `errno`, and ends the writing."""
        if self._room >= len(data):
            self._room -= len(data)
            self._put(data)
            return
        self._put(data[: self._room])
        self._tail += data[self._room :]
        self._room = 0
        if len(self._tail) > self._tail_bytes + _SLACK_BYTES:
            self._trim()

    def close(self) -> None:
        """Write the tail, after a line that says how much is missing before it, and close the file."""
        self._trim()
        if self.cut_bytes:
            self._put(b"\n[recorder: %d bytes cut here]\n" % self.cut_bytes)
        self._put(self._tail)
        os.close(self._fd)

    def _trim(self) -> None:
        excess = max(0, len(self._tail) - self._tail_bytes)
        self.cut_bytes += excess
        del self._tail[:excess]

    def _put(self, data: bytes | bytearray | memoryview) -> None:
        try:
            while data and not self.errno:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.errno = error.errno or 5


class Lane:
    """One way into a tap: what is read from `fd` belongs to a stream (0 or 1) and is passed on to `onward`."""

    def __init__(self, fd: int, *, stream: int, onward: int | None, scrubber: Scrubber) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.stream = stream
        self.onward = onward
        self.closed = False
        self.scrubber = scrubber

    def read(self) -> bytes | None:
        """What is there to read, None where there is nothing now; closes the lane at its end."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""  # EIO: the other side of a pseudo-terminal was closed
        if not data:
            self.close()
        return data or None

    def pass_on(self, data: bytes) -> None:
        """Write to where it would have gone; waits as the program itself would have waited."""
        view = memoryview(data)
        while view and self.onward is not None:
            try:
                view = view[os.write(self.onward, view) :]
            except BlockingIOError:
                select.select([], [self.onward], [])
            except BrokenPipeError:
                self.close()  # so that the program meets the broken pipe at its own next write
            except OSError:
                self._forget_onward()

    def close(self) -> None:
        """Close both ends."""
        if not self.closed:
            self.closed = True
            os.close(self.fd)
            self._forget_onward()

    def _forget_onward(self) -> None:
        if self.onward is not None:
            os.close(self.onward)
            self.onward = None


class Tap:
    """The lanes of one stretch of recording, and the sinks that now take in what comes through them."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.sinks: dict[int, tuple[Sink, Sink]] = {}
        # The credentials that were taken out of each sink, with their stream's letter.
        self.taken: dict[int, set[tuple[str, bytes]]] = {}

    def pump(self, lane: Lane) -> int:
        """Take in and pass on what there is to read at once; how many bytes that was."""
        data = lane.read()
        if data is None:
            if lane.closed:
                self._write(lane, lane.scrubber.flush())
            return 0
        self._write(lane, lane.scrubber.feed(data))
        lane.pass_on(data)
        return len(data)

    def _write(self, lane: Lane, data: bytes) -> None:
        taken, lane.scrubber.found = lane.scrubber.found, []
        for number, sinks in self.sinks.items():
            sinks[lane.stream].write(data)
            self.taken[number].update(("oe"[lane.stream], one) for one in taken)

    def drain(self) -> None:
        """Take in everything that has been printed so far."""
        for lane in self.lanes:
            done = 0
            while done < _DRAIN_BYTES and not lane.closed:
                count = self.pump(lane)
                if not count:
                    break
                done += count
            self._write(lane, lane.scrubber.flush())
        self.lanes = [lane for lane in self.lanes if not lane.closed]

    def remove(self, number: int) -> tuple[tuple[int, int, int], bytes]:
        """Close a sink: the bytes cut from its two files and the last errno; what was taken out of them."""
        out, err = self.sinks.pop(number)
        out.close()
        err.close()
        lines = [f"{letter} {one.hex()}\n" for letter, one in sorted(self.taken.pop(number))]
        return (out.cut_bytes, err.cut_bytes, out.errno or err.errno), "".join(lines).encode()


class Tee:
    """The loop: messages first, then whatever was printed."""

    def __init__(
        self, control: _socket.socket, *, rules: Rules, new_scrubber: type[Scrubber]
    ) -> None:
        self._control: _socket.socket | None = control
        self._taps: dict[int, Tap] = {}
        self._rules = rules
        self._new_scrubber = new_scrubber

    def run(self) -> None:
        """Work until the program has ended and every lane has."""
        while self._control is not None or self._taps:
            ready = self._wait()
            if self._control is not None and self._control.fileno() in ready:
                self._obey(self._control)
            for number, tap in list(self._taps.items()):
                for lane in tap.lanes:
                    if lane.fd in ready:
                        tap.pump(lane)
                self._tidy(number, tap)

    def _wait(self) -> set[int]:
        poll = select.poll()
        if self._control is not None:
            poll.register(self._control.fileno(), select.POLLIN)
        for tap in self._taps.values():
            for lane in tap.lanes:
                poll.register(lane.fd, select.POLLIN)
        return {fd for fd, _ in poll.poll()}

    def _tidy(self, number: int, tap: Tap) -> None:
        tap.lanes = [lane for lane in tap.lanes if not lane.closed]
        if not tap.lanes and not tap.sinks:
            del self._taps[number]

    def _obey(self, control: _socket.socket) -> None:
        words, fds = receive(control)
        if not words:
            self._end_all()
        elif words[0] == "add":
            tap = self._taps.setdefault(int(words[1]), Tap())
            tap.drain()
            self._add(tap, int(words[2]), int(words[3]), words[5] if len(words) > 5 else "", fds)
            if words[4] == "1":
                send(control, f"{words[2]} 0 0 0 0")
        elif words[0] == "scrub":
            lines = receive_bytes(control, int(words[1])).decode().split()
            self._rules.set_values(bytes.fromhex(line) for line in lines)
        else:
            tap = self._taps[int(words[1])]
            tap.drain()
            said, taken = tap.remove(int(words[2]))
            send(control, " ".join(map(str, (words[2], *said, len(taken)))))
            send_bytes(control, taken)

    def _add(self, tap: Tap, number: int, limit_bytes: int, lanes: str, fds: list[int]) -> None:
        for letter in lanes:
            fd = fds.pop(0)
            onward = fds.pop(0) if letter.isupper() else None
            stream, scrubber = "oe".index(letter.lower()), self._new_scrubber(self._rules)
            tap.lanes.append(Lane(fd, stream=stream, onward=onward, scrubber=scrubber))
            if onward is not None and os.isatty(onward):
                self._follow_size()
        out, err = fds
        tap.taken[number] = set()
        tap.sinks[number] = (Sink(out, limit_bytes=limit_bytes), Sink(err, limit_bytes=limit_bytes))

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

    def _end_all(self) -> None:
        """The program has ended without a word: what it printed is written down to the last byte."""
        self._control = None
        for number, tap in list(self._taps.items()):
            tap.drain()
            for sink in list(tap.sinks):
                tap.remove(sink)
            self._tidy(number, tap)


def send(control: _socket.socket, text: str, fds: tuple[int, ...] = ()) -> None:
    """Send one message and, with it, descriptors. Raises OSError where nobody listens."""
    packed = b"".join(fd.to_bytes(4, _ORDER) for fd in fds)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if fds else []
    # No SIGPIPE: a program may have chosen to die of it, at its own writes and not at ours.
    control.sendmsg(
        [text.encode().ljust(MESSAGE_BYTES)], rights, getattr(_socket, "MSG_NOSIGNAL", 0)
    )


def receive(control: _socket.socket) -> tuple[list[str], list[int]]:
    """The words of one message and the descriptors sent along; no words at the end of the conversation."""
    data = b""
    fds: list[int] = []
    while len(data) < MESSAGE_BYTES:
        try:
            more, rights, _, _ = control.recvmsg(MESSAGE_BYTES - len(data), _socket.CMSG_SPACE(64))
        except ConnectionError:
            more, rights = b"", []
        if not more:
            return [], fds
        data += more
        for _, _, packed in rights:
            fds += [int.from_bytes(packed[at : at + 4], _ORDER) for at in range(0, len(packed), 4)]
    return data.decode().split(), fds


def send_bytes(control: _socket.socket, data: bytes) -> None:
    """Send what a message has announced. Raises OSError where nobody listens."""
    if data:
        control.sendall(data, getattr(_socket, "MSG_NOSIGNAL", 0))


def receive_bytes(control: _socket.socket, count: int) -> bytes:
    """What a message has announced; less of it where the other side has gone."""
    data = b""
    while len(data) < count and (more := control.recv(count - len(data))):
        data += more
    return data


def _close_others() -> None:
    """Close every descriptor that was inherited by accident: it might keep a pipe of somebody's open."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - pathlib takes 10 ms to import
        if int(name) > CONTROL:
            try:
                os.close(int(name))
            except OSError:
                continue  # the listing's own descriptor


def main() -> None:
    """Serve the program at the other end of the socket."""
    _close_others()
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - as above
    os.chdir("/")
    control = _socket.socket(fileno=CONTROL)
    send(control, f"ready {os.getpid()}")
    # This is a script: the folder that it lies in is no package here. Nothing of the same names is in the library.
    sys.path.append(here)
    import formats  # type: ignore[import-not-found]
    import scrub  # type: ignore[import-not-found]

    Tee(control, rules=scrub.Rules(formats.find), new_scrubber=scrub.Scrubber).run()


if __name__ == "__main__":
    main()
