"""The job of a cell's process, as JSON."""

from __future__ import annotations

from collections.abc import Sequence

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
    """An assignment from a file or a command line; `form` is the codec's form of its value."""

    key: str
    form: JSON
    is_text: bool
    source: str


class CellJob(Part, frozen=True):
    """One cell of a sweep.

    Attributes:
        target: The experiment, as `recorder.recording.entrypoint` takes it.
        report: The path of the process's report.
        argv: The value of ``sys.argv`` in the process.
        presets: The names of the presets to apply. A preset may return any object, so the process calls it.
        items: The other assignments, in order.
        seed: The seed of a function without a parameter for it; None draws one.
        tags: Additional tags of the run.
        note: The run's note.
        reuse: Whether a finished run with the same inputs may stand for this one.
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
        """Return the cell.

        Raises:
            ConfigError: The experiment has no preset of that name.
        """
        presets = call_presets(experiment.presets, self.presets, experiment=experiment.name)
        items = [
            Assignment(
                one.key,
                codec.decode(one.form, _no_object),
                "text" if one.is_text else "data",
                one.source,
            )
            for one in self.items
        ]
        return Cell((*presets, *items), self.seed)


def _no_object(digest: str) -> bytes:
    raise LookupError(digest)  # plain data refers to no object


def list_items(assignments: Sequence[Assignment]) -> tuple[EncodedAssignment, ...]:
    """Encode the assignments that a job carries: all except those of presets."""
    return tuple(
        EncodedAssignment(
            one.key, codec.encode(one.value, inline_limit=None).form, one.kind == "text", one.source
        )
        for one in assignments
        if one.kind != "value"
    )


def reuse_cell(call: Call, *, tags: Sequence[str]) -> ProcessReport | None:
    """Give the tags to a finished run that can stand for the call, and return a report of it; None without one."""
    reused = reuse(call)
    if reused is None:
        return None
    number, store = reused.record.number, call.project.store
    store.retag([number], add=tags)
    return ProcessReport(store=str(store.path), number=number, status="finished", reused=True)
