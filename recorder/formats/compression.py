"""Bytes gzipped where they are many: the same bytes for the same content."""

from __future__ import annotations

import zlib
from pathlib import Path

_MAGIC = b"\x1f\x8b"
# zlib's deflateInit2: 31 asks for gzip's header, without a time in it. Of a million points of random digits level 1
# makes 13 bytes a point, in 0.3 us each; level 6 takes four times as long for 12.
_GZIP, _LEVEL = 31, 1
_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 1 << 32


def compress(path: Path, dest: Path) -> None:
    """Write the file gzipped to `dest`."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    with path.open("rb", buffering=0) as source, dest.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(packer.compress(chunk))
        file.write(packer.flush())


def unpack(data: bytes, *, what: str) -> bytes:
    """The bytes in `data`, gzipped or not.

    ValueError, which names `what` they are, where they cannot be unpacked, are cut short, or would be over 4 GiB.
    """
    if not data.startswith(_MAGIC):
        return data
    packed = zlib.decompressobj(_GZIP)
    try:
        data = packed.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"{what} cannot be unpacked: {error}") from error
    if packed.unconsumed_tail:  # of another's store: no run leaves so much
        raise ValueError(f"{what} are too many to be read")
    if not packed.eof:
        raise ValueError(f"{what} are cut short")
    return data
