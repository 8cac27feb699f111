"""The entries of a value, by name: of dicts, sequences, dataclasses and pydantic models."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from .conversion import EMPTY


def get_entry(base: Any, name: str) -> Any:
    """The entry, `EMPTY` where there is none."""
    if isinstance(base, dict):
        return base.get(name, EMPTY)
    if isinstance(base, list | tuple) and name.isdecimal() and int(name) < len(base):
        return base[int(name)]
    return getattr(base, name, EMPTY)


def put_entry(base: Any, name: str, value: Any) -> Any:
    """`base` with that entry set: a new object where it is frozen."""
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
    """The annotation of a field, `EMPTY` where there is none."""
    if isinstance(base, dict | list | tuple):
        return EMPTY
    try:
        return typing.get_type_hints(type(base)).get(name, EMPTY)
    except (NameError, TypeError):
        return EMPTY


def has_entries(value: Any) -> bool:
    """Whether a table sets entries of the value, and does not take its place."""
    if isinstance(value, dict):
        return bool(value)
    return dataclasses.is_dataclass(value) or hasattr(value, "model_copy")
