"""A pair of files to compare, and limits on decompression."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from ...codec import Difference, Numbers

# Limits for untrusted content, which could fill the memory; beyond them, files are compared as bytes.
MOST_UNPACKED_BYTES = 2 << 30
MOST_VALUES = 20_000_000
DEEPEST = 4
_CHUNK = 1 << 20
# Yields the differences of a pair.
Compare = Callable[["Pair"], Iterable[Difference]]


class UnreadableError(ValueError):
    """A file that does not have the format, or that cannot be read here; the message is shown to the user."""


class ByteSource:
    """The bytes of one side, as a memory map if they are a file; `path` is that file, or None."""

    def __init__(self, data: bytes | memoryview | mmap.mmap, *, path: Path | None = None) -> None:
        self.data = memoryview(data)
        self.path = path

    @classmethod
    def at(cls, path: Path) -> ByteSource:
        """Map the file at `path` into memory. Raises OSError."""
        with path.open("rb") as file:
            if not path.stat().st_size:
                return cls(b"", path=path)
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), path=path)

    def __len__(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        """Return a stream of the bytes."""
        return io.BytesIO(self.data) if self.path is None else self.path.open("rb")

    def bytes(self) -> bytes:
        """Return a copy of the bytes."""
        return self.data.tobytes()

    def text(self) -> str:
        """Decode the bytes as UTF-8 with an optional byte order mark; raise UnicodeDecodeError for other bytes."""
        return str(self.data, "utf-8-sig")


class Budget:
    """The remaining number of bytes and values that may be unpacked from one pair of files."""

    def __init__(self) -> None:
        self._bytes = MOST_UNPACKED_BYTES
        self._values = MOST_VALUES

    @property
    def left_bytes(self) -> int:
        """Return the number of bytes that may still be unpacked."""
        return self._bytes

    def take_bytes(self, count: int) -> None:
        """Take `count` bytes from the budget; raise UnreadableError if too few are left."""
        self._bytes -= count
        if count < 0 or self._bytes < 0:
            raise UnreadableError(
                f"the content unpacks to more than {MOST_UNPACKED_BYTES >> 30} GiB"
            )

    def take_values(self, count: int = 1) -> None:
        """Take `count` values from the budget; raise UnreadableError if too few are left."""
        self._values -= count
        if self._values < 0:
            raise UnreadableError(f"the content has more than {MOST_VALUES} values")


class Pair:
    """A pair of files to compare.

    `name` determines the format, `path` is the place of the files in the whole comparison ("" at the top), `numbers` is
    the tolerance, and `compare` compares pairs inside this one.
    """

    def __init__(
        self,
        name: str,
        a: ByteSource,
        b: ByteSource,
        *,
        numbers: Numbers,
        compare: Compare,
        path: str = "",
        depth: int = 0,
        budget: Budget | None = None,
    ) -> None:
        self.name = name
        self.a = a
        self.b = b
        self.numbers = numbers
        self.path = path
        self.depth = depth
        self.budget = budget or Budget()
        self._compare = compare

    @property
    def sides(self) -> tuple[ByteSource, ByteSource]:
        """Return both sides."""
        return self.a, self.b

    def place(self, inside: str) -> str:
        """Return the path of a difference at the place `inside` this file."""
        return f"{self.path}: {inside}" if self.path and inside else self.path or inside

    def member(self, inside: str) -> str:
        """Return the path of a member of this archive or folder."""
        return f"{self.path}/{inside}" if self.path else inside

    def inner(
        self, name: str, a: ByteSource, b: ByteSource, *, path: str, read: Compare | None = None
    ) -> Iterable[Difference]:
        """Compare two files inside this pair; return no differences if their bytes are the same.

        `read` compares them if their name does not determine the format.
        """
        if same_bytes(a.data, b.data):
            return []
        if self.depth >= DEEPEST:
            raise UnreadableError(f"archives are nested more than {DEEPEST} levels deep")
        numbers = self.numbers if path == self.path else self.numbers.at(path)
        return (read or self._compare)(
            Pair(
                name,
                a,
                b,
                numbers=numbers,
                compare=self._compare,
                path=path,
                depth=self.depth + 1,
                budget=self.budget,
            )
        )


def same_bytes(a: memoryview, b: memoryview) -> bool:
    """Return True if the bytes are the same."""
    return len(a) == len(b) and first_unlike(a, b) is None


def first_unlike(a: memoryview, b: memoryview) -> int | None:
    """Return the offset of the first differing byte (the length of a side that is a prefix); None if there is none."""
    # memoryview compares item by item; bytes compare with memcmp, which is faster even with the copy.
    for at in range(0, min(len(a), len(b)), _CHUNK):
        left, right = bytes(a[at : at + _CHUNK]), bytes(b[at : at + _CHUNK])
        if left != right:
            found = _first_in_chunk(left, right)
            return at + found
    return None if len(a) == len(b) else min(len(a), len(b))


def _first_in_chunk(a: bytes, b: bytes) -> int:
    """Find the first differing byte by bisection."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high) // 2
        if a[low : middle + 1] == b[low : middle + 1]:
            low = middle + 1
        else:
            high = middle
    return low
