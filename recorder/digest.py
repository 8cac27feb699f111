"""BLAKE3 digests of bytes, files and canonical JSON.

A digest is ``blake3:`` followed by 64 hexadecimal digits. Bytes and files are digested unchanged, so that ``b3sum
FILE`` prints the same digits. Structured values are prefixed with their kind, so that values of two kinds with the same
JSON have different digests.

Source: BLAKE3, https://github.com/BLAKE3-team/BLAKE3-specs (256-bit output, no key).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from blake3 import blake3

PREFIX = "blake3:"
# Below about this size a second thread does not pay: waking BLAKE3's threads takes 30-60 us.
_THREADS_FROM_BYTES = 1 << 20
_PIECE_BYTES = 4 << 20

# BLAKE3 keeps one thread pool per process. A child forked after the pool exists inherits it without its threads and
# would wait for them forever, so it digests with one thread.
_pool_is_there = False
_pool_is_dead = False


def _threads() -> int:
    global _pool_is_there
    if _pool_is_dead:
        return 1
    _pool_is_there = True
    return blake3.AUTO


def _after_fork() -> None:
    global _pool_is_dead
    _pool_is_dead = _pool_is_there


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    """Return the digest of `data`."""
    threads = _threads() if len(data) >= _THREADS_FROM_BYTES else 1
    return PREFIX + blake3(data, max_threads=threads).hexdigest()


def digest_file(path: Path) -> str:
    """Return the digest of the file's bytes.

    The file is read in pieces, and not memory-mapped: truncating a mapped file kills the process that reads it
    (SIGBUS). Raises OSError if the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        is_large = os.fstat(file.fileno()).st_size > _PIECE_BYTES
        hasher = blake3(max_threads=_threads() if is_large else 1)
        for piece in _read_ahead(file) if is_large else _read(file):
            hasher.update(piece)
    return PREFIX + hasher.hexdigest()


def _read(file: FileIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_PIECE_BYTES))
    while count := file.readinto(buffer):
        yield buffer[:count]


def _read_ahead(file: FileIO) -> Iterator[memoryview]:
    """Yield the pieces of a file while a thread already reads the next one: as fast as a memory map.

    A piece is valid until the next one is requested.
    """
    free: SimpleQueue[memoryview | None] = SimpleQueue()
    filled: SimpleQueue[tuple[memoryview, int] | BaseException] = SimpleQueue()

    def fill() -> None:
        try:
            while (buffer := free.get()) is not None:
                filled.put((buffer, file.readinto(buffer) or 0))
        except BaseException as error:  # noqa: BLE001 - raised by the consumer below
            filled.put(error)

    thread = threading.Thread(target=fill, name="recorder-digest", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread can be started
        yield from _read(file)
        return
    try:
        for _ in range(2):
            free.put(memoryview(bytearray(_PIECE_BYTES)))
        while not isinstance(piece := filled.get(), BaseException):
            buffer, count = piece
            if not count:
                return
            yield buffer[:count]
            free.put(buffer)
        raise piece
    finally:
        free.put(None)
        thread.join()


def digest_json(kind: str, value: Any) -> str:
    """Return the digest of `value` as canonical JSON, prefixed with `kind`."""
    return digest_bytes(kind.encode() + b"\0" + canonical_json(value))


def keyed_digest(data: bytes, *, key: bytes) -> bytes:
    """Return BLAKE3's keyed hash of `data`, 32 bytes, which cannot be computed without the key (32 bytes)."""
    return blake3(data, key=key).digest()


def derive_key(material: bytes, *, context: str) -> bytes:
    """Return 32 bytes of BLAKE3's key derivation; `context` is a constant string unique to the purpose of the key."""
    return blake3(material, derive_key_context=context).digest()


class Hasher:
    """An incremental digest: call ``update(data)`` repeatedly, then ``digest()``.

    `threads` enables several threads, which pays for pieces of 1 MB or more.
    """

    def __init__(self, *, threads: bool = False) -> None:
        self._blake3 = blake3(max_threads=_threads() if threads else 1)
        self.update: Callable[[bytes | memoryview], object] = self._blake3.update

    def digest(self) -> str:
        """Return the digest of all data so far."""
        return PREFIX + self._blake3.hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return `value` as UTF-8 JSON with sorted keys and no white space: equal values give equal bytes.

    Raises TypeError for a key that is not a string and for types that JSON lacks,
    and ValueError for NaN and infinities.
    The codec encodes such values as tagged forms first.
    """
    _refuse_other_keys(value)
    return _encoder.encode(value).encode()


_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def _refuse_other_keys(value: Any) -> None:
    # json.dumps converts the keys 1, True and None to strings, which would merge 1 with "1".
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys in canonical JSON must be strings, not {key!r}")
            _refuse_other_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_other_keys(item)


def is_digest(text: object) -> bool:
    """Return True if `text` has the form of a digest."""
    return (
        isinstance(text, str)
        and len(text) == len(PREFIX) + 64
        and text.startswith(PREFIX)
        and all(c in "0123456789abcdef" for c in text[len(PREFIX) :])
    )
