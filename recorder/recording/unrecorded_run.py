"""A run that keeps nothing, for a block of code that is executed without being recorded."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ..records import Record
from .invocation import Call
from .run import ActiveRun


class UnrecordedRun(ActiveRun):
    """Takes the place of an `ActiveRun`, and keeps nothing: in a secondary rank, and while a replay loads a script.

    It has the whole interface of `ActiveRun`: the config, the seed and the store are those of the call, `id` is "" and
    `number` 0. `dir` is one temporary folder, which is deleted when the block ends.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._pid = os.getpid()
        self.thread = threading.get_ident()
        self._folder: Path | None = None
        self.result: Any = None
        self.note = ""
        self.config = dict(call.arguments)
        self.store = call.project.store
        self.record = Record(
            id="",
            experiment=call.experiment,
            function=call.function,
            started=datetime.now(timezone.utc),
            config={},
            seed_info=call.seed,
        )

    @property
    def dir(self) -> Path:
        """A temporary folder for the run's files; it is deleted when the block ends."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="recorder-"))
        return self._folder

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | float | None = None,
        **named: Any,
    ) -> None:
        """Keep nothing."""

    def log_named(
        self, values: Mapping[str, Any] | None, named: dict[str, Any], *, step: int | float | None
    ) -> None:
        """Keep nothing."""

    def save(self, target: Any, *, name: str | None = None) -> None:
        """Keep nothing."""

    def save_figure(self, figure: Any, name: str) -> None:
        """Keep nothing."""

    def track_input(self, path: str | os.PathLike[str]) -> None:
        """Keep nothing."""

    def add_input(self, path: str | os.PathLike[str]) -> None:
        """Keep nothing."""

    def warn(self, message: str) -> None:
        """Do nothing: the recorded run warns."""

    def leave(self) -> None:
        """Do nothing."""

    def enter(self) -> None:
        """Do nothing."""

    def finish(self, result: Any = None) -> Record:
        """Delete the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        return self.record

    def fail(self, error: BaseException, *, result: Any = None) -> Record:
        """Delete the folder."""
        return self.finish()
