"""The live run: `log`, `save`, `dir`; it begins a record, and finishes it.

The order matters. What can be captured is captured before the function starts, so that what cannot is
said in time; what came out is put into the store before the record that names it; and from the moment
the function runs its own result or exception wins: trouble of the recorder's own is warned about, and
what was written so far stays in ``live/<id>/``.
"""

from __future__ import annotations

import os
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
from .invocation import Call
from .monitors import Observation
from .outputs import Outputs
from .problems import Problems, one_line, warn
from .record_builder import Account, Ending
from .sigint import Postponed


class ActiveRun:
    """One execution of an experiment, while it lasts.

    `id` and `number` name it; `store` is where it is written; `dir` is a folder of its own, whose files
    become outputs; `config` has the arguments. Of a block of code (`start_run`), what is put into
    `config` later counts, and `result` is what it has come to. `note` is a remark for the record.
    """

    def __init__(self, call: Call) -> None:
        """Begin the run: write it as running, and start to watch. Raises RecorderError."""
        self._call = call
        self._pid = os.getpid()
        self._finished = False
        self.result: Any = None
        self.note = ""
        self.config = dict(call.arguments)
        self._secrets = Secrets(named=call.secrets, public=call.public)
        self._secrets.add(call.redacted)
        self._report = Problems(self._secrets, strict=call.strict)
        self.store: RunStore = call.setting.store
        for warning in call.warnings:
            self._report(warning)
        prepare()  # the console's first start takes 15-20 ms, which pass while the code is captured
        self._live = self.store.reserve()
        try:
            self._account = Account(call, secrets=self._secrets, report=self._report)
            self.record = self.store.begin(self._account.begin(self._live))
        except BaseException:
            self._live.close()
            raise
        try:
            self._observe()
        except BaseException as error:
            self._give_up(error)
            raise

    def _observe(self) -> None:
        live, secrets, report = self._live, self._secrets, self._report
        self._setting = setting = self._account.setting
        self._outputs = Outputs(self.store, live, setting=setting, secrets=secrets, report=report)
        self._observation = Observation(
            self._call,
            started=self.record.started,
            live=live,
            setting=setting,
            secrets=secrets,
            report=report,
        )

    def _give_up(self, error: BaseException) -> None:
        """End the run whose function has not been called."""
        self.record = self._account.give_up(self.record, error)
        self.store.finish(self.record)
        self._live.close()

    @property
    def id(self) -> str:
        """The run's global id."""
        return self.record.id

    @property
    def number(self) -> int:
        """The run's number in its store."""
        return self.record.number

    @property
    def is_ours(self) -> bool:
        """Whether this is the run's own process. A child that was forked from it has no part in the run."""
        return self._pid == os.getpid()

    @property
    def seed(self) -> int:
        """The integer from which the run's generators were seeded."""
        return self._call.seed.value

    @property
    def traceback(self) -> str:
        """The traceback of the exception that ended the run, "" where none did."""
        return self.record.failure.traceback if self.record.failure is not None else ""

    @property
    def dir(self) -> Path:
        """A folder of the run's own; every file and folder in it becomes an output of that name."""
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
        """Add a point to each metric named, at `step` or at the metric's own next one.

        Values are numbers, booleans (1 or 0), or scalars of NumPy and PyTorch; a mapping in `values` names
        its metrics with dots. Anything else is warned about and left out (strict: TypeError).
        """
        self.log_named(values, named, step=step)

    def log_named(
        self, values: Mapping[str, Any] | None, named: dict[str, Any], *, step: int | float | None
    ) -> None:
        """The same, with the metrics that `log` was given by name as a dict."""
        if self._is_forked("log"):
            return
        if type(step) is not int:
            step = as_number(step)
        # (Written out: it is a third of what a point costs.)
        for value in named.values() if values is None else (values,):
            if type(value) is not float and type(value) is not int:
                named = self._points(values, named)
                break
        try:
            self._observation.series.add(named, step=step)
        except OSError as error:
            what = f"metrics are not written yet, and lost if the run is killed: {one_line(error)}"
            self._report(what, error=SaveError(what, name="series"))

    def _points(
        self, values: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> dict[str, int | float]:
        points: dict[str, int | float] = {}
        for name, value in named_values({**(values or {}), **named}):
            number = as_number(value)
            if number is None:
                what = f"metric {name!r} is {type(value).__name__}, not a number: not logged"
                self._report(what, error=EncodeError(what, path=name))
            else:
                points[name] = number
        return points

    def save(self, target: Any, *, name: str | None = None) -> None:
        """Keep an output: the file or folder at a path, as it is now, or a value under `name`.

        A `str` or a Path is always a path. A later output of the same name takes the place of the
        earlier one. What cannot be kept is warned about (strict: SaveError).
        """
        if self._is_forked("save"):
            return
        self._outputs.save(target, name)

    def save_figure(self, figure: Any, name: str) -> None:
        """Keep a figure of matplotlib or plotly as an output: as the format that the name ends in.

        Without one a figure of matplotlib is kept as PNG, one of plotly as JSON. What cannot be drawn is warned
        about (strict: SaveError).
        """
        if self._is_forked("save_figure"):
            return
        self._outputs.save_figure(figure, name)

    def track_input(self, path: str | os.PathLike[str]) -> None:
        """Take the file, or every file below the folder, as an input, as it is now.

        What cannot be read is warned about (strict: SaveError).
        """
        if self._is_forked("track_input"):
            return
        try:
            self.add_input(path)
        except OSError as error:
            what = f"input {os.fspath(path)!r} was not recorded: {one_line(error)}"
            self._report(what, error=SaveError(what, name=os.fspath(path)))

    def add_input(self, path: str | os.PathLike[str]) -> None:
        """Take a file, or every file below a folder, as an input. Raises OSError where it cannot be read."""
        self._observation.watch.add(path)

    def warn(self, message: str) -> None:
        """Warn that something is not recorded, once, and note it in the record."""
        self._report(message)

    def place_of(self, path: str | os.PathLike[str]) -> str | None:
        """The path relative to the root of the code, with slashes, None for one that lies outside."""
        return place_in(os.fspath(path), self._setting.root)

    def _is_forked(self, what: str) -> bool:
        """Whether this is a forked child, which is warned that `what` it does is not kept."""
        if self.is_ours:
            return False
        warn(f"{what}() in a process that was forked from run {self.number}: nothing is kept")
        return True

    # A generator's steps

    def leave(self) -> None:
        """The code that runs from now on is not the run's: its seed and its watch are put aside."""
        if not self._finished:
            self._observation.pause()

    def enter(self) -> None:
        """The run's code goes on, after `leave`."""
        if not self._finished:
            self._observation.resume()

    # Ending

    def finish(self, result: Any = None) -> Record:
        """End the run with what the function returned."""
        return self._end("finished", result=result)

    def fail(self, error: BaseException, *, result: Any = None) -> Record:
        """End the run with the exception that came out of the function; `result` is what there is all the same."""
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
            if not self.is_ours:
                self._observation.restore_seed()
                return self.record  # it is the parent's to finish
            self._report.strict = False
            ending = Ending(
                status=status, result=result, error=error, note=self.note, config=self.config
            )
            try:
                self._complete(ending)
            except Exception as trouble:  # noqa: BLE001 - the experiment's own result wins over any trouble here
                self._live.close(keep=True)
                warn(
                    f"run {self.number} could not be finished: {one_line(trouble)}; what it wrote is kept in"
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
        self.record = self._account.end(
            self.record, ending, self._observation, self._outputs, live=self._live
        )
        self.store.finish(self.record)
        if self._call.replay_of is None:
            self.store.known_outputs.add(self._outputs.written)
