"""A run's record in its store: what it says, and what belongs to it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from .. import codec, records
from ..errors import ContentNotFoundError, DecodeError
from ..store import store as low
from ..store.content.console import read_console, read_printed
from ..store.content.contents import not_found
from ..store.content.restore import Kind, restore
from ..store.content.series import read_series
from ..store.content.timeline import Stream
from .content import Content, input_content, output_content
from .series import Series
from .values import Config, Values

if TYPE_CHECKING:
    from ..formats.points import Point

_REPR_WIDTH = 24


class ConsoleLine(NamedTuple):
    """A line that a run printed, without its end; `time_s` is when it began, in seconds since the run's start.

    That is None where it is not known: an earlier version of recorder noted no times.
    """

    time_s: float | None
    stream: Stream
    text: str


class Run:
    """What is known of a run, bound to the store that it is in; got from a `Store`.

    It says what it said when it was read: of a run in progress, and after tags or notes, read it again with
    ``store[record.number]``. What it lacks here is in `document`, the record as the store has it.

    >>> record = store.last("train")
    >>> record
    <Record 2 train finished: lr=0.1, layers=(32, 16), optim={'momentum': 0.9}; loss=0.25>
    >>> record.config["lr"], record.metrics["loss"].min, record.result()
    (0.1, 0.25, {'loss': 0.25})
    >>> record.stdout
    'done\\n'
    """

    def __init__(self, store: low.RunStore, document: records.Record) -> None:
        self._store = store
        self.document = document
        self._values = Values(store, document)

    # What ran

    @property
    def number(self) -> int:
        """The run's number in its store."""
        return self.document.number

    @property
    def id(self) -> str:
        """The run's id, the same in every store."""
        return self.document.id

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.document.experiment

    @property
    def status(self) -> records.Status:
        """How it ended: running, finished, failed, interrupted or lost."""
        return self.document.status

    @property
    def started(self) -> datetime:
        """When it began, UTC."""
        return self.document.started

    @property
    def finished(self) -> datetime | None:
        """When it ended, UTC; None of one in progress, or lost."""
        return self.document.finished

    @property
    def duration_s(self) -> float | None:
        """How long it took, in seconds."""
        return self.document.duration_s

    @functools.cached_property
    def config(self) -> Config:
        """The arguments, defaults applied, as values; nested ones by dotted keys too."""
        return Config(self.document.config, self._values)

    @property
    def seed(self) -> int | None:
        """The integer from which every generator was seeded."""
        return self.document.seed

    @property
    def code(self) -> records.Code | None:
        """Commit, branch and snapshot of the code that ran."""
        return self.document.code

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """The environment that it ran in, as `recorder env --json` has it: interpreter, packages, variables."""
        digest = self.document.environment
        return {} if digest is None else msgspec.json.decode(self._store.read(digest))

    # What came of it

    def result(self, *, load: bool = True) -> Any:
        """What the function returned; without `load` as data, as the config is: nothing is imported or unpickled.

        Of a run that did not finish there is none: ContentNotFoundError. To load it raises TrustError for what would
        run code of somebody else's, and DecodeError where there is no such class here, as for one of a script's own.
        """
        if self.status != "finished":
            raise ContentNotFoundError(
                f"run {self.number} has no result: it is {self.status}", name="result"
            )
        if not load:
            return self._values.data(self.document.result)
        try:
            return self._values.value(self.document.result)
        except DecodeError as error:
            raise DecodeError(f"{error}; result(load=False) has it as data") from error

    @functools.cached_property
    def metrics(self) -> dict[str, records.Metric]:
        """What each metric came to: `last`, `min`, `max`, `count`, `last_step`."""
        return {name: self._metric(metric) for name, metric in self.document.metrics.items()}

    def series(self, name: str) -> Series:
        """The points of a metric, of a run in progress those so far. Raises ContentNotFoundError."""
        if name not in self._points:
            raise not_found(f"run {self.number} has no metric {name!r}", name, list(self._points))
        return Series(name, self._points[name])

    @property
    def outputs(self) -> tuple[records.Output, ...]:
        """What the run saved or wrote: names, kinds, digests, sizes; see `output` for one of them."""
        return self.document.outputs

    def output(self, name: str) -> Content:
        """The output of that name, or a file in one (``ckpt/epoch-3.pt``). Raises ContentNotFoundError."""
        return output_content(self._store, self.document, name)

    @property
    def inputs(self) -> tuple[records.Input, ...]:
        """The files that the run read: paths, digests, sizes; see `input` for one of them."""
        return self.document.inputs

    def input(self, path: str) -> Content:
        """The input of that path; its end is enough where only one has it. Raises ContentNotFoundError."""
        return input_content(self._store, self.document, path)

    @property
    def stdout(self) -> str:
        """What it printed, of a run in progress so far."""
        return self._console("stdout")

    @property
    def stderr(self) -> str:
        """The same of its stderr."""
        return self._console("stderr")

    def console(self) -> Iterator[ConsoleLine]:
        """The lines of both in the order in which they came, of a run in progress those so far.

        A carriage return ends a line too, as the next state of a progress bar is one.

        >>> for seconds, stream, line in store.last("train").console():
        ...     print(f"+{seconds:.0f} s {stream}: {line}")
        +0 s stdout: done
        """
        for stream, data, time_s in read_printed(self._store, self.document):
            for line in data.splitlines(keepends=True):
                if line != b"\r":  # which begins the first state
                    text = line.rstrip(b"\r\n").decode(errors="replace")
                    yield ConsoleLine(time_s, stream, text)

    @property
    def failure(self) -> records.Failure | None:
        """The exception that ended it."""
        return self.document.failure

    def restore(
        self,
        to: str | os.PathLike[str],
        *,
        names: Sequence[str] = (),
        kinds: Sequence[Kind] = ("outputs",),
        force: bool = False,
    ) -> list[Path]:
        """Lay out outputs, inputs or code in the folder `to`; the paths. See `recorder restore` for what is refused."""
        done = restore(self._store, self.document, Path(to), names=names, kinds=kinds, force=force)
        return [Path(to) / path for path in done.paths]

    # What was said of it

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags; see `Store.tag`."""
        return self.document.tags

    @property
    def note(self) -> str:
        """Its note; see `Store.note`."""
        return self.document.note

    @property
    def verdict(self) -> records.Verdict | None:
        """Of a replay: how it came out."""
        return self.document.verdict

    @property
    def hazards(self) -> tuple[records.Hazard, ...]:
        """What may make a replay come out otherwise."""
        return self.document.hazards

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be recorded."""
        return self.document.warnings

    @property
    def replay_of(self) -> str | None:
        """Of a replay: the id of the run that was run again, for `Store.find`."""
        return self.document.replay_of

    @property
    def parent(self) -> str | None:
        """Of a recorded call inside another: the id of the outer run."""
        return self.document.parent

    @property
    def fingerprint(self) -> str | None:
        """The digest of all that decides the run: those of the same should come out the same."""
        return self.document.fingerprint

    @functools.cached_property
    def _points(self) -> Mapping[str, Sequence[Point]]:
        return read_series(self._store, self.document)

    def _metric(self, metric: records.Metric) -> records.Metric:
        numbers = {
            name: self._values.data(getattr(metric, name)) for name in ("last", "min", "max")
        }
        return msgspec.structs.replace(metric, **numbers)

    def _console(self, stream: Stream) -> str:
        return read_console(self._store, self.document, stream).decode(errors="replace")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (self._store.path, self.document) == (
            other._store.path,
            other.document,
        )

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        config = (
            f"{k}={codec.describe(form, width=_REPR_WIDTH)}"
            for k, form in self.config.forms.items()
        )
        metrics = (
            f"{name}={codec.describe(m.last, width=_REPR_WIDTH)}"
            for name, m in self.document.metrics.items()
        )
        said = "; ".join(part for part in (_some(config), _some(metrics)) if part)
        return f"<Record {self.number} {self.experiment} {self.status}{': ' if said else ''}{said}>"

    def _repr_html_(self) -> str:
        from .notebook import record_html

        return record_html(self._store, self.document)


def _some(parts: Any, *, most: int = 6) -> str:
    """The first of them."""
    found = list(parts)
    return ", ".join([*found[:most], *["..."] * (len(found) > most)])
