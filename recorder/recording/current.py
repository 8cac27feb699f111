"""The current run, and the functions that act on it: `log`, `save`, `save_figure`, `track_input`, `rng`, `jax_key`.

`import recorder` loads this module, so it loads nothing else of recorder until one of them is called.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import RecorderWarning
from .in_progress import executing

if TYPE_CHECKING:
    import numpy as np

    from ..capture.environment.ranks import Rank
    from ..capture.seeding.entropy import Streams
    from .run import ActiveRun

P = TypeVar("P", bound="str | os.PathLike[str]")

# The id of the run that this process is part of; `recorder exec` sets it for its command.
PARENT_VARIABLE = "RECORDER_PARENT"

current: ContextVar[ActiveRun | None] = ContextVar("recorder_run", default=None)


def current_run() -> ActiveRun | None:
    """Return the run that the calling code is part of, None outside a run.

    The run belongs to the context: asyncio tasks see it; threads and processes that the experiment starts do not,
    nor does a forked child.
    """
    run = current.get()
    return run if run is not None and run.is_ours else None


def log(
    values: Mapping[str, Any] | None = None, /, *, step: float | None = None, **named: Any
) -> None:
    """Log metrics of the current run: ``log(loss=0.3, step=epoch)`` or ``log({"train": {"loss": 0.3}})``.

    In a thread it logs to the only run in progress. Outside a run it warns and does nothing. In a distributed job only
    the first rank logs; the others do nothing.

    Args:
        values: Metrics by name; a nested mapping gives dotted names (``train.loss``).
        step: The step of the points; by default each metric counts its own from 0.
        named: Metrics by name: numbers, booleans, or scalars of NumPy and PyTorch.
    """
    run = current.get() or _run_of_thread()
    if run is None:
        _warn_outside("log")
    else:
        run.log_named(values, named, step=step)


def save(target: Any, *, name: str | None = None) -> None:
    """Keep an output of the current run: ``save("model.npz")`` or ``save(value, name="weights")``.

    In a thread it saves to the only run in progress. Outside a run it warns and does nothing. In a distributed job only
    the first rank saves; the others do nothing.

    Args:
        target: The path of a file or folder (a `str` or a Path), which is kept in its present state, or a value.
        name: The output's name: required for a value, by default the path relative to the working directory.
    """
    run = current.get() or _run_of_thread()
    if run is None:
        _warn_outside("save")
    else:
        run.save(target, name=name)


def save_figure(figure: Any, name: str) -> None:
    """Keep a matplotlib or plotly figure as an output of the current run: ``save_figure(fig, "loss")``.

    Timestamps and library versions are left out of the file, so that replays can be compared. Outside a run it warns
    and does nothing. In a distributed job only the first rank saves; the others do nothing.

    Args:
        figure: A figure of matplotlib or plotly.
        name: The output's name. Its suffix chooses the format (``"loss.svg"``); by default PNG for matplotlib and JSON
            for plotly.
    """
    run = current.get() or _run_of_thread()
    if run is None:
        _warn_outside("save_figure")
    else:
        run.save_figure(figure, name)


def track_input(path: P) -> P:
    """Record the file at `path`, or every file below a folder, as an input of the current run; return `path`.

    Files that Python opens are recorded automatically. Use this for files that a child process or a C library opens.
    The files are digested in their present state. Outside a run this only returns the path.
    """
    run = current.get() or _run_of_thread()
    if run is not None:
        run.track_input(path)
    return path


def rng() -> np.random.Generator:
    """Return a new NumPy generator spawned from the current run's seed; a replay gets the same ones in order.

    Call number n, counted from 0, returns ``default_rng(SeedSequence(seed).spawn(n + 1)[n])``. Like `current_run`, this
    depends on the context: create the generators of threads and processes in the run, and pass them on. Outside a
    run it warns and returns an unseeded generator. Needs NumPy.
    """
    streams = _streams("rng")
    if streams is not None:
        return streams.spawn()  # type: ignore[no-any-return]
    from numpy import random

    return random.default_rng()


def jax_key() -> Any:
    """Return a new JAX key derived from the current run's seed; a replay gets the same ones in order.

    Call number n, counted from 0, returns ``jax.random.fold_in(jax.random.key(seed), n)``. Outside a run it warns and
    returns a key from the operating system's entropy. Needs JAX.
    """
    streams = _streams("jax_key")
    if streams is not None:
        return streams.fold_key()
    import secrets

    from jax import random  # type: ignore[import-not-found, unused-ignore]

    return random.key(secrets.randbits(32))


def _streams(function: str) -> Streams | None:
    from ..capture.seeding.entropy import current_streams

    streams = current_streams()
    if streams is None:
        message = f"{function}() outside a recorded run is not seeded: call it in a recorded function or in start_run"
        warnings.warn(message, RecorderWarning, stacklevel=3)
    return streams


def current_parent() -> str | None:
    """Return the id of the run that a new run is part of: the current one, or that of `recorder exec`."""
    run = current.get()  # a forked child's run is part of the run that it was forked in
    return os.environ.get(PARENT_VARIABLE) or None if run is None else run.id


def find_rank() -> Rank | None:
    """Return this process's rank in a distributed job; None without a job, and in a replay, which is one process."""
    from ..capture.environment.ranks import find_rank

    rank = find_rank()
    return None if rank is None or is_replaying() else rank


def is_replaying() -> bool:
    """Return whether this process replays a run."""
    from . import project

    return project.given is not None


def _run_of_thread() -> ActiveRun | None:
    """Return the only run in progress for a thread that the run's code started, which does not have its context."""
    if not executing:
        return None
    from threading import get_ident

    runs: list[ActiveRun] = [run for run in executing if run.is_ours]
    return runs[0] if len(runs) == 1 and runs[0].thread != get_ident() else None


def _warn_outside(function: str) -> None:
    rank = find_rank()
    if rank is not None and not rank.is_first:
        return  # the first rank logs and saves for all
    message = f"{function}() outside a recorded run keeps nothing: call it in a recorded function or in start_run"
    warnings.warn(message, RecorderWarning, stacklevel=3)
