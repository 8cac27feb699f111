"""The options of `@record`, checked.

`import recorder` loads this module, so it imports nothing but the standard library's basics.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

# inspect.CO_GENERATOR, CO_ASYNC_GENERATOR: importing inspect costs 15 ms.
_GENERATORS = 0x20 | 0x200
# The size limit, in bytes, for keeping files that were not saved explicitly.
KEEP_BYTES = 100 * 1024 * 1024

# A tolerance as users write it: a relative one, or ``{"rtol": ..., "atol": ...}``, for everything or by glob pattern.
Declared = float | Mapping[str, float | Mapping[str, float]]
_EVERYTHING = "*"


class Options(NamedTuple):
    """The checked options of an experiment; `record` documents them."""

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
    """Return the options for the function. Raises TypeError and ValueError, as documented in `record`."""
    if reuse and function.__code__.co_flags & _GENERATORS:
        raise TypeError(
            f"reuse=True needs a function that returns its result, and {function.__qualname__} is a generator:"
            " remove reuse=True, or return a list"
        )
    return Options(
        tags=as_names(tags),
        tolerance=declare_tolerance(tolerance),
        secrets=_check_parameters(function, secrets, "secrets"),
        public=_check_parameters(function, public, "public"),
        usage=check_interval(usage),
        reuse=reuse,
        **others,
    )


def check_interval(usage: float | None) -> float | None:
    """Return the sampling interval in seconds. Raises ValueError unless it is positive and finite."""
    if usage is not None and not 0 < usage < float("inf"):
        raise ValueError(f"usage={usage!r} is not a sampling interval: give seconds above 0")
    return usage


def as_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple; a single string is one name."""
    return (names,) if isinstance(names, str) else tuple(names)


def _check_parameters(
    function: Callable[..., Any], names: Sequence[str], option: str
) -> tuple[str, ...]:
    # A mistyped name would let a credential be written down.
    names = as_names(names)
    if names:
        import inspect

        parameters = inspect.signature(function).parameters
        unknown = [name for name in names if name.partition(".")[0] not in parameters]
        if unknown:
            raise TypeError(
                f"{option} names {unknown[0]!r}, which is not a parameter of {function.__qualname__}:"
                f" its parameters are {', '.join(parameters) or 'none'}"
            )
    return names


def declare_tolerance(tolerance: Declared | None) -> dict[str, dict[str, float]]:
    """Return a tolerance as ``{pattern: {"rtol": ..., "atol": ...}}``.

    Raises:
        TypeError: unless it is a number or a mapping of patterns to numbers or to bounds.
        ValueError: for a bound that is negative or not finite.
    """
    if tolerance is None:
        return {}
    if not isinstance(tolerance, Mapping):
        return {_EVERYTHING: _check_bounds(_EVERYTHING, tolerance)}
    for pattern in tolerance:
        if not isinstance(pattern, str) or not pattern:
            raise TypeError(f"tolerance maps names or patterns to numbers; {pattern!r} is no name")
    return {pattern: _check_bounds(pattern, declared) for pattern, declared in tolerance.items()}


def _check_bounds(pattern: str, declared: Any) -> dict[str, float]:
    bounds = declared if isinstance(declared, Mapping) else {"rtol": declared}
    for key, value in bounds.items():
        if key not in ("rtol", "atol"):
            raise TypeError(f"the tolerance of {pattern!r} takes rtol and atol, not {key!r}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"the {key} of {pattern!r} must be a number, not {value!r}")
        if not 0 <= value < float("inf"):
            raise ValueError(
                f"the {key} of {pattern!r} must be finite and at least 0, not {value!r}"
            )
    return {key: float(value) for key, value in bounds.items()}
