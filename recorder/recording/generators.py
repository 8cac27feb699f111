"""Pass generators through step by step, with the values sent and the exceptions thrown into them.

`import recorder` loads this module, so it loads nothing else of recorder. `recorder.recording.recorded_generators` has
the part that records.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Protocol


class Around(Protocol):
    """The context of a call: a ``with`` block around a function, or around each step of a generator.

    A function's return value goes into `result` within the block. A generator reports each value to `add`, and its
    end to `finish`.
    """

    result: Any

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None: ...

    def add(self, value: Any) -> None:
        """Take note of a value that the generator yielded."""

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """End the generator's context: it is exhausted, or was closed before that."""


class NothingAround:
    """The empty context."""

    result: Any = None

    def __enter__(self) -> NothingAround:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, value: Any) -> None:
        """Do nothing."""

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """Do nothing."""


def drive(generator: Generator[Any, Any, Any], around: Around) -> Generator[Any, Any, Any]:
    """Yield what the generator yields, with `around` entered for each of its steps."""
    step: Callable[[], Any] = partial(next, generator)
    while True:
        try:
            with around:
                value = step()
        except StopIteration as stop:
            around.finish(stop.value)
            return stop.value
        around.add(value)
        try:
            sent = yield value
        except GeneratorExit:
            with around:
                generator.close()
            around.finish(closed=True)
            raise
        except BaseException as error:  # noqa: BLE001 - thrown in by the caller: the body's to handle
            step = partial(generator.throw, error)
        else:
            step = partial(generator.send, sent)
        value = sent = None  # not kept alive while the body runs


Start = Callable[[tuple[Any, ...], dict[str, Any]], tuple[AsyncGenerator[Any, Any], Around]]


def drive_async(start: Start) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return an async generator function; `start` gives the generator for a call, and the context of its steps."""

    async def recorded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator, around = start(args, kwargs)
        step: Callable[[], Any] = generator.__anext__
        while True:
            try:
                with around:
                    value = await step()
            except StopAsyncIteration:
                around.finish()
                return
            around.add(value)
            try:
                sent = yield value
            except GeneratorExit:
                with around:
                    await generator.aclose()
                around.finish(closed=True)
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the caller: the body's to handle
                step = partial(generator.athrow, error)
            else:
                step = partial(generator.asend, sent)
            value = sent = None  # not kept alive while the body runs

    return recorded


def exhaust(generator: Generator[Any, Any, Any], *, most: int | None = None) -> Any:
    """Take and drop the values, at most `most`, and return the generator's return value; None if it was closed."""
    count = 0
    while most is None or count < most:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value
        count += 1
    generator.close()
    return None


async def exhaust_async(generator: AsyncGenerator[Any, Any], *, most: int | None = None) -> None:
    """Take and drop the values of an async generator, at most `most`, then close it."""
    count = 0
    while most is None or count < most:
        try:
            await generator.__anext__()
        except StopAsyncIteration:
            return
        count += 1
    await generator.aclose()
