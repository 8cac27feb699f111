"""Sources of config values.

Later layers override earlier ones: defaults of the function, presets, files, settings on the command line. Presets and
files apply in the order in which they are named.
"""

from __future__ import annotations

from collections.abc import Sequence

from .settings import Assignment

DEFAULT = "default"


def source_of(key: str, assignments: Sequence[Assignment]) -> str:
    """Return the source of a dotted key: the last assignment to the key, to a part of it, or to a value around it."""
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
            return False  # a table sets only the entries that it contains
        value = value[step]
    return True
