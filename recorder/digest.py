"""BLAKE3 digests of bytes, files and canonical JSON.

A digest is the text ``blake3:`` and 64 hex digits. Bytes and files are digested as they are, so that
``b3sum FILE`` gives the same; anything structural begins with its kind, so that two kinds with the
same text cannot share a digest.

Source: BLAKE3, https://github.com/BLAKE3-team/BLAKE3-specs (256-bit output, no key).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

PREFIX = "blake3:"
# A second thread pays from about this size on: blake3's own threads cost 30-60 us to wake.
_THREADS_FROM_BYTES = 1 << 20

# BLAKE3's threads are one pool a process. A child that is forked once it is there has the pool without its threads,
# and would wait for them for ever: it digests with one.
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
    """The digest of `data` as it is."""
    threads = _threads() if len(data) >= _THREADS_FROM_BYTES else 1
    return PREFIX + blake3(data, max_threads=threads).hexdigest()


def digest_file(path: Path) -> str:
    """The digest of the file's bytes, memory-mapped and with several threads.

    Raises OSError where the file cannot be read.
    """
    hasher = blake3(max_threads=_threads())
    hasher.update_mmap(path)
    return PREFIX + hasher.hexdigest()


def digest_json(kind: str, value: Any) -> str:
    """The digest of `value` in canonical JSON under the tag `kind`."""
    return digest_bytes(kind.encode() + b"\0" + canonical_json(value))


def keyed_digest(data: bytes, *, key: bytes) -> bytes:
    """The 32 bytes of BLAKE3's keyed hash: who has not the key of 32 bytes can neither make nor guess at it."""
    return blake3(data, key=key).digest()


def derive_key(material: bytes, *, context: str) -> bytes:
    """32 bytes of BLAKE3's key derivation; `context` is a constant text of the one purpose."""
    return blake3(material, derive_key_context=context).digest()


class Hasher:
    """A digest that is fed piece by piece: ``update(data)``, then ``digest()``; `threads` pay for pieces of a MB."""

    def __init__(self, *, threads: bool = False) -> None:
        self._blake3 = blake3(max_threads=_threads() if threads else 1)
        self.update: Callable[[bytes | memoryview], object] = self._blake3.update

    def digest(self) -> str:
        """The digest of everything fed so far."""
        return PREFIX + self._blake3.hexdigest()


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no blanks, UTF-8, and no NaN: equal values give equal bytes.

    Takes what JSON can say and no more: a key that is no string, a NaN or an infinity, or any other
    type raises TypeError or ValueError. (The codec tags what plain JSON cannot say before this.)
    """
    _refuse_other_keys(value)
    return _encoder.encode(value).encode()


_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def _refuse_other_keys(value: Any) -> None:
    # json.dumps turns the keys 1, True and None into strings, which would merge 1 with "1".
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"canonical JSON has string keys only, not {key!r}")
            _refuse_other_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_other_keys(item)


def is_digest(text: object) -> bool:
    """Whether `text` has the form of a digest."""
    return (
        isinstance(text, str)
        and len(text) == len(PREFIX) + 64
        and text.startswith(PREFIX)
        and all(c in "0123456789abcdef" for c in text[len(PREFIX) :])
    )
