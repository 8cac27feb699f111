"""Compressed files: what was compressed counts, not the time, the name and the level."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, BinaryIO

from ...codec import Difference
from .pair import ByteSource, Pair, UnreadableError

# What an xz file may make its reader allocate.
_XZ_MEMORY_BYTES = 256 << 20
Open = Callable[[BinaryIO], Any]


def compare_gzip(pair: Pair) -> Iterable[Difference]:
    """gzip's content."""
    return _compare_unpacked(pair, lambda stream: gzip.GzipFile(fileobj=stream))


def compare_bz2(pair: Pair) -> Iterable[Difference]:
    """bzip2's content."""
    return _compare_unpacked(pair, bz2.BZ2File)


def compare_xz(pair: Pair) -> Iterable[Difference]:
    """xz's content."""
    return _compare_unpacked(pair, _Xz)


def compare_zstd(pair: Pair) -> Iterable[Difference]:
    """zstd's content, where the package zstandard is installed."""
    if find_spec("zstandard") is None:
        raise UnreadableError("zstandard is not installed")
    import zstandard

    limits = zstandard.ZstdDecompressor(max_window_size=_XZ_MEMORY_BYTES)
    return _compare_unpacked(
        pair, lambda stream: limits.stream_reader(stream, read_across_frames=True)
    )


class _Xz:
    """An xz stream that is read up to a limit, in a limited memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, limit: int) -> bytes:
        """At most `limit` bytes of the content."""
        parts: list[bytes] = []
        data = self._stream.read()
        while data and limit > 0:
            unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)
            parts.append(unpacker.decompress(data, max_length=limit))
            limit -= len(parts[-1])
            if not unpacker.eof and limit > 0:
                raise EOFError("it is cut short")
            data = unpacker.unused_data
        return b"".join(parts)


def _compare_unpacked(pair: Pair, open_packed: Open) -> Iterable[Difference]:
    sources = [_unpack(side, pair, open_packed) for side in pair.sides]
    return pair.inner(_inner_name(pair.name), *sources, path=pair.path)


def _unpack(side: ByteSource, pair: Pair, open_packed: Open) -> ByteSource:
    with side.open() as stream:
        data = open_packed(stream).read(pair.budget.left_bytes + 1)
    pair.budget.take_bytes(len(data))
    return ByteSource(data)


def _inner_name(name: str) -> str:
    """The name of what is inside: ``x.csv`` of x.csv.gz, ``x.tar`` of x.tgz."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.tar" if suffix.lower() in ("tgz", "tbz2", "txz", "tzst") else stem
