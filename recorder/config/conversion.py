"""Conversion of strings and plain data to the type of an annotation or of an example value."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import msgspec

EMPTY = inspect.Parameter.empty

# Errors raised by an impossible conversion.
FAILED = (msgspec.ValidationError, ValueError, TypeError)


def convert_text(text: str, hint: Any) -> Any:
    """Convert a string to the type `hint`; raise one of `FAILED` if that is impossible."""
    if hint is str:
        return text
    error: Exception | None = None
    for candidate in (literal(text), text):
        try:
            return convert_data(candidate, hint)
        except (*FAILED, NotImplementedError) as failed:
            error = failed
    raise TypeError(str(error))


def convert_data(value: Any, hint: Any) -> Any:
    """Convert plain data, as in a JSON file, to the type `hint`; raise one of `FAILED` if that is impossible."""
    if isinstance(hint, type) and issubclass(hint, Enum) and value in hint.__members__:
        return hint[value]
    if isinstance(value, bool) and not _admits_bool(hint):
        raise TypeError("a bool")
    return msgspec.convert(value, hint, strict=False, dec_hook=_decode_other)


def convert_like(text: str, example: Any) -> Any:
    """Convert a string to the type of `example` if that is a plain type; raise one of `FAILED` if impossible."""
    kind = type(example)
    if kind is str:
        return text
    if kind is bool or isinstance(example, PurePath | Enum):
        return convert_text(text, Path if isinstance(example, PurePath) else kind)
    return data_like(literal(text), example)


def data_like(value: Any, example: Any) -> Any:
    """Convert plain data to the type of `example` if that is a plain type; raise one of `FAILED` if impossible."""
    kind = type(example)
    if kind in (int, float):
        number = (
            literal(value) if isinstance(value, str) else value
        )  # YAML 1.1 reads 1e-3 as a string
        if isinstance(number, int | float) and not isinstance(number, bool):
            return float(number) if kind is float else number
        raise TypeError("not a number")
    if kind in (bool, str) and type(value) is not kind:
        raise TypeError(f"a {type(value).__name__}")
    if isinstance(example, PurePath | Enum):
        return convert_data(value, Path if isinstance(example, PurePath) else kind)
    return tuple(value) if kind is tuple and isinstance(value, list) else value


def literal(text: str) -> Any:
    """Parse JSON, or Python's True, False and None; return any other string unchanged."""
    plain = {"True": True, "False": False, "None": None}
    if text in plain:
        return plain[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def find_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the resolved annotations of a function, without those that cannot be resolved."""
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):
        raw = inspect.signature(function).parameters
        return {name: p.annotation for name, p in raw.items() if isinstance(p.annotation, type)}


def type_name(hint: Any) -> str:
    """Return the source text of a type."""
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def choices_of(hint: Any) -> tuple[str, ...]:
    """Return the names of an enum's members, or the values of a Literal; () for other types."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(hint.__members__)
    if typing.get_origin(hint) is typing.Literal:
        return tuple(map(str, typing.get_args(hint)))
    return ()


def _admits_bool(hint: Any) -> bool:
    return hint is bool or bool in typing.get_args(hint) or not isinstance(hint, type)


def _decode_other(kind: type, value: Any) -> Any:
    """Convert to types that msgspec does not know: paths and pydantic models."""
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    if isinstance(value, kind):
        return value
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    raise NotImplementedError(f"{kind.__name__} cannot be written as a string")
