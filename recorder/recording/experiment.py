"""An experiment: a recorded function, and how each call of it becomes a run.

This module is what `import recorder` costs, so it loads nothing of the rest until an experiment is called.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from . import forks  # noqa: F401 - registers what must be done before a fork
from .current import current, current_parent, find_rank
from .generators import Around, NothingAround, drive
from .options import Options

if TYPE_CHECKING:
    import inspect

    from ..capture.code.function import Described, Place
    from .invocation import Call
    from .reuse import Reused
    from .secondary_rank import Attendance
    from .yielding import Stream

F = TypeVar("F", bound=Callable[..., Any])

# A replay looks at every call of an experiment before it is made: see `intercept`.
Interceptor = Callable[["Experiment", Sequence[Any], Mapping[str, Any]], Any]
_interceptor: Interceptor | None = None

# inspect.CO_COROUTINE, CO_GENERATOR, CO_ASYNC_GENERATOR: importing inspect costs 15 ms.
_COROUTINE, _GENERATOR, _ASYNC_GENERATOR = 0x80, 0x20, 0x200

# What a pickle of an experiment takes along.
_KEPT = ("function", "name", "options", "file", "place")


class Experiment:
    """A recorded function: its name, and how each call of it becomes a run.

    `function` is the function as it was written; `options` what `@record` was told.
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
        # Absolute as of now: the program may change its working directory before the first call.
        self.file = Path(function.__code__.co_filename).resolve()
        self.presets: dict[str, Callable[[], Any]] = {}
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
        from ..capture.code.function import locate

        return locate(self.function, code_file=self.file)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's."""
        import inspect

        return inspect.signature(self.function)

    def __getstate__(self) -> dict[str, Any]:
        # Its place too: in a worker process another program is __main__.
        kept = {name: getattr(self, name) for name in _KEPT}
        return {**kept, "presets": {}, "_described": {}}

    def preset(self, function: F, /) -> F:
        """Take the function for a preset under its own name: what it returns are values for parameters by key."""
        self.presets[function.__name__] = function
        return function

    def main(self, args: Sequence[str] | None = None) -> NoReturn:
        """The command line of a script of one's own: an option for each parameter, and those of ``recorder run``.

        It reads `args`, the program's by default, and exits with the run's status.
        """
        if _interceptor is not None:
            raise SystemExit(0)  # the script is being loaded, and has defined everything by now
        from importlib import import_module

        # By its name: the command line stands floors above, and only it knows click.
        import_module(".cli.script", __package__).run_script(self, args)
        raise AssertionError

    def prepare(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, given_seed: int | None = None
    ) -> tuple[Call, inspect.BoundArguments]:
        """What a call with these arguments would record, and its bound arguments.

        Raises TypeError as the call itself would, RecorderError where there can be no store.
        """
        from ..capture.code.function import find_receiver
        from ..capture.config import bind, choose_seed
        from ..capture.environment.ranks import draw_common_seed, warn_of_seed
        from ..records import Tolerance
        from .invocation import Call
        from .project import find_setting

        bound = bind(self.signature, args, kwargs, seed=self.options.seed)
        rank = find_rank()
        common = None if rank is None else draw_common_seed(rank, experiment=self.name)
        seed = choose_seed(bound, parameter=self.options.seed, given=given_seed, drawn=common)
        setting = find_setting(self.place, store=self.options.store)
        described = self._describe(setting.root, bound.arguments)
        call = Call(
            experiment=self.name,
            function=described.function,
            arguments=bound.arguments,
            seed=seed,
            setting=setting,
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

    def attend(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Attendance | None:
        """How a call runs in a rank of a job that is not the first; None where it is to be recorded.

        Raises TypeError as the call itself would.
        """
        rank = find_rank()
        if rank is None or rank.is_first:
            return None
        from .secondary_rank import Attendance

        seed = self.options.seed
        return Attendance(self.function, args, kwargs, rank=rank, experiment=self.name, seed=seed)

    def _reuse(self, call: Call) -> Reused | None:
        """The run that stands for a call from Python, where there is one, and that was asked for."""
        if not self.options.reuse:
            return None
        from .reuse import reuse

        return reuse(call)

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

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the function and record it; its result or exception comes out unchanged."""
        if _interceptor is not None:
            return _interceptor(self, args, kwargs)
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            with attendance as bound:
                return self.function(*bound.args, **bound.kwargs)
        from .session import Recording

        call, bound = self.prepare(args, kwargs)
        reused = self._reuse(call)
        if reused is not None:
            return reused.result
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
        from .session import Recording

        call, bound = self.prepare(args, kwargs)
        reused = self._reuse(call)
        if reused is not None:
            return reused.result
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
            return _interceptor(self, args, kwargs), NothingAround()
        attendance = self.attend(args, kwargs)
        if attendance is not None:
            return self.function(*attendance.bound.args, **attendance.bound.kwargs), NothingAround()
        stream, bound = self.begin_stream(args, kwargs)
        return self.function(*bound.args, **bound.kwargs), stream

    def begin_stream(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Stream, inspect.BoundArguments]:
        """A run for a generator that is about to take its first step, and its bound arguments."""
        from .run import ActiveRun
        from .yielding import Stream

        call, bound = self.prepare(args, kwargs)
        return Stream(ActiveRun(call), current), bound

    def invoke(self, bound: inspect.BoundArguments) -> Any:
        """Call the function itself, unrecorded; a coroutine function in an event loop of its own."""
        result = self.function(*bound.args, **bound.kwargs)
        if self.is_coroutine:
            import asyncio

            return asyncio.run(result)
        return result


def experiment_of(function: object) -> Experiment | None:
    """The experiment behind a recorded function, None for anything else."""
    found = getattr(function, "__experiment__", None)
    return found if isinstance(found, Experiment) else None


def intercept(interceptor: Interceptor | None) -> None:
    """Hand every call of an experiment in this process to `interceptor` instead; None ends that."""
    global _interceptor
    _interceptor = interceptor


def is_recording() -> bool:
    """Whether what begins now is to be recorded: not while a replay loads a script, nor in a job's further ranks."""
    rank = find_rank()
    return _interceptor is None and (rank is None or rank.is_first)


def _default_name(function: Callable[..., Any]) -> str:
    name = function.__qualname__.rpartition("<locals>.")[2]
    return "lambda" if name == "<lambda>" else name
