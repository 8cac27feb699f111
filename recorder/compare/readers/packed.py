"""Compressed files, compared by the decompressed content; time, name and level are ignored."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, BinaryIO

from ...codec import Difference
from .pair import ByteSource, Pair, UnreadableError

# Memory limit for decoders; a malicious file can request any size of window.
_XZ_MEMORY_BYTES = 256 << 20
Open = Callable[[BinaryIO], Any]


def compare_gzip(pair: Pair) -> Iterable[Difference]:
    """Compare the content of two gzip files."""
    return _compare_unpacked(pair, lambda stream: gzip.GzipFile(fileobj=stream))


def compare_bz2(pair: Pair) -> Iterable[Difference]:
    """Compare the content of two bzip2 files."""
    return _compare_unpacked(pair, bz2.BZ2File)


def compare_xz(pair: Pair) -> Iterable[Difference]:
    """Compare the content of two xz files."""
    return _compare_unpacked(pair, _Xz)


def compare_zstd(pair: Pair) -> Iterable[Difference]:
    """Compare the content of two zstd files with the package zstandard."""
    if find_spec("zstandard") is None:
        raise UnreadableError("zstandard is not installed")
    import zstandard

    limits = zstandard.ZstdDecompressor(max_window_size=_XZ_MEMORY_BYTES)
    return _compare_unpacked(
        pair, lambda stream: limits.stream_reader(stream, read_across_frames=True)
    )


class _Xz:
    """A reader of xz streams with limits on size and memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the content."""
        parts: list[bytes] = []
        data = self._stream.read()
        while data and limit > 0:
            unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)
            parts.append(unpacker.decompress(data, max_length=limit))
            limit -= len(parts[-1])
            if not unpacker.eof and limit > 0:
                raise EOFError("the file is truncated")
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
    """Return the name of the decompressed file: ``x.csv`` for x.csv.gz, ``x.tar`` for x.tgz."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.tar" if suffix.lower() in ("tgz", "tbz2", "txz", "tzst") else stem
