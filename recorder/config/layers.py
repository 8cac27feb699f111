"""Where each value of a config comes from.

From below: the function's defaults, presets, files, each in the order in which they were named, and at the top what
the command line says for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from .settings import Assignment

DEFAULT = "default"


def source_of(key: str, assignments: Sequence[Assignment]) -> str:
    """The source of the value of a dotted key: of the last of the assignments to it, or to what it is in or around."""
    return next((one.source for one in reversed(assignments) if _sets(one, key)), DEFAULT)


def _sets(one: Assignment, key: str) -> bool:
    if one.key == key or one.key.startswith(f"{key}."):
        return True
    if not key.startswith(f"{one.key}."):
        return False
    value = one.value
    for step in key.removeprefix(f"{one.key}.").split(".") if one.kind == "data" else ():
        if not isinstance(value, dict):
            break
        if step not in value:
            return False  # a table sets the entries that it names
        value = value[step]
    return True
