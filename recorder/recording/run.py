"""The run in progress: `log`, `save`, `dir`; it begins a record, and finishes it.

The order matters. Everything that can be captured is captured before the function starts, so that a problem is
reported in time; outputs are in the store before the record that names them; and once the function runs, its own
result or exception wins: recorder's own failures are warnings, and everything written so far stays in ``live/<id>/``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..capture.console.console import prepare
from ..errors import EncodeError, SaveError
from ..formats.points import as_number, named_values
from ..paths import place_in
from ..records import Record, Status
from ..secrets.register import Secrets
from ..store.store import RunStore
from .in_progress import executing
from .invocation import Call
from .monitors import Observation
from .outputs import Outputs
from .problems import Problems, one_line, warn
from .record_builder import Ending, RecordBuilder
from .sigint import Postponed


class ActiveRun:
    """One execution of an experiment, while it lasts.

    `current_run()` returns it inside a recorded function, ``with start_run(...) as run`` binds it.

    Attributes:
        id: The run's global id, the same in every store.
        number: The run's number in its store.
        store: The store that the run is written to.
        seed: The integer that the random generators were seeded with.
        dir: A folder for the run's files; each file and folder in it becomes an output.
        config: The arguments. Values added within `start_run` are recorded.
        result: The result of a block of code (`start_run`); a function's result is its return value.
        note: A remark that is shown with the run, "" for none.
    """

    def __init__(self, call: Call) -> None:
        """Begin the run: write it as running, and start to observe. Raises RecorderError."""
        self._call = call
        self._pid = os.getpid()
        self.thread = threading.get_ident()
        self._finished = False
        self.result: Any = None
        self.note = ""
        self.config = dict(call.arguments)
        self._secrets = Secrets(named=call.secrets, public=call.public)
        self._secrets.add(call.redacted)
        self._report = Problems(self._secrets, strict=call.strict)
        self.store: RunStore = call.project.store
        for warning in call.warnings:
            self._report(warning)
        prepare()  # the console's first start takes 15-20 ms, which pass while the code is captured
        self._live = self.store.reserve()
        try:
            self._builder = RecordBuilder(call, secrets=self._secrets, report=self._report)
            self.record = self.store.begin(self._builder.begin(self._live))
        except BaseException:
            self._live.close()
            raise
        try:
            self._observe()
            executing.append(self)
        except BaseException as error:
            self.record = self._builder.give_up(self.record, error)
            self.store.finish(self.record)
            self._live.close()
            raise

    def _observe(self) -> None:
        captured = self._builder.captured
        self._outputs = Outputs(
            self._live, captured=captured, secrets=self._secrets, report=self._report
        )
        self._observation = Observation(
            self._call,
            started=self.record.started,
            live=self._live,
            captured=captured,
            secrets=self._secrets,
            report=self._report,
        )

    @property
    def id(self) -> str:
        """The run's global id, the same in every store."""
        return self.record.id

    @property
    def number(self) -> int:
        """The run's number in its store."""
        return self.record.number

    @property
    def is_ours(self) -> bool:
        """True in the process that began the run; a forked child has no part in the run."""
        return self._pid == os.getpid()

    @property
    def seed(self) -> int:
        """The integer that the run's random generators were seeded with."""
        return self._call.seed.value

    @property
    def traceback(self) -> str:
        """The traceback of the exception that ended the run, "" if there was none."""
        return self.record.failure.traceback if self.record.failure is not None else ""

    @property
    def dir(self) -> Path:
        """A folder for the run's files; each file and folder in it becomes an output of that name."""
        self._live.files.mkdir(exist_ok=True)
        return self._live.files

    # While it runs

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | float | None = None,
        **named: Any,
    ) -> None:
        """Add a point to each named metric: ``run.log(loss=0.3, step=epoch)``.

        Args:
            values: Metrics by name; a nested mapping gives dotted names, ``{"train": {"loss": 0.3}}``.
            step: The step of the points; by default each metric counts its own from 0.
            named: Metrics by name: numbers, booleans (kept as 1 or 0), scalars of NumPy and PyTorch.

        Any other value is reported and left out (strict: EncodeError).
        """
        self.log_named(values, named, step=step)

    def log_named(
        self, values: Mapping[str, Any] | None, named: dict[str, Any], *, step: int | float | None
    ) -> None:
        """Do the same as `log`, with the keyword metrics as a dict."""
        if self._is_forked("log"):
            return
        if type(step) is not int:
            step = as_number(step)
        # (Inlined: this check is a third of the cost of a point.)
        for value in named.values() if values is None else (values,):
            if type(value) is not float and type(value) is not int:
                named = self._points(values, named)
                break
        try:
            self._observation.series.add(named, step=step)
        except OSError as error:
            problem = (
                f"metrics cannot be written, and are lost if the run is killed: {one_line(error)}"
            )
            self._report(problem, error=SaveError(problem, name="series"))

    def _points(
        self, values: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> dict[str, int | float]:
        points: dict[str, int | float] = {}
        for name, value in named_values({**(values or {}), **named}):
            number = as_number(value)
            if number is None:
                problem = f"metric {name!r} is {type(value).__name__}, not a number: not logged"
                self._report(problem, error=EncodeError(problem, path=name))
            else:
                points[name] = number
        return points

    def save(self, target: Any, *, name: str | None = None) -> None:
        """Keep an output: the file or folder at a path, in its present state, or a value under `name`.

        A `str` or a Path is always a path. A later output replaces an earlier one of the same name. An output that
        cannot be kept is reported (strict: SaveError).
        """
        if self._is_forked("save"):
            return
        self._outputs.save(target, name)

    def save_figure(self, figure: Any, name: str) -> None:
        """Keep a matplotlib or plotly figure as an output, in the format of the name's suffix.

        Without a suffix a matplotlib figure is kept as PNG, a plotly figure as JSON. A figure that cannot be drawn
        is reported (strict: SaveError).
        """
        if self._is_forked("save_figure"):
            return
        self._outputs.save_figure(figure, name)

    def track_input(self, path: str | os.PathLike[str]) -> None:
        """Record the file, or every file below the folder, as an input in its present state.

        An input that cannot be read is reported (strict: SaveError).
        """
        if self._is_forked("track_input"):
            return
        try:
            self.add_input(path)
        except OSError as error:
            problem = f"input {os.fspath(path)!r} was not recorded: {one_line(error)}"
            self._report(problem, error=SaveError(problem, name=os.fspath(path)))

    def add_input(self, path: str | os.PathLike[str]) -> None:
        """Record a file, or every file below a folder, as an input. Raises OSError if it cannot be read."""
        self._observation.watch.add(path)

    def warn(self, message: str) -> None:
        """Issue a warning, once, and keep it in the record."""
        self._report(message)

    def place_of(self, path: str | os.PathLike[str]) -> str | None:
        """Return the path relative to the root of the code, with slashes; None if it is outside."""
        return place_in(os.fspath(path), self._call.project.root)

    def is_code(self, path: str | os.PathLike[str]) -> bool:
        """Return whether the snapshot of the code contains the file."""
        return self._builder.captured.holds(self.place_of(path))

    def _is_forked(self, function: str) -> bool:
        """Return whether this is a forked child, with a warning that `function` keeps nothing."""
        if self.is_ours:
            return False
        warn(
            f"{function}() in a process that was forked from run {self.number} keeps nothing:"
            " return the values to the parent process, and call it there"
        )
        return True

    # A generator's steps

    def leave(self) -> None:
        """Suspend the seed and the file watch: the code that runs next does not belong to the run."""
        if not self._finished:
            self._observation.pause()
            self._set_executing(False)

    def enter(self) -> None:
        """Resume after `leave`: the run's code continues."""
        if not self._finished:
            self.thread = threading.get_ident()
            self._observation.resume()
            self._set_executing(True)

    def _set_executing(self, is_executing: bool) -> None:
        if is_executing and self not in executing:
            executing.append(self)
        elif not is_executing and self in executing:
            executing.remove(self)

    # Ending

    def finish(self, result: Any = None) -> Record:
        """End the run with the result of the function, and return its record."""
        return self._end("finished", result=result)

    def fail(self, error: BaseException, *, result: Any = None) -> Record:
        """End the run with the function's exception, and a partial result if there is one; return its record."""
        if isinstance(error, SystemExit) and not error.code:
            return self._end("finished")  # sys.exit() and sys.exit(0) are no failures
        interrupted = isinstance(error, KeyboardInterrupt)
        return self._end("interrupted" if interrupted else "failed", result=result, error=error)

    def _end(
        self, status: Status, *, result: Any = None, error: BaseException | None = None
    ) -> Record:
        with Postponed():
            if self._finished:
                return self.record
            self._finished = True
            self._set_executing(False)
            if not self.is_ours:
                self._observation.restore_seed()
                return self.record  # the parent process finishes it
            self._report.strict = False
            ending = Ending(
                status=status, result=result, error=error, note=self.note, config=self.config
            )
            try:
                self._complete(ending)
            except Exception as trouble:  # noqa: BLE001 - the experiment's own result wins over any failure here
                self._live.close(keep=True)
                warn(
                    f"run {self.number} could not be finished: {one_line(trouble)}; its files are kept in"
                    f" {self._live.path}"
                )
            except BaseException:
                self._live.close(keep=True)
                raise
            else:
                self._live.close(reuse=True)
        return self.record

    def _complete(self, ending: Ending) -> None:
        self._observation.stop()
        self.record = self._builder.end(
            self.record, ending, self._observation, self._outputs, live=self._live
        )
        self.store.finish(self.record)
        if self._call.replay_of is None:
            self.store.known_outputs.add(self._outputs.written)
