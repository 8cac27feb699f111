"""Comparison of records: `diff` compares two runs, `verify` compares a replay with its original.

Both are pure functions of records and of the objects that the records refer to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ObjectReader(Protocol):
    """A source of the objects that records refer to, such as `recorder.store.objects.objects.Objects`."""

    def read(self, digest: str) -> bytes:
        """Return the bytes of an object; raise ObjectNotFoundError if there is none."""

    def path(self, digest: str) -> Path:
        """Return the path of the file that holds the object."""

    def verify(self, digest: str) -> bool:
        """Return True if the file's bytes match the digest; raise ObjectNotFoundError if there is no object."""
