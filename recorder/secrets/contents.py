"""The strings inside an object that only a pickle can hold, with the names that lead to them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

# Deeper values, and those beyond this number of objects, are only searched as bytes of the pickle.
_DEEPEST = 50
_MOST = 20_000
Named = tuple[str, Any]


def texts_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each string in `value`, 50 levels deep, for at most 20,000 objects.

    The name is "" if there is none. The content of types like pydantic's SecretStr is named ``secret``.
    """
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        name, one, depth = waiting.pop()
        if isinstance(one, bytes | bytearray):
            one = bytes(one).decode("utf-8", "surrogateescape")
        if isinstance(one, str):
            yield name, one
        elif not (
            isinstance(one, int | float | complex | None | type | ModuleType) or id(one) in seen
        ):
            seen.add(id(one))
            if depth < _DEEPEST:
                waiting += [(inner or name, held, depth + 1) for inner, held in _inside(one)]


def _inside(value: Any) -> Iterator[Named]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (("", item) for item in value)
    elif isinstance(value, FunctionType):
        yield from _function(value)
    elif callable(getattr(type(value), "get_secret_value", None)):
        yield "secret", value.get_secret_value()
    yield from _attributes(value)


def _mapping(value: Mapping[Any, Any]) -> Iterator[Named]:
    try:
        items = list(value.items())
    except Exception:  # noqa: BLE001 - any class of mapping; if it cannot be listed, its attributes are searched
        return
    for key, item in items:
        yield (key if isinstance(key, str) else ""), item
        yield "", key


def _attributes(value: Any) -> Iterator[Named]:
    yield from dict(getattr(value, "__dict__", None) or {}).items()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            try:
                yield name, object.__getattribute__(value, name)
            except AttributeError:
                continue


def _function(function: FunctionType) -> Iterator[Named]:
    """Yield the values that a function pickled by value contains: globals it names, its closure, and its defaults."""
    code = function.__code__
    for name in code.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # not bound yet
    # The function's own defaults: a function that it wraps may be a builtin without a signature.
    yield from (
        (p.name, p.default)
        for p in inspect.signature(function, follow_wrapped=False).parameters.values()
        if p.default is not p.empty
    )
    yield from (("", constant) for constant in code.co_consts if isinstance(constant, str | tuple))
