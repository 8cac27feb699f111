"""What `@record` was told about an experiment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .tolerance import Declared, declare

# inspect.CO_GENERATOR, CO_ASYNC_GENERATOR: importing inspect costs 15 ms.
_GENERATORS = 0x20 | 0x200
# The size up to which files that nobody named are kept.
KEEP_BYTES = 100 * 1024 * 1024


class Options(NamedTuple):
    """The options of an experiment, as `record` documents them, checked."""

    tags: tuple[str, ...] = ()
    seed: str = "seed"
    store: str | os.PathLike[str] | None = None
    strict: bool = False
    tolerance: Mapping[str, Mapping[str, float]] = {}
    secrets: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    usage: float | None = None
    keep_bytes: int = KEEP_BYTES
    reuse: bool = False


def check_options(
    function: Callable[..., Any],
    *,
    tags: Sequence[str],
    tolerance: Declared | None,
    secrets: Sequence[str],
    public: Sequence[str],
    usage: float | None,
    reuse: bool,
    **others: Any,
) -> Options:
    """The options for the function. Raises TypeError and ValueError, as `record` says."""
    if reuse and function.__code__.co_flags & _GENERATORS:
        raise TypeError(
            f"reuse=True: {function.__qualname__} is a generator, whose values are not kept"
        )
    return Options(
        tags=_names(tags),
        tolerance=declare(tolerance),
        secrets=_parameters(function, secrets, "secrets"),
        public=_parameters(function, public, "public"),
        usage=usage,
        reuse=reuse,
        **others,
    )


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _parameters(function: Callable[..., Any], names: Sequence[str], what: str) -> tuple[str, ...]:
    """A name that was mistyped would let a credential be written down."""
    names = _names(names)
    if names:
        import inspect

        parameters = inspect.signature(function).parameters
        unknown = [name for name in names if name.partition(".")[0] not in parameters]
        if unknown:
            raise TypeError(
                f"{what} names {unknown[0]!r}, which {function.__qualname__} does not take"
            )
    return names
