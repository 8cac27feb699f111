"""What the process of a cell is told, and what it tells."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .. import codec
from ..call import Call
from ..config.presets import call_presets
from ..config.settings import Assignment
from ..experiment import Experiment
from ..records import JSON, Part
from ..reuse import reuse
from .cells import Cell


class Item(Part, frozen=True):
    """An assignment of a file or a command line; the value is a form of the codec."""

    key: str
    form: JSON
    is_text: bool
    source: str


class Job(Part, frozen=True):
    """One cell: `target` as `recorder.target` takes it, and `argv` for the program to find.

    Presets are named, as what they return may be any object: the process calls them for itself. `report` is the file
    for what it tells.
    """

    target: str
    report: str
    argv: tuple[str, ...]
    presets: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    seed: int | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    reuse: bool = False

    def cell(self, experiment: Experiment) -> Cell:
        """The cell again. Raises ConfigError for a preset that is not there."""
        presets = call_presets(experiment.presets, self.presets, experiment=experiment.name)
        items = [
            Assignment(one.key, codec.decode(one.form, _no_object), _kind(one.is_text), one.source)
            for one in self.items
        ]
        return Cell((*presets, *items), self.seed)


def _kind(is_text: bool) -> Any:
    return "text" if is_text else "data"


def _no_object(digest: str) -> bytes:
    raise LookupError(digest)  # plain data has none


def list_items(assignments: Sequence[Assignment]) -> tuple[Item, ...]:
    """The assignments that a job holds: all but those of presets."""
    return tuple(
        Item(
            one.key, codec.encode(one.value, inline_limit=None).form, one.kind == "text", one.source
        )
        for one in assignments
        if one.kind != "value"
    )


class Ended(NamedTuple):
    """A cell that is over, by its place among the cells: what came of it, and how long its process took."""

    cell: int
    report: Report
    duration_s: float


class Report(Part, frozen=True):
    """How far a cell has come: its run, once it has begun, and how it ended, once it has.

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
    def read(cls, path: str | os.PathLike[str]) -> Report | None:
        """The last one that was written, None where there is none yet."""
        try:
            return msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except FileNotFoundError:
            return None


def reuse_cell(call: Call, *, tags: Sequence[str]) -> Report | None:
    """The report of a cell for which a finished run can stand, which gets the tags; None where none can."""
    reused = reuse(call)
    if reused is None:
        return None
    number, store = reused.record.number, call.setting.store
    store.retag([number], add=tags)
    return Report(store=str(store.path), number=number, status="finished", reused=True)
