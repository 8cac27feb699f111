"""The run that this code is part of, and the functions that speak to it: `log`, `save`, `save_figure`,
`track_input`, `rng`.

This module is part of what `import recorder` costs, so it loads nothing of the rest until a run is spoken to.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import RecorderWarning

if TYPE_CHECKING:
    import numpy as np

    from ..capture.environment.ranks import Rank
    from ..capture.seeding.entropy import Streams
    from .run import ActiveRun

P = TypeVar("P", bound="str | os.PathLike[str]")

# The run that this process is part of, set by `recorder exec` for the command and what it starts.
PARENT_VARIABLE = "RECORDER_PARENT"

current: ContextVar[ActiveRun | None] = ContextVar("recorder_run", default=None)


def current_run() -> ActiveRun | None:
    """The run that this code is part of, None outside any.

    It belongs to the context: threads and processes that the experiment starts do not see it, a forked
    child neither; asyncio tasks do.
    """
    run = current.get()
    return run if run is not None and run.is_ours else None


def log(
    values: Mapping[str, Any] | None = None, /, *, step: float | None = None, **named: Any
) -> None:
    """Log metrics of the current run: ``log(step=epoch, loss=0.3)`` or ``log({"train": {"loss": 0.3}})``.

    Values are numbers, booleans, or scalars of NumPy and PyTorch; `step` counts from 0 for each name
    where it is left out. Outside a run it warns and does nothing; in a rank of a job that is not the
    first it does nothing.
    """
    run = current.get()
    if run is None:
        _warn_outside("log")
    else:
        run.log_named(values, named, step=step)


def save(target: Any, *, name: str | None = None) -> None:
    """Keep an output of the current run.

    ``save("model.npz")`` keeps the file or folder at that path, as it is now; ``save(value, name="...")``
    keeps a value. A `str` or a Path is always a path. Outside a run it warns and does nothing; in a rank of a
    job that is not the first it does nothing.
    """
    run = current.get()
    if run is None:
        _warn_outside("save")
    else:
        run.save(target, name=name)


def save_figure(figure: Any, name: str) -> None:
    """Keep a figure of matplotlib or plotly as an output of the current run.

    ``save_figure(fig, "loss")`` is kept as ``loss.png``, or, of plotly, as ``loss.json``; ``save_figure(fig,
    "loss.svg")`` in
    that format. Nothing that tells the time or the version goes into the file. Outside a run it warns and does
    nothing; in a rank of a job that is not the first it does nothing.
    """
    run = current.get()
    if run is None:
        _warn_outside("save_figure")
    else:
        run.save_figure(figure, name)


def track_input(path: P) -> P:
    """Say that the current run reads the file, or the files below the folder, at `path`; returns `path`.

    For what is not found without a word: files that a child process or a C library opens. They are digested as they
    are now. Outside a run it only returns the path.
    """
    run = current.get()
    if run is not None:
        run.track_input(path)
    return path


def rng() -> np.random.Generator:
    """A NumPy generator spawned from the current run's seed: another stream each call, the same in a replay.

    The call number n, counted from 0, gives ``default_rng(SeedSequence(seed).spawn(n + 1)[n])``. It belongs to the
    context, as `current_run` does: make those for threads and processes in the run, and hand them over. Outside a
    run it warns, and gives an unseeded generator. Needs NumPy.
    """
    streams = _streams("rng")
    if streams is not None:
        return streams.spawn()  # type: ignore[no-any-return]
    from numpy import random

    return random.default_rng()


def jax_key() -> Any:
    """A JAX key of the current run's seed: another one each call, the same in a replay. Needs JAX.

    The call number n, counted from 0, gives ``jax.random.fold_in(jax.random.key(seed), n)``. Outside a run it warns,
    and gives a key of the operating system's entropy.
    """
    streams = _streams("jax_key")
    if streams is not None:
        return streams.fold_key()
    import secrets

    from jax import random  # type: ignore[import-not-found, unused-ignore]

    return random.key(secrets.randbits(32))


def _streams(what: str) -> Streams | None:
    from ..capture.seeding.entropy import current_streams

    streams = current_streams()
    if streams is None:
        message = f"{what}() outside a recorded run: not seeded"
        warnings.warn(message, RecorderWarning, stacklevel=3)
    return streams


def current_parent() -> str | None:
    """The id of the run that one which begins now is a part of: the current one, or the command's that started us."""
    run = current.get()  # a forked child's is part of the run that it was forked in
    return os.environ.get(PARENT_VARIABLE) or None if run is None else run.id


def find_rank() -> Rank | None:
    """This process's rank in a job of several; None where there is no job, and in a replay, which is one process."""
    from ..capture.environment.ranks import find_rank

    rank = find_rank()
    return None if rank is None or is_replaying() else rank


def is_replaying() -> bool:
    """Whether this process replays a run, whose code is not to be spared anything."""
    from . import project

    return project.given is not None


def _warn_outside(what: str) -> None:
    rank = find_rank()
    if rank is not None and not rank.is_first:
        return  # the first rank logs and saves for all
    message = f"{what}() outside a recorded run: nothing is kept"
    warnings.warn(message, RecorderWarning, stacklevel=3)
