"""`start_run`: record a block of code as a run, in a notebook or a long script."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..capture.code.function import locate_code
from ..capture.config import as_integer
from ..capture.seeding.seed import draw_seed
from ..recording.current import current_parent
from ..recording.experiment import is_recording
from ..recording.invocation import Call
from ..recording.options import (
    KEEP_BYTES,
    Declared,
    as_names,
    check_interval,
    declare_tolerance,
)
from ..recording.project import find_project
from ..recording.run import ActiveRun
from ..recording.session import Recording
from ..recording.unrecorded_run import UnrecordedRun
from ..records import Function, Seed, Tolerance


class Block:
    """The run around a ``with`` block, which gets the `ActiveRun`; made by `start_run`."""

    def __init__(self, call: Call, *, recorded: bool) -> None:
        self._call = call
        self._recorded = recorded
        self._recording: Recording | None = None
        self._unrecorded: UnrecordedRun | None = None

    def __enter__(self) -> ActiveRun:
        if self._recording is not None or self._unrecorded is not None:
            raise RuntimeError(
                f"this run of {self._call.experiment} has begun already: call start_run() again for another one"
            )
        if not self._recorded:
            self._unrecorded = UnrecordedRun(self._call)
            return self._unrecorded
        self._recording = Recording(self._call)
        self._recording.__enter__()
        return self._recording.run

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        if self._recording is not None:
            self._recording.result = self._recording.run.result
            self._recording.__exit__(kind, error, tb)
        if self._unrecorded is not None:
            self._unrecorded.finish()


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
    keep_bytes: int = KEEP_BYTES,
) -> Block:
    """Record a block of code as a run.

    ::

        from recorder import log, start_run

        with start_run("sweep", config={"lr": 0.1}, seed=1) as run:
            ...
            run.config["steps"] = 100     # a value known only later
            log(loss=loss)
            run.result = {"loss": loss}

    An exception in the block fails the run and is raised. A block cannot be replayed alone: to be able to replay a
    script, record all of it with ``recorder exec -- python SCRIPT``. While a replay loads the script, and in the ranks
    of a distributed job after the first, the block runs with a run of the same interface that keeps nothing.

    Args:
        name (str): The name of the experiment, under which its runs are listed.
        config (mapping): The parameters of the run, by name. Default: none. Example: ``config={"lr": 0.1}``.
        tags (sequence of str): Tags of the run. Default: none. Example: ``tags=["paper"]``.
        seed (int): The seed of random, NumPy, PyTorch and the other generators. Default: the integer
            ``config["seed"]``, else a drawn one; these leave alone a generator that the program has seeded itself.
            Example: ``seed=1``.
        store (str or path): The folder of the store. Default: as for `record`, from the file of the block.
        strict (bool): As for `record`.
        tolerance (float or mapping): As for `record`.
        secrets (sequence of str): Keys of the config, or dotted entries of one; as for `record`.
        public (sequence of str): Keys of the config, or dotted entries of one; as for `record`.
        usage (float): As for `record`, in seconds.
        keep_bytes (int): As for `record`, in bytes.

    Returns:
        A context manager, whose ``with`` block gets the `ActiveRun`.

    Raises:
        TypeError: if `tolerance` is not a number or a mapping.
        ValueError: if a tolerance is negative or not finite, or `usage` is not positive.
        RecorderError: if the store cannot be used or, with `strict`, something cannot be captured.
    """
    arguments = dict(config or {})
    frame = sys._getframe(1)
    place = locate_code(
        frame.f_globals.get("__name__"), code_file=Path(frame.f_code.co_filename).resolve()
    )
    project = find_project(place, store=store)
    root = project.root
    inside = place.file is not None and root is not None and place.file.is_relative_to(root)
    function = Function(
        module=place.module,
        qualname=str(getattr(frame.f_code, "co_qualname", frame.f_code.co_name)),
        file=place.file.relative_to(root).as_posix() if inside and place.file and root else None,
        script=place.script,
        kind="block",
    )
    bounds = declare_tolerance(tolerance)
    call = Call(
        experiment=name,
        function=function,
        arguments=arguments,
        seed=_choose_seed(arguments, seed),
        project=project,
        tags=as_names(tags),
        strict=strict,
        usage=check_interval(usage),
        keep_bytes=keep_bytes,
        parent=current_parent(),
        tolerance={pattern: Tolerance(**bound) for pattern, bound in bounds.items()},
        secrets=as_names(secrets),
        public=as_names(public),
    )
    return Block(call, recorded=is_recording())


def _choose_seed(arguments: Mapping[str, Any], given: int | None) -> Seed:
    value = as_integer(arguments.get("seed")) if given is None else given
    if value is None:
        return Seed(value=draw_seed(), origin="drawn")
    return Seed(value=value, origin="argument", parameter="seed" if given is None else None)
