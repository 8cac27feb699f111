"""What the program and its tee say to one another: messages of `MESSAGE_BYTES`, blanks at the end, and descriptors."""

from __future__ import annotations

# The C module: socket.py takes 10 ms to import, as long as the interpreter itself.
import _socket
import sys

MESSAGE_BYTES = 96
# The descriptor at which the tee finds its end of the socket.
CONTROL = 3
_MOST_DESCRIPTORS = 16
_ORDER = sys.byteorder


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
    room = _socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)
    while len(data) < MESSAGE_BYTES:
        try:
            more, rights, _, _ = control.recvmsg(MESSAGE_BYTES - len(data), room)
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
