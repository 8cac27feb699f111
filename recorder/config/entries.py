"""Access to the entries of dicts, sequences, dataclasses and pydantic models by name."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from .conversion import EMPTY


def get_entry(base: Any, name: str) -> Any:
    """Return an entry, or `EMPTY` if there is none."""
    if isinstance(base, dict):
        return base.get(name, EMPTY)
    if isinstance(base, list | tuple) and name.isdecimal() and int(name) < len(base):
        return base[int(name)]
    return getattr(base, name, EMPTY)


def put_entry(base: Any, name: str, value: Any) -> Any:
    """Set an entry and return `base`, or a new object if `base` is immutable."""
    if isinstance(base, dict):
        base[name] = value
        return base
    if isinstance(base, list | tuple):
        items = [value if i == int(name) else item for i, item in enumerate(base)]
        return type(base)(items)
    if dataclasses.is_dataclass(base) and not isinstance(base, type):
        return dataclasses.replace(base, **{name: value})
    if hasattr(base, "model_copy"):
        return base.model_copy(update={name: value})
    setattr(base, name, value)
    return base


def hint_of_entry(base: Any, name: str) -> Any:
    """Return the annotation of a field, or `EMPTY` if there is none."""
    if isinstance(base, dict | list | tuple):
        return EMPTY
    try:
        return typing.get_type_hints(type(base)).get(name, EMPTY)
    except (NameError, TypeError):
        return EMPTY


def has_entries(value: Any) -> bool:
    """Return True if a table sets single entries of the value instead of replacing it."""
    if isinstance(value, dict):
        return bool(value)
    return dataclasses.is_dataclass(value) or hasattr(value, "model_copy")


def names_of_entries(value: Any) -> list[str]:
    """Return the names of the fields or string keys of a value, for suggestions."""
    if isinstance(value, dict):
        return [key for key in value if isinstance(key, str)]
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return list(getattr(type(value), "model_fields", ()))
