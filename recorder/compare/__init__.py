"""Records side by side: `diff` says what is different about two runs, `verify` what a replay has come to.

Both are pure functions of records and the objects that they name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ObjectReader(Protocol):
    """Where the content that records name is read from; `recorder.store.objects.objects.Objects` is one."""

    def read(self, digest: str) -> bytes:
        """The object's bytes; raises ObjectNotFoundError."""

    def path(self, digest: str) -> Path:
        """The file that has them."""

    def verify(self, digest: str) -> bool:
        """Whether that file's bytes are those of the digest; raises ObjectNotFoundError."""
