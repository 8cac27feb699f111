"""`start_run`: a run around a block of code, for notebooks and long scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import Any

from ..capture.code.function import locate_code
from ..capture.config import as_integer
from ..capture.seeding.seed import draw_seed
from ..recording.current import current_parent
from ..recording.experiment import is_recording
from ..recording.invocation import Call
from ..recording.project import find_setting
from ..recording.run import ActiveRun
from ..recording.session import Recording
from ..recording.tolerance import Declared, declare
from ..records import Function, Seed, Tolerance


class UnrecordedRun:
    """Stands for the run where none is recorded: while a replay loads the script, and in a rank that is not the first.

    It takes what a run takes, and keeps nothing.
    """

    id = ""
    number = 0
    note = ""
    result: Any = None

    def __init__(self, config: Mapping[str, Any], *, seed: int) -> None:
        self.config = dict(config)
        self.seed = seed

    @property
    def dir(self) -> Path:
        """A folder that nothing is kept of."""
        return Path(mkdtemp(prefix="recorder-"))

    def log(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def save(self, *_: Any, **__: Any) -> None:
        """Nothing."""


class Block:
    """The run around a ``with`` block, which gets the `ActiveRun`; made by `start_run`."""

    def __init__(self, call: Call, *, recorded: bool) -> None:
        self._call = call
        self._recorded = recorded
        self._recording: Recording | None = None

    def __enter__(self) -> ActiveRun:
        if self._recording is not None:
            raise RuntimeError(
                f"this run of {self._call.experiment} was begun already: start_run() makes another"
            )
        if not self._recorded:
            return UnrecordedRun(self._call.arguments, seed=self._call.seed.value)  # type: ignore[return-value]
        self._recording = Recording(self._call)
        self._recording.__enter__()
        return self._recording.run

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        if self._recording is not None:
            self._recording.result = self._recording.run.result
            self._recording.__exit__(kind, error, tb)


def start_run(
    name: str,
    *,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    seed: int | None = None,
    store: str | os.PathLike[str] | None = None,
    strict: bool = False,
    tolerance: Declared | None = None,
    secrets: Sequence[str] = (),
    public: Sequence[str] = (),
    usage: float | None = None,
) -> Block:
    """Record a block of code as a run::

        with start_run("sweep", config={"lr": 0.1}) as run:
            ...
            run.config["steps"] = 100   # what is known only later
            log(loss=loss)
            run.result = {"loss": loss}

    An exception in the block fails the run, and comes out. A block cannot be replayed by itself: record the whole
    script with ``recorder exec -- python SCRIPT``.

    Args:
        name: The experiment's name.
        config: What decides the run, by name.
        tags: Tags of the run.
        seed: The seed; else the config's integer `seed`, else one drawn afresh. It is planted in every generator.
        store: The store's folder, by default as for `record`, from the file of the block.
        strict, tolerance, secrets, public, usage: As for `record`.
    """
    arguments = dict(config or {})
    frame = sys._getframe(1)
    place = locate_code(
        frame.f_globals.get("__name__"), code_file=Path(frame.f_code.co_filename).resolve()
    )
    setting = find_setting(place, store=store)
    root = setting.root
    inside = place.file is not None and root is not None and place.file.is_relative_to(root)
    function = Function(
        module=place.module,
        qualname=_name_of(frame),
        file=place.file.relative_to(root).as_posix() if inside and place.file and root else None,
        script=place.script,
        kind="block",
    )
    call = Call(
        experiment=name,
        function=function,
        arguments=arguments,
        seed=_choose_seed(arguments, seed),
        setting=setting,
        tags=(tags,) if isinstance(tags, str) else tuple(tags),
        strict=strict,
        usage=usage,
        parent=current_parent(),
        tolerance={key: Tolerance(**bounds) for key, bounds in declare(tolerance).items()},
        secrets=(secrets,) if isinstance(secrets, str) else tuple(secrets),
        public=(public,) if isinstance(public, str) else tuple(public),
    )
    return Block(call, recorded=is_recording())


def _name_of(frame: FrameType) -> str:
    return str(getattr(frame.f_code, "co_qualname", frame.f_code.co_name))


def _choose_seed(arguments: Mapping[str, Any], given: int | None) -> Seed:
    value = as_integer(arguments.get("seed")) if given is None else given
    if value is None:
        return Seed(value=draw_seed(), origin="drawn")
    return Seed(value=value, origin="argument", parameter="seed" if given is None else None)
