"""What the process of a cell is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import codec
from ..config.presets import call_presets
from ..config.settings import Assignment
from ..recording.experiment import Experiment
from ..recording.invocation import Call
from ..recording.reuse import reuse
from ..records import JSON, Part
from .cells import Cell
from .report import ProcessReport


class EncodedAssignment(Part, frozen=True):
    """An assignment of a file or a command line; the value is a form of the codec."""

    key: str
    form: JSON
    is_text: bool
    source: str


class CellJob(Part, frozen=True):
    """One cell: `target` as `recorder.recording.entrypoint` takes it, and `argv` for the program to find.

    Presets are named, as what they return may be any object: the process calls them for itself. `report` is the file
    for what it tells.
    """

    target: str
    report: str
    argv: tuple[str, ...]
    presets: tuple[str, ...] = ()
    items: tuple[EncodedAssignment, ...] = ()
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


def list_items(assignments: Sequence[Assignment]) -> tuple[EncodedAssignment, ...]:
    """The assignments that a job holds: all but those of presets."""
    return tuple(
        EncodedAssignment(
            one.key, codec.encode(one.value, inline_limit=None).form, one.kind == "text", one.source
        )
        for one in assignments
        if one.kind != "value"
    )


def reuse_cell(call: Call, *, tags: Sequence[str]) -> ProcessReport | None:
    """The report of a cell for which a finished run can stand, which gets the tags; None where none can."""
    reused = reuse(call)
    if reused is None:
        return None
    number, store = reused.record.number, call.project.store
    store.retag([number], add=tags)
    return ProcessReport(store=str(store.path), number=number, status="finished", reused=True)
