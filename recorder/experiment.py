"""`@record`, and the functions that speak to the run in progress: `log`, `save`, `rng`, `current_run`.

This module is what `import recorder` costs, so it loads nothing of the rest until an experiment is called.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from .driving import Around, Unrecorded, drive, exhaust, exhaust_async, hand_on_async
from .errors import RecorderWarning
from .tolerance import Declared, declare

if TYPE_CHECKING:
    import inspect

    import numpy as np

    from .attendance import Attendance
    from .capture.entropy import Streams
    from .capture.function import Described, Place
    from .capture.ranks import Rank
    from .run import Call, Run
    from .yielding import Stream

# The size up to which files that nobody named are kept.
KEEP_BYTES = 100 * 1024 * 1024

F = TypeVar("F", bound=Callable[..., Any])

P = TypeVar("P", bound="str | os.PathLike[str]")

_current: ContextVar[Run | None] = ContextVar("recorder_run", default=None)

# A replay looks at every call of an experiment before it is made: see `intercept`.
Interceptor = Callable[["Experiment", Sequence[Any], Mapping[str, Any]], Any]
_interceptor: Interceptor | None = None

# The run that this process is part of, set by `recorder exec` for the command and what it starts.
PARENT_VARIABLE = "RECORDER_PARENT"

# inspect.CO_COROUTINE, CO_GENERATOR, CO_ASYNC_GENERATOR: importing inspect costs 15 ms.
_COROUTINE, _GENERATOR, _ASYNC_GENERATOR = 0x80, 0x20, 0x200


# What `record` was told, which a pickle of an experiment takes along.
_OPTIONS = (
    "function",
    "name",
    "tags",
    "seed",
    "store",
    "strict",
    "tolerance",
    "secrets",
    "public",
    "usage",
    "keep_bytes",
)


# What a pickle of an older version lacks.
_LATER: dict[str, Any] = {
    "tolerance": {},
    "secrets": (),
    "public": (),
    "usage": None,
}


class Experiment:
    """A recorded function: its name, and how each call of it becomes a run.

    `function` is the function as it was written; `seed` the name of the parameter for the seed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
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
    ) -> None:
        self.function = function
        self.name = name or _default_name(function)
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags)
        self.seed = seed
        self.store = store
        self.strict = strict
        self.tolerance = declare(tolerance)
        self.secrets = _check_names(function, secrets, "secrets")
        self.public = _check_names(function, public, "public")
        self.usage = usage
        self.keep_bytes = keep_bytes
        # Absolute as of now: the program may change its working directory before the first call.
        self.file = Path(function.__code__.co_filename).resolve()
        self._described: dict[Path | None, Described] = {}

    def __repr__(self) -> str:
        return f"<experiment {self.name}: {self.function.__module__}:{self.function.__qualname__}>"

    @property
    def is_coroutine(self) -> bool:
        """Whether the function is an ``async def``."""
        return bool(self.function.__code__.co_flags & _COROUTINE)

    @property
    def is_generator(self) -> bool:
        """Whether the function is a generator function, async ones left out."""
        return bool(self.function.__code__.co_flags & _GENERATOR)

    @property
    def is_async_generator(self) -> bool:
        """Whether the function is an ``async def`` with a ``yield``."""
        return bool(self.function.__code__.co_flags & _ASYNC_GENERATOR)

    @functools.cached_property
    def place(self) -> Place:
        """Where the function stands."""
        from .capture.function import locate

        return locate(self.function, code_file=self.file)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's."""
        import inspect

        return inspect.signature(self.function)

    def __getstate__(self) -> dict[str, Any]:
        # Its place too: in a worker process another program is __main__.
        kept = {key: self.__dict__[key] for key in _OPTIONS}
        return {**kept, "file": self.file, "place": self.place, "_described": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**_LATER, "keep_bytes": KEEP_BYTES, **state})

    def prepare(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, given_seed: int | None = None
    ) -> tuple[Call, inspect.BoundArguments]:
        """What a call with these arguments would record, and its bound arguments.

        Raises TypeError as the call itself would, RecorderError where there can be no store.
        """
        from .capture.config import bind, choose_seed
        from .capture.function import find_receiver
        from .capture.ranks import draw_common_seed, warn_of_seed
        from .records import Tolerance
        from .run import Call
        from .setting import find_setting

        bound = bind(self.signature, args, kwargs, seed=self.seed)
        rank = _find_rank()
        common = None if rank is None else draw_common_seed(rank, experiment=self.name)
        seed = choose_seed(bound, parameter=self.seed, given=given_seed, drawn=common)
        setting = find_setting(self.place, store=self.store)
        described = self._describe(setting.root)
        call = Call(
            experiment=self.name,
            function=described.function,
            arguments=bound.arguments,
            seed=seed,
            setting=setting,
            objects=tuple(described.objects.values()),
            tags=self.tags,
            strict=self.strict,
            tolerance={k: Tolerance(**bounds) for k, bounds in self.tolerance.items()},
            secrets=self.secrets,
            public=self.public,
            redacted=described.redacted,
            usage=self.usage,
            keep_bytes=self.keep_bytes,
            parent=current_parent(),
            warnings=(*described.warnings, *warn_of_seed(rank, seed, common=common)),
            ranks=None if rank is None else rank.ranks,
            receiver=find_receiver(self.function, bound.arguments),
        )
        return call, bound

    def attend(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Attendance | None:
        """How a call runs in a rank of a job that is not the first; None where it is to be recorded.

        Raises TypeError as the call itself would.
        """
        rank = _find_rank()
        if rank is None or rank.is_first:
            return None
        from .attendance import Attendance

        function, seed = self.function, self.seed
        return Attendance(function, args, kwargs, rank=rank, experiment=self.name, seed=seed)

    def _describe(self, root: Path | None) -> Described:
        from .capture.function import describe
        from .capture.secrets import Secrets

        known = self._described.get(root)
        if known is None or known.objects:  # a pickled closure may hold other values by now
            seed = self.seed if self.seed in self.signature.parameters else None
            known = describe(
                self.function,
                place=self.place,
                root=root,
                seed_parameter=seed,
                secrets=Secrets(named=self.secrets, public=self.public),
            )
            self._described[root] = known
        return known

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the function and record it; its result or exception comes out unchanged."""
        if _interceptor is not None:
            return _interceptor(self, args, kwargs)
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            with attendance as bound:
                return self.function(*bound.args, **bound.kwargs)
        call, bound = self.prepare(args, kwargs)
        with Recording(call) as recording:
            recording.result = self.function(*bound.args, **bound.kwargs)
        return recording.result

    async def call_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The same for a coroutine function."""
        if _interceptor is not None:
            return await _interceptor(self, args, kwargs)
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            with attendance as bound:
                return await self.function(*bound.args, **bound.kwargs)
        call, bound = self.prepare(args, kwargs)
        with Recording(call) as recording:
            recording.result = await self.function(*bound.args, **bound.kwargs)
        return recording.result

    def iterate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        """The same for a generator function; the run begins with the first step."""
        if _interceptor is not None:
            return (yield from _interceptor(self, args, kwargs))
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            with attendance as bound:
                return (yield from self.function(*bound.args, **bound.kwargs))
        stream, bound = self.begin_stream(args, kwargs)
        return (yield from drive(self.function(*bound.args, **bound.kwargs), stream))

    def start_async(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[AsyncGenerator[Any, Any], Around]:
        """The same for an async generator function: the generator, and what is around each of its steps."""
        if _interceptor is not None:
            return _interceptor(self, args, kwargs), Unrecorded()
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            return self.function(*attendance.bound.args, **attendance.bound.kwargs), Unrecorded()
        stream, bound = self.begin_stream(args, kwargs)
        return self.function(*bound.args, **bound.kwargs), stream

    def begin_stream(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Stream, inspect.BoundArguments]:
        """A run for a generator that is about to take its first step, and its bound arguments."""
        from .run import Run
        from .yielding import Stream

        call, bound = self.prepare(args, kwargs)
        return Stream(Run(call), _current), bound

    def invoke(self, bound: inspect.BoundArguments) -> Any:
        """Call the function itself, unrecorded; a coroutine function in an event loop of its own."""
        result = self.function(*bound.args, **bound.kwargs)
        if self.is_coroutine:
            import asyncio

            return asyncio.run(result)
        return result


class Recording:
    """A run from its beginning to its end, as the current one of this context.

    Made, the run has begun; the ``with`` block ends it with `result`, or with the exception that leaves it.
    """

    result: Any = None

    def __init__(self, call: Call | Run) -> None:
        from .run import Call, Run

        self.run = Run(call) if isinstance(call, Call) else call

    def __enter__(self) -> Recording:
        self._token = _current.set(self.run)
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        _current.reset(self._token)
        if error is None:
            self.run.finish(self.result)
        else:
            self.run.fail(error)


class Execution:
    """A call that was prepared, as a `run` that has begun."""

    def __init__(self, experiment: Experiment, call: Call, bound: inspect.BoundArguments) -> None:
        from .run import Run

        self._experiment = experiment
        self._bound = bound
        self.run = Run(call)

    def complete(self, *, most: int | None = None) -> Run:
        """Run it to its end, a generator until it is exhausted or so many values are there; the ended run.

        The function's own exception comes out.
        """
        if self._experiment.is_generator or self._experiment.is_async_generator:
            self._exhaust(most)
        else:
            with Recording(self.run) as recording:
                recording.result = self._experiment.invoke(self._bound)
        return self.run

    def _exhaust(self, most: int | None) -> None:
        from .yielding import Stream

        generator = self._experiment.function(*self._bound.args, **self._bound.kwargs)
        stream = Stream(self.run, _current)
        if self._experiment.is_generator:
            exhaust(drive(generator, stream), most=most)
            return
        import asyncio

        recorded = hand_on_async(lambda args, kwargs: (generator, stream))
        asyncio.run(exhaust_async(recorded(), most=most))


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
) -> F | Callable[[F], F]:
    """Record every call of the function as a run.

    The function keeps its signature, docstring, return value, exceptions and type::

        @record
        def train(lr: float = 0.1, seed: int = 0): ...

        @record(name="baseline", tags=["paper"])
        def train(lr: float = 0.1): ...

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

    Raises:
        TypeError: for what is no function, for names that it has no parameter for, and
            for a tolerance that is none.
        ValueError: for a tolerance that is negative or not finite, and for a `usage` that is no positive number.
    """

    if usage is not None and not 0 < usage < float("inf"):
        raise ValueError(f"usage={usage!r}: the seconds between two samples, more than 0")

    def decorate(function: Any) -> Any:
        options: dict[str, Any] = {
            "name": name, "tags": tags, "seed": seed, "store": store, "strict": strict,
            "tolerance": tolerance, "secrets": secrets, "public": public, "usage": usage,
            "keep_bytes": keep_bytes,
        }  # fmt: skip
        if isinstance(function, classmethod | staticmethod):
            return type(function)(decorate(function.__func__))
        plain = _take_apart(function)
        return _wrap(Experiment(_check(plain.function), **options), function, plain)

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


def _check_names(function: Callable[..., Any], names: Sequence[str], what: str) -> tuple[str, ...]:
    """A name that was mistyped would let a credential be written down."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if names:
        import inspect

        parameters = inspect.signature(function).parameters
        unknown = [name for name in names if name.partition(".")[0] not in parameters]
        if unknown:
            raise TypeError(
                f"{what} names {unknown[0]!r}, which {function.__qualname__} does not take"
            )
    return names


def experiment_of(function: object) -> Experiment | None:
    """The experiment behind a recorded function, None for anything else."""
    found = getattr(function, "__experiment__", None)
    return found if isinstance(found, Experiment) else None


def intercept(interceptor: Interceptor | None) -> None:
    """Hand every call of an experiment in this process to `interceptor` instead; None ends that."""
    global _interceptor
    _interceptor = interceptor


def current_run() -> Run | None:
    """The run that this code is part of, None outside any.

    It belongs to the context: threads and processes that the experiment starts do not see it, a forked
    child neither; asyncio tasks do.
    """
    run = _current.get()
    return run if run is not None and run.is_ours else None


def log(
    values: Mapping[str, Any] | None = None, /, *, step: float | None = None, **named: Any
) -> None:
    """Log metrics of the current run: ``log(step=epoch, loss=0.3)`` or ``log({"train": {"loss": 0.3}})``.

    Values are numbers, booleans, or scalars of NumPy and PyTorch; `step` counts from 0 for each name
    where it is left out. Outside a run it warns and does nothing; in a rank of a job that is not the
    first it does nothing.
    """
    run = _current.get()
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
    run = _current.get()
    if run is None:
        _warn_outside("save")
    else:
        run.save(target, name=name)


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
    from .capture.entropy import current_streams

    streams = current_streams()
    if streams is None:
        message = f"{what}() outside a recorded run: not seeded"
        warnings.warn(message, RecorderWarning, stacklevel=3)
    return streams


def figure(figure: Any, name: str) -> None:
    """Keep a figure of matplotlib or plotly as an output of the current run.

    ``figure(fig, "loss")`` is kept as ``loss.png``, or, of plotly, as ``loss.json``; ``figure(fig, "loss.svg")`` in
    that format. Nothing that tells the time or the version goes into the file. Outside a run it warns and does
    nothing; in a rank of a job that is not the first it does nothing.
    """
    run = _current.get()
    if run is None:
        _warn_outside("figure")
    else:
        run.figure(figure, name)


def input(path: P) -> P:
    """Say that the current run reads the file, or the files below the folder, at `path`; returns `path`.

    For what is not found without a word: files that a child process or a C library opens. They are digested as they
    are now. Outside a run it only returns the path.
    """
    run = _current.get()
    if run is not None:
        run.input(path)
    return path


def current_parent() -> str | None:
    """The id of the run that one which begins now is a part of: the current one, or the command's that started us."""
    run = _current.get()  # a forked child's is part of the run that it was forked in
    return os.environ.get(PARENT_VARIABLE) or None if run is None else run.id


def is_recording() -> bool:
    """Whether what begins now is to be recorded: not while a replay loads a script, nor in a job's further ranks."""
    rank = _find_rank()
    return _interceptor is None and (rank is None or rank.is_first)


def _find_rank() -> Rank | None:
    """This process's rank in a job of several; None where there is no job, and in a replay, which is one process."""
    from .capture.ranks import find_rank

    rank = find_rank()
    if rank is not None:
        from . import setting

        if setting.given is not None:
            return None
    return rank


def _warn_outside(what: str) -> None:
    rank = _find_rank()
    if rank is not None and not rank.is_first:
        return  # the first rank logs and saves for all
    message = f"{what}() outside a recorded run: nothing is kept"
    warnings.warn(message, RecorderWarning, stacklevel=3)


def _default_name(function: Callable[..., Any]) -> str:
    name = function.__qualname__.rpartition("<locals>.")[2]
    return "lambda" if name == "<lambda>" else name
