"""Repair of a journal line in which a single bit was flipped.

A CRC detects and locates a single flipped bit: a CRC is linear over GF(2), so flipping bit `k` of a message of `n`
bytes changes its CRC by a value that depends only on `k` and `n`. Each bit is therefore tried without reading the line
again. A line with more damage is repaired wrongly about once in 2**32 / (8 * n) lines, which is one in 200,000 lines
of 2.5 kB; the result must also be JSON, and the damaged bytes are kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from .lines import is_line, read_document

_HEAD = b'{"crc":"'
_HEAD_BYTES = len(_HEAD) + len('00000000",')
_POLYNOMIAL = 0xEDB88320  # CRC-32, reflected: zlib's


def mend_line(raw: bytes) -> bytes | None:
    """Return the line, newline included, with its one flipped bit restored; None if that does not repair it."""
    body = raw[:-1] if raw.endswith(b"\n") else raw
    for candidate in _candidates(body):
        if is_line(candidate) and _is_readable(candidate + b"\n"):
            return candidate + b"\n"
    return None


def mend_split_line(first: bytes, second: bytes) -> bytes | None:
    """Return the line that a bit flip split in two by making one of its bytes a newline, None if that is not it."""
    joined = first + second[:-1] if second.endswith(b"\n") else first + second
    for bit in range(8):
        candidate = _flip(joined, len(first) - 1, bit)
        if is_line(candidate) and _is_readable(candidate + b"\n"):
            return candidate + b"\n"
    return None


def _is_readable(line: bytes) -> bool:
    try:
        read_document(line)
    except ValueError:
        return line.endswith((b'"doc":null}\n',))
    return True


def _candidates(body: bytes) -> Iterator[bytes]:
    yield body  # the damaged byte was the newline
    for at in range(min(_HEAD_BYTES, len(body))):  # the checksum itself, or the bytes around it
        for bit in range(8):
            yield _flip(body, at, bit)
    try:
        written = int(body[len(_HEAD) : len(_HEAD) + 8], 16)
    except ValueError:
        return
    content = body[_HEAD_BYTES:]
    wanted = zlib.crc32(content) ^ written
    for at, bit in _places(len(content), wanted):
        yield _flip(body, _HEAD_BYTES + at, bit)


def _places(size: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield the (byte, bit) positions in a message of `size` bytes where a flip changes its CRC-32 by `wanted`."""
    # The changes by the eight bits of the last byte, then of the byte before it, and so on.
    changes = [_shift(1 << bit) for bit in range(8)]
    for at in range(size - 1, -1, -1):
        for bit, change in enumerate(changes):
            if change == wanted:
                yield at, bit
        changes = [_shift(change) for change in changes]


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _shift(change: int) -> int:
    """Return the change of the CRC if one more byte follows."""
    return (change >> 8) ^ _TABLE[change & 0xFF]


def _flip(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
