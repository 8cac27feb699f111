"""A recorded run: its fields, and access to its outputs, inputs, series and console."""

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
    """A line that a run printed, without its line ending.

    `time_s` is the time at which the line began, in seconds since the run started; None for runs recorded by versions
    that kept no times.
    """

    time_s: float | None
    stream: Stream
    text: str


class Run:
    """A recorded run, returned by a `Store`.

    A `Run` is a snapshot of the record: for a run in progress, or after tagging, read it again with
    ``store[run.number]``. `document` is the complete record.

    >>> run = store.last("train")
    >>> run
    <Run 2 train finished: lr=0.1, layers=(32, 16), optim={'momentum': 0.9}; loss=0.25>
    >>> run.config["lr"], run.metrics["loss"].min, run.result()
    (0.1, 0.25, {'loss': 0.25})
    >>> run.stdout
    'done\\n'
    """

    def __init__(self, store: low.RunStore, document: records.Record) -> None:
        self._store = store
        self.document = document
        self._values = Values(store, document)

    # The call and its circumstances

    @property
    def number(self) -> int:
        """The run's number in its store."""
        return self.document.number

    @property
    def id(self) -> str:
        """The run's global id, the same in every store."""
        return self.document.id

    @property
    def experiment(self) -> str:
        """The name of the experiment."""
        return self.document.experiment

    @property
    def status(self) -> records.Status:
        """The status: running, finished, failed, interrupted or lost."""
        return self.document.status

    @property
    def started(self) -> datetime:
        """The time at which the run started, in UTC."""
        return self.document.started

    @property
    def finished(self) -> datetime | None:
        """The time at which the run ended, in UTC; None if it is in progress or lost."""
        return self.document.finished

    @property
    def duration_s(self) -> float | None:
        """The duration in seconds."""
        return self.document.duration_s

    @functools.cached_property
    def config(self) -> Config:
        """The arguments, with defaults applied, as values; nested values also by dotted keys."""
        return Config(self.document.config, self._values)

    @property
    def seed(self) -> int | None:
        """The integer from which all random generators were seeded."""
        return self.document.seed

    @property
    def code(self) -> records.Code | None:
        """The code that ran: commit, branch, remote and snapshot."""
        return self.document.code

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """The environment: interpreter, packages, variables, hardware; the document of ``recorder env --json``."""
        digest = self.document.environment
        return {} if digest is None else msgspec.json.decode(self._store.read(digest))

    # Results

    def result(self, *, load: bool = True) -> Any:
        """Return the function's return value.

        Args:
            load: If false, nothing is imported or unpickled: values of the project's own classes are `Tagged`.

        Raises:
            ContentNotFoundError: The run did not finish.
            TrustError: Loading would run code, and somebody else recorded the run.
            DecodeError: A class of the value cannot be imported here, for example one of a script.
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
            raise DecodeError(
                f"{error}; try result(load=False), which returns plain data"
            ) from error

    @functools.cached_property
    def metrics(self) -> dict[str, records.Metric]:
        """A summary of each metric by name: `last`, `min`, `max`, `count`, `last_step`."""
        return {name: self._metric(metric) for name, metric in self.document.metrics.items()}

    def series(self, name: str) -> Series:
        """Return the points of a metric; of a run in progress, the points so far. Raises ContentNotFoundError."""
        if name not in self._points:
            raise not_found(f"run {self.number} has no metric {name!r}", name, list(self._points))
        return Series(name, self._points[name])

    @property
    def outputs(self) -> tuple[records.Output, ...]:
        """The outputs that the run saved or wrote: name, kind, digest, size in bytes. `output` opens one."""
        return self.document.outputs

    def output(self, name: str) -> Content:
        """Return an output by name, or a file in a folder output (``ckpt/epoch-3.pt``). Raises ContentNotFoundError."""
        return output_content(self._store, self.document, name)

    @property
    def inputs(self) -> tuple[records.Input, ...]:
        """The files that the run read: path, digest, size in bytes. `input` opens one."""
        return self.document.inputs

    def input(self, path: str) -> Content:
        """Return an input by path, or by the end of its path if that is unique. Raises ContentNotFoundError."""
        return input_content(self._store, self.document, path)

    @property
    def stdout(self) -> str:
        """The text that the run printed to stdout; of a run in progress, the text so far."""
        return self._console("stdout")

    @property
    def stderr(self) -> str:
        """The text that the run printed to stderr."""
        return self._console("stderr")

    def console(self) -> Iterator[ConsoleLine]:
        """Yield the lines of stdout and stderr in the order in which they arrived.

        A carriage return also ends a line: each state of a progress bar is a line.

        >>> for seconds, stream, line in store.last("train").console():
        ...     print(f"+{seconds:.0f} s {stream}: {line}")
        +0 s stdout: done
        """
        for stream, data, time_s in read_printed(self._store, self.document):
            for line in data.splitlines(keepends=True):
                if line != b"\r":  # a progress bar writes one before its first state
                    text = line.rstrip(b"\r\n").decode(errors="replace")
                    yield ConsoleLine(time_s, stream, text)

    @property
    def failure(self) -> records.Failure | None:
        """The exception that ended the run, if it failed."""
        return self.document.failure

    def restore(
        self,
        to: str | os.PathLike[str],
        *,
        names: Sequence[str] = (),
        kinds: Sequence[Kind] = ("outputs",),
        force: bool = False,
    ) -> list[Path]:
        """Write outputs, inputs or code into the folder `to`, as ``recorder restore`` does; return the paths.

        Args:
            to: The destination folder.
            names: Only these outputs or inputs.
            kinds: What to write: ``"outputs"``, ``"inputs"``, ``"code"``.
            force: Replace files that are in the way.

        Raises:
            DestinationError: A file is in the way.
            ContentNotFoundError: The run has no content of that name.
        """
        done = restore(self._store, self.document, Path(to), names=names, kinds=kinds, force=force)
        return [Path(to) / path for path in done.paths]

    # Annotations and relations

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags. `Store.tag` adds some."""
        return self.document.tags

    @property
    def note(self) -> str:
        """The note. `Store.note` sets it."""
        return self.document.note

    @property
    def verdict(self) -> records.Verdict | None:
        """The verdict, if the run is a replay."""
        return self.document.verdict

    @property
    def hazards(self) -> tuple[records.Hazard, ...]:
        """Hazards: things seen during the run that a replay may find different."""
        return self.document.hazards

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about details that could not be recorded."""
        return self.document.warnings

    @property
    def replay_of(self) -> str | None:
        """The id of the run that this run replays, if it is a replay."""
        return self.document.replay_of

    @property
    def parent(self) -> str | None:
        """The id of the enclosing run, if the call was made inside a recorded run."""
        return self.document.parent

    @property
    def fingerprint(self) -> str | None:
        """The digest of everything that decides the run. Runs with equal fingerprints should give equal results."""
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
        summary = "; ".join(part for part in (_abridge(config), _abridge(metrics)) if part)
        return (
            f"<Run {self.number} {self.experiment} {self.status}{': ' if summary else ''}{summary}>"
        )

    def _repr_html_(self) -> str:
        from .notebook import record_html

        return record_html(self._store, self.document)


def _abridge(parts: Iterator[str], *, most: int = 6) -> str:
    """Join the first `most` parts."""
    listed = list(parts)
    return ", ".join([*listed[:most], *["..."] * (len(listed) > most)])
