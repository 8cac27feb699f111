"""Progress reports from the processes of a batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..records import Part

# The exit status that a shell gives a program ended by Ctrl-C.
INTERRUPTED = 130


class Ended(NamedTuple):
    """A finished job: its index in the batch, its last report, and the duration of its process in seconds."""

    place: int
    report: ProcessReport
    duration_s: float


class ProcessReport(Part, frozen=True):
    """The progress of a process.

    Attributes:
        store: The path of the run's store; "" before the run begins.
        number: The run's number; None before the run begins.
        status: The status of the run; ``running`` until the process ends.
        reused: Whether an existing run stands for this one.
        error: The reason why there is no run.
        exit_status: The exit status of the process.
    """

    store: str = ""
    number: int | None = None
    status: str = "running"
    reused: bool = False
    error: str = ""
    exit_status: int = 0

    def write(self, path: str) -> None:
        """Replace the report at `path` atomically: a reader sees the old or the new one."""
        staged = Path(f"{path}.new")
        staged.write_bytes(msgspec.json.encode(self))
        os.replace(staged, path)  # noqa: PTH105

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ProcessReport | None:
        """Return the last report that was written to `path`, None before the first."""
        try:
            return msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except FileNotFoundError:
            return None
