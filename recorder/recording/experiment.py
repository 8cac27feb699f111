"""An experiment: a recorded function, and the way from each of its calls to a run.

`import recorder` loads this module, so it loads nothing else of recorder until an experiment is called.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..capture.seeding import baseline  # noqa: F401 - it looks at `random` now
from . import forks  # noqa: F401 - registers what must be done before a fork
from .current import current, current_parent, find_rank
from .generators import Around, NothingAround, drive, exhaust, exhaust_async
from .options import Options

if TYPE_CHECKING:
    import inspect

    from ..capture.code.function import Described, Place
    from .invocation import Call
    from .reuse import Reused
    from .secondary_rank import Attendance

# A replay sees every call of an experiment before it is made: see `intercept`.
Interceptor = Callable[["Experiment", Sequence[Any], Mapping[str, Any]], Any]
_interceptor: Interceptor | None = None

# inspect.CO_COROUTINE, CO_GENERATOR, CO_ASYNC_GENERATOR: importing inspect costs 15 ms.
_COROUTINE, _GENERATOR, _ASYNC_GENERATOR = 0x80, 0x20, 0x200

# The attributes that a pickle of an experiment keeps.
_KEPT = ("function", "name", "options", "file", "place")


class Dispatch(NamedTuple):
    """The execution of one call: `start` calls the function with its arguments, within the context `around`.

    `around` is the context of the call of a function or coroutine, and of each step of a generator. If an earlier run
    is reused, its result is in `reused`, and nothing is called.
    """

    start: Callable[[], Any]
    around: Any
    reused: Reused | None = None


class Experiment:
    """A recorded function, its name and its options; each call of it becomes a run.

    `function` is the undecorated function, `options` the checked options of `@record`, and `presets` maps names to
    functions that return values for parameters.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        options: Options = Options(),  # noqa: B008 - a tuple
    ) -> None:
        self.function = function
        self.name = name or _default_name(function)
        self.options = options
        # Made absolute now: the program may change its working directory before the first call.
        self.file = Path(_innermost(function).__code__.co_filename).resolve()
        self.presets: dict[str, Callable[[], Any]] = {}
        self._described: dict[Path | None, Described] = {}

    def __repr__(self) -> str:
        return f"<experiment {self.name}: {self.function.__module__}:{self.function.__qualname__}>"

    @property
    def is_coroutine(self) -> bool:
        """Return whether the function is an ``async def`` without a ``yield``."""
        return bool(self.function.__code__.co_flags & _COROUTINE)

    @property
    def is_generator(self) -> bool:
        """Return whether the function is a synchronous generator function."""
        return bool(self.function.__code__.co_flags & _GENERATOR)

    @property
    def is_async_generator(self) -> bool:
        """Return whether the function is an ``async def`` with a ``yield``."""
        return bool(self.function.__code__.co_flags & _ASYNC_GENERATOR)

    # Not functools.cached_property: before Python 3.12 that holds a lock while it computes, and a child that is forked
    # meanwhile by another thread would wait for the lock forever.
    @property
    def place(self) -> Place:
        """The module and file that define the function."""
        known: Place | None = self.__dict__.get("place")
        if known is None:
            from ..capture.code.function import locate

            known = self.__dict__["place"] = locate(self.function, code_file=self.file)
        return known

    @property
    def signature(self) -> inspect.Signature:
        """The signature of the undecorated function."""
        known: inspect.Signature | None = self.__dict__.get("signature")
        if known is None:
            import inspect

            known = self.__dict__["signature"] = inspect.signature(self.function)
        return known

    def __getstate__(self) -> dict[str, Any]:
        # The place is kept because another program is __main__ in a worker process.
        kept = {name: getattr(self, name) for name in _KEPT}
        return {**kept, "presets": {}, "_described": {}}

    # Calls

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the function and record it; return its result or raise its exception unchanged."""
        dispatch = self.dispatch(args, kwargs)
        if dispatch.reused is not None:
            return dispatch.reused.result
        with dispatch.around as around:
            around.result = dispatch.start()
        return around.result

    async def call_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a coroutine function and record it; return its result or raise its exception unchanged."""
        dispatch = self.dispatch(args, kwargs)
        if dispatch.reused is not None:
            return dispatch.reused.result
        with dispatch.around as around:
            around.result = await dispatch.start()
        return around.result

    def iterate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        """Run a generator function and record it; the run begins with the first step."""
        dispatch = self.dispatch(args, kwargs)
        return (yield from drive(dispatch.start(), dispatch.around))

    def start_async(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[AsyncGenerator[Any, Any], Around]:
        """Return an async generator to record, and the context of each of its steps."""
        dispatch = self.dispatch(args, kwargs)
        return dispatch.start(), dispatch.around

    def dispatch(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Dispatch:
        """Decide how a call is carried out.

        In this order: a replay that loads the script takes the call over; a rank of a distributed job that is not
        the first runs it unrecorded; an earlier run is reused; or a run is recorded, which has begun on return.

        Raises:
            TypeError: if the arguments do not fit the function, as the call itself would.
            RecorderError: if the run cannot be recorded.
        """
        if _interceptor is not None:
            return Dispatch(functools.partial(_interceptor, self, args, kwargs), NothingAround())
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            return Dispatch(self._start(attendance.bound), attendance)
        call, bound = self.prepare(args, kwargs)
        start = self._start(bound)
        if self.options.reuse:
            from .reuse import reuse

            call = call.capture()
            reused = reuse(call)
            if reused is not None:
                return Dispatch(start, NothingAround(), reused)
        if self.is_generator or self.is_async_generator:
            from .recorded_generators import Stream
            from .run import ActiveRun

            return Dispatch(start, Stream(ActiveRun(call), current))
        from .session import Recording

        return Dispatch(start, Recording(call))

    def _start(self, bound: inspect.BoundArguments) -> Callable[[], Any]:
        return functools.partial(self.function, *bound.args, **bound.kwargs)

    def attend(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Attendance | None:
        """Return the unrecorded call of a rank that is not the first; None if the call is to be recorded.

        Raises TypeError if the arguments do not fit the function.
        """
        rank = find_rank()
        if rank is None or rank.is_first:
            return None
        from .secondary_rank import Attendance

        return Attendance(
            self.function,
            args,
            kwargs,
            rank=rank,
            experiment=self.name,
            seed=self.options.seed,
            stepwise=self.is_generator or self.is_async_generator,
        )

    def prepare(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, given_seed: int | None = None
    ) -> tuple[Call, inspect.BoundArguments]:
        """Return the call as it would be recorded, and its bound arguments.

        `given_seed` is used if no argument sets the seed.

        Raises:
            TypeError: if the arguments do not fit the function.
            RecorderError: if there can be no store.
        """
        from ..capture.code.function import find_receiver
        from ..capture.config import bind, choose_seed
        from ..capture.environment.ranks import draw_common_seed, warn_of_seed
        from ..records import Tolerance
        from .invocation import Call
        from .project import find_project

        bound = bind(self.signature, args, kwargs, seed=self.options.seed)
        rank = find_rank()
        common = None if rank is None else draw_common_seed(rank, experiment=self.name)
        seed = choose_seed(bound, parameter=self.options.seed, given=given_seed, drawn=common)
        project = find_project(self.place, store=self.options.store)
        described = self._describe(project.root, bound.arguments)
        call = Call(
            experiment=self.name,
            function=described.function,
            arguments=bound.arguments,
            seed=seed,
            project=project,
            objects=tuple(described.objects.values()),
            tags=self.options.tags,
            strict=self.options.strict,
            tolerance={k: Tolerance(**bounds) for k, bounds in self.options.tolerance.items()},
            secrets=self.options.secrets,
            public=self.options.public,
            redacted=described.redacted,
            usage=self.options.usage,
            keep_bytes=self.options.keep_bytes,
            parent=current_parent(),
            warnings=(*described.warnings, *warn_of_seed(rank, seed, common=common)),
            ranks=None if rank is None else rank.ranks,
            receiver=find_receiver(self.function, bound.arguments),
        )
        return call, bound

    def _describe(self, root: Path | None, arguments: Mapping[str, Any]) -> Described:
        from ..capture.code.function import describe
        from ..secrets.register import Secrets

        known = self._described.get(root)
        if known is None or known.objects:  # a pickled closure may hold other values by now
            options = self.options
            seed = options.seed if options.seed in self.signature.parameters else None
            known = describe(
                self.function,
                place=self.place,
                root=root,
                seed_parameter=seed,
                secrets=Secrets(named=options.secrets, public=options.public),
                arguments=arguments,
            )
            self._described[root] = known
        return known

    def invoke(self, bound: inspect.BoundArguments) -> Any:
        """Call the function unrecorded, to its end: a coroutine in a new event loop, a generator until exhausted."""
        result = self.function(*bound.args, **bound.kwargs)
        if self.is_generator:
            return exhaust(result)
        if self.is_coroutine or self.is_async_generator:
            import asyncio

            return asyncio.run(result if self.is_coroutine else exhaust_async(result))
        return result


def experiment_of(function: object) -> Experiment | None:
    """Return the experiment behind a recorded function, None for anything else."""
    found = getattr(function, "__experiment__", None)
    return found if isinstance(found, Experiment) else None


def intercept(interceptor: Interceptor | None) -> None:
    """Hand every call of an experiment in this process to `interceptor` instead; None ends that."""
    global _interceptor
    _interceptor = interceptor


def is_intercepted() -> bool:
    """Return whether calls are handed to an interceptor: a replay is loading the script."""
    return _interceptor is not None


def is_recording() -> bool:
    """Return whether a run that begins now is recorded: not while a script is loaded, nor in a secondary rank."""
    rank = find_rank()
    return _interceptor is None and (rank is None or rank.is_first)


def _innermost(function: Callable[..., Any]) -> Any:
    """Return the function behind decorators that use `functools.wraps`, which may be defined in other files."""
    seen = {id(function)}
    while True:
        wrapped: Any = getattr(function, "__wrapped__", None)
        if getattr(wrapped, "__code__", None) is None or id(wrapped) in seen:
            return function
        function = wrapped
        seen.add(id(function))


def _default_name(function: Callable[..., Any]) -> str:
    name = function.__qualname__.rpartition("<locals>.")[2]
    return "lambda" if name == "<lambda>" else name
