"""The protocol between the program and its tee: messages of `MESSAGE_BYTES`, padded with blanks, and descriptors."""

from __future__ import annotations

# The C module is used because socket.py takes 10 ms to import, as long as the interpreter itself.
import _socket
import sys

MESSAGE_BYTES = 96
# The descriptor of the tee's end of the socket.
CONTROL = 3
_MOST_DESCRIPTORS = 16
_ORDER = sys.byteorder


def send(control: _socket.socket, text: str, fds: tuple[int, ...] = ()) -> None:
    """Send one message, with descriptors. Raises OSError if the other side is gone."""
    packed = b"".join(fd.to_bytes(4, _ORDER) for fd in fds)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if fds else []
    # Without SIGPIPE: the program's own handling of it applies to its writes, not to this one.
    control.sendmsg(
        [text.encode().ljust(MESSAGE_BYTES)], rights, getattr(_socket, "MSG_NOSIGNAL", 0)
    )


def receive(control: _socket.socket) -> tuple[list[str], list[int]]:
    """Receive the words of one message and its descriptors. At the end of the connection there are no words."""
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
    """Send the bytes that a message has announced. Raises OSError if the other side is gone."""
    if data:
        control.sendall(data, getattr(_socket, "MSG_NOSIGNAL", 0))


def receive_bytes(control: _socket.socket, count: int) -> bytes:
    """Receive the bytes that a message has announced, or fewer if the other side is gone."""
    data = b""
    while len(data) < count and (more := control.recv(count - len(data))):
        data += more
    return data
