"""What an experiment declares about how close a replay's numbers must come: ``@record(tolerance=...)``.

`recorder.recording.options` imports this with ``import recorder``, so it imports nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What a person may write: a relative tolerance, or ``{"rtol": ..., "atol": ...}``, for all or by glob pattern.
Declared = float | Mapping[str, float | Mapping[str, float]]
_EVERYTHING = "*"


def declare(tolerance: Declared | None) -> dict[str, dict[str, float]]:
    """What was declared as ``{pattern: {"rtol": ..., "atol": ...}}``.

    Raises TypeError for what is neither a number nor a mapping of patterns to them, ValueError for a number that is
    negative or not finite.
    """
    if tolerance is None:
        return {}
    if not isinstance(tolerance, Mapping):
        return {_EVERYTHING: _bounds(_EVERYTHING, tolerance)}
    return {_pattern(pattern): _bounds(pattern, given) for pattern, given in tolerance.items()}


def _pattern(pattern: Any) -> str:
    if not isinstance(pattern, str) or not pattern:
        raise TypeError(f"tolerance maps patterns of names to numbers, and {pattern!r} is no name")
    return pattern


def _bounds(pattern: str, given: Any) -> dict[str, float]:
    said = given if isinstance(given, Mapping) else {"rtol": given}
    for key in said:
        if key not in ("rtol", "atol"):
            raise TypeError(f"the tolerance of {pattern!r} has rtol and atol, not {key!r}")
    return {key: _bound(pattern, key, value) for key, value in said.items()}


def _bound(pattern: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"the {key} of {pattern!r} is a number, not {value!r}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"the {key} of {pattern!r} is not negative and finite, not {value!r}")
    return float(value)
