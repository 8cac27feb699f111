"""What a process of many tells: how far its run has come, and how it ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..records import Part


class Ended(NamedTuple):
    """A job that is over, by its place among them: what came of it, and how long its process took."""

    place: int
    report: ProcessReport
    duration_s: float


class ProcessReport(Part, frozen=True):
    """How far a process has come: its run, once it has begun, and how it ended, once it has.

    `error` says why there is no run; `reused` that there was one already.
    """

    store: str = ""
    number: int | None = None
    status: str = "running"
    reused: bool = False
    error: str = ""
    exit_status: int = 0

    def write(self, path: str) -> None:
        """Put it in the place of the last one; who reads sees the one or the other."""
        staged = Path(f"{path}.new")
        staged.write_bytes(msgspec.json.encode(self))
        os.replace(staged, path)  # noqa: PTH105

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ProcessReport | None:
        """The last one that was written, None where there is none yet."""
        try:
            return msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except FileNotFoundError:
            return None
