"""Two files of one format that are to be compared, and how much may be unpacked on the way."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from ...codec import Difference, Numbers

# Content from elsewhere may be made to fill the memory: beyond these limits it is compared as bytes.
MOST_UNPACKED_BYTES = 2 << 30
MOST_VALUES = 20_000_000
DEEPEST = 4
_CHUNK = 1 << 20


class UnreadableError(ValueError):
    """The content is not of the format, or cannot be read here; the text says why, for people."""


class ByteSource:
    """The bytes of one side, a memory map where they are a file; `path` is that file."""

    def __init__(self, data: bytes | memoryview | mmap.mmap, *, path: Path | None = None) -> None:
        self.data = memoryview(data)
        self.path = path

    @classmethod
    def at(cls, path: Path) -> ByteSource:
        """The file at that path, mapped. Raises OSError."""
        with path.open("rb") as file:
            if not path.stat().st_size:
                return cls(b"", path=path)
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), path=path)

    def __len__(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        """A stream over the bytes."""
        return io.BytesIO(self.data) if self.path is None else self.path.open("rb")

    def bytes(self) -> bytes:
        """A copy of the bytes."""
        return self.data.tobytes()

    def text(self) -> str:
        """The bytes as UTF-8, with or without a mark; UnicodeDecodeError for what is no text."""
        return str(self.data, "utf-8-sig")


class Budget:
    """What may still be unpacked of one pair of files: bytes and values."""

    def __init__(self) -> None:
        self._bytes = MOST_UNPACKED_BYTES
        self._values = MOST_VALUES

    @property
    def left_bytes(self) -> int:
        """How many more bytes may be unpacked."""
        return self._bytes

    def take_bytes(self, count: int) -> None:
        """Unpack so many bytes; UnreadableError where that is too much."""
        self._bytes -= count
        if count < 0 or self._bytes < 0:
            raise UnreadableError(f"it unpacks to more than {MOST_UNPACKED_BYTES >> 30} GiB")

    def take_values(self, count: int = 1) -> None:
        """Look at so many single values; UnreadableError where that is too much."""
        self._values -= count
        if self._values < 0:
            raise UnreadableError(f"it holds more than {MOST_VALUES} values")


class Pair:
    """Two files to compare: `name` says of which format, `path` where they stand in what is compared.

    `numbers` says which numbers are close there. `compare` is what compares pairs inside this one.
    """

    def __init__(
        self,
        name: str,
        a: ByteSource,
        b: ByteSource,
        *,
        numbers: Numbers,
        compare: Callable[[Pair], Iterable[Difference]],
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
        """Both."""
        return self.a, self.b

    def place(self, inside: str) -> str:
        """The place `inside` this file, as a difference names it."""
        return f"{self.path}: {inside}" if self.path and inside else self.path or inside

    def member(self, inside: str) -> str:
        """The place of a member of this archive or folder."""
        return f"{self.path}/{inside}" if self.path else inside

    def inner(self, name: str, a: ByteSource, b: ByteSource, *, path: str) -> Iterable[Difference]:
        """The differences of two files that this pair contains; none where their bytes are the same."""
        if same_bytes(a.data, b.data):
            return []
        if self.depth >= DEEPEST:
            raise UnreadableError(f"it is nested more than {DEEPEST} deep")
        numbers = self.numbers if path == self.path else self.numbers.at(path)
        return self._compare(
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
    """Whether the bytes are the same."""
    return len(a) == len(b) and first_unlike(a, b) is None


def first_unlike(a: memoryview, b: memoryview) -> int | None:
    """The offset of the first byte that differs, which may be the end of the shorter one; None for none."""
    # A memoryview compares item by item; copies of a chunk compare as memory does.
    for at in range(0, min(len(a), len(b)), _CHUNK):
        left, right = bytes(a[at : at + _CHUNK]), bytes(b[at : at + _CHUNK])
        if left != right:
            found = _first_in_chunk(left, right)
            return at + found
    return None if len(a) == len(b) else min(len(a), len(b))


def _first_in_chunk(a: bytes, b: bytes) -> int:
    """By halves; the end of the shorter one where that is all."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high) // 2
        if a[low : middle + 1] == b[low : middle + 1]:
            low = middle + 1
        else:
            high = middle
    return low
