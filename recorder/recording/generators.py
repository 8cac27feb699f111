"""Generators handed on step by step, values sent and exceptions thrown in included; loads nothing of the rest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Protocol


class Around(Protocol):
    """What is around each step of a generator, as a ``with`` block, and is told of what came of it."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None: ...

    def add(self, value: Any) -> None:
        """A value was yielded."""

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """It was exhausted, or closed before that."""


class NothingAround:
    """Nothing around the steps."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, value: Any) -> None:
        """Nothing."""

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """Nothing."""


def drive(generator: Generator[Any, Any, Any], around: Around) -> Generator[Any, Any, Any]:
    """The same generator, `around` each of its steps."""
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
        value = sent = None  # not kept alive while the body goes on


Start = Callable[[tuple[Any, ...], dict[str, Any]], tuple[AsyncGenerator[Any, Any], Around]]


def hand_on_async(start: Start) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An async generator function; `start` gives the generator behind a call of it, and what is around its steps."""

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
            value = sent = None  # not kept alive while the body goes on

    return recorded


def exhaust(generator: Generator[Any, Any, Any], *, most: int | None = None) -> Any:
    """Go through the values and drop them, at most so many; what the generator returned."""
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
    """The same for an async generator."""
    count = 0
    while most is None or count < most:
        try:
            await generator.__anext__()
        except StopAsyncIteration:
            return
        count += 1
    await generator.aclose()
