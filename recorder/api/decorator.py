"""`@record`.

This module is what `import recorder` costs, so it loads nothing of the rest until an experiment is called.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any, NamedTuple, TypeVar, overload

from ..recording.experiment import Experiment, experiment_of
from ..recording.generators import hand_on_async
from ..recording.options import KEEP_BYTES, check_options
from ..recording.tolerance import Declared

F = TypeVar("F", bound=Callable[..., Any])


@overload
def record(function: F, /) -> F: ...


@overload
def record(
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    seed: str = "seed",
    store: str | os.PathLike[str] | None = None,
    strict: bool = False,
    tolerance: Declared | None = None,
    secrets: Sequence[str] = (),
    public: Sequence[str] = (),
    usage: float | None = None,
    keep_bytes: int = KEEP_BYTES,
    reuse: bool = False,
) -> Callable[[F], F]: ...


def record(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    seed: str = "seed",
    store: str | os.PathLike[str] | None = None,
    strict: bool = False,
    tolerance: Declared | None = None,
    secrets: Sequence[str] = (),
    public: Sequence[str] = (),
    usage: float | None = None,
    keep_bytes: int = KEEP_BYTES,
    reuse: bool = False,
) -> F | Callable[[F], F]:
    """Record every call of the function as a run.

    The function keeps its signature, docstring, return value, exceptions and type::

        @record
        def train(lr: float = 0.1, seed: int = 0): ...

        @record(name="baseline", tags=["paper"])
        def train(lr: float = 0.1): ...

    ``@train.preset`` takes a function beside it for a named preset of ``recorder run``: what it returns are values by
    parameter, or by dotted key::

        @train.preset
        def small():
            return {"lr": 0.5}

    ``train.main()`` is a command line for a script of one's own, with an option for each parameter and those of
    ``recorder run``: ``python train.py --lr 0.1,0.01 --repeat 5 -j 2``.

    Args:
        function: What to record: a function, a coroutine function, a generator function (until it is exhausted or
                closed), a method, a classmethod or staticmethod, a bound method, or a functools.partial.
        name: The experiment's name; the function's own by default.
        tags: Tags that each of its runs gets.
        seed: The parameter that the seed is taken from if it is bound to an integer, and handed to if
            it is left out or None. Without one every run still has a seed, drawn afresh.
        store: The store's folder; by default `.recorder` at the root of the git repository that holds
            the function's file.
        strict: Refuse to start, rather than warn, when something cannot be captured.
        tolerance: Up to what difference a replay's numbers count as close: a relative one for all, or a mapping
            of patterns of names (of metrics, outputs, files, ``result``, ``result.loss``) to one, or to
            ``{"rtol": ..., "atol": ...}``.
        secrets: Parameters (or entries of one, ``"db.dsn"``) whose values are never written down, beside those
            that look like credentials.
        public: Parameters, or entries, that look like credentials and are none.
        usage: Seconds between two samples of processor, memory and GPU use, which become the metrics
            ``usage.*``; none by default. Needs psutil (``pip install 'run-recorder[usage]'``).
        keep_bytes: The size up to which files that nobody named are kept: inputs from outside the project, and
            what the run wrote without `save`. Larger ones are known by their digests.
        reuse: Return the result of a finished run that code, config, seed, environment, inputs and the way in which
            the process was started decided alike, where there is one, and lay its files out, instead of running again
            (see `recorder.recording.reuse`). Not for generators, whose values are not kept.

    Raises:
        TypeError: for what is no function, for names that it has no parameter for, for a tolerance that is none,
            and for a generator that is to be reused.
        ValueError: for a tolerance that is negative or not finite, and for a `usage` that is no positive number.
    """

    if usage is not None and not 0 < usage < float("inf"):
        raise ValueError(f"usage={usage!r}: the seconds between two samples, more than 0")

    def decorate(function: Any) -> Any:
        if isinstance(function, classmethod | staticmethod):
            return type(function)(decorate(function.__func__))
        plain = _take_apart(function)
        options = check_options(
            _check(plain.function), tags=tags, seed=seed, store=store, strict=strict, tolerance=tolerance,
            secrets=secrets, public=public, usage=usage, keep_bytes=keep_bytes, reuse=reuse,
        )  # fmt: skip
        return _wrap(Experiment(plain.function, name=name, options=options), function, plain)

    return decorate if function is None else decorate(function)


class _Plain(NamedTuple):
    """A function, and the arguments that come before those of a call."""

    function: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


def _take_apart(function: Any) -> _Plain:
    """The plain function behind a partial, a bound method, or one that is recorded already."""
    if isinstance(function, functools.partial):
        inner = _take_apart(function.func)
        kwargs = {**inner.kwargs, **function.keywords}
        return _Plain(inner.function, (*inner.args, *function.args), kwargs)
    if isinstance(function, MethodType):
        inner = _take_apart(function.__func__)
        return _Plain(inner.function, (*inner.args, function.__self__), inner.kwargs)
    experiment = experiment_of(function)
    return _Plain(function if experiment is None else experiment.function)


def _wrap(experiment: Experiment, function: Any, plain: _Plain) -> Any:
    recorded = _recorded(experiment, plain)
    functools.update_wrapper(recorded, experiment.function)
    if plain.args or plain.kwargs:
        import inspect

        recorded.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    recorded.__experiment__ = experiment  # type: ignore[attr-defined]
    recorded.preset = experiment.preset  # type: ignore[attr-defined]
    recorded.main = experiment.main  # type: ignore[attr-defined]
    return recorded


def _recorded(experiment: Experiment, plain: _Plain) -> Callable[..., Any]:
    """A function of the same kind as the experiment's, for `inspect` and whoever goes by it."""
    first, named = plain.args, plain.kwargs

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return await experiment.call_async((*first, *args), {**named, **kwargs})

    def generator(*args: Any, **kwargs: Any) -> Any:
        return (yield from experiment.iterate((*first, *args), {**named, **kwargs}))

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return experiment.start_async((*first, *args), {**named, **kwargs})

    def function(*args: Any, **kwargs: Any) -> Any:
        return experiment.call((*first, *args), {**named, **kwargs})

    if experiment.is_coroutine:
        return coroutine
    if experiment.is_generator:
        return generator
    return hand_on_async(start) if experiment.is_async_generator else function


def _check(function: Any) -> Callable[..., Any]:
    if getattr(function, "__code__", None) is None:
        raise TypeError(
            f"@record takes a function, not {type(function).__name__}: put it next to `def`"
        )
    return function  # type: ignore[no-any-return]
