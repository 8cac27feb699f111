"""Tolerances that an experiment declares, looked up by the names of the compared values."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ..codec import Numbers
from ..records import Tolerance


class DeclaredNumbers(Numbers):
    """The tolerance of a value with the names `names`, from a mapping of patterns to tolerances.

    The longest pattern that matches one of the names applies; among equally long ones, a literal name wins.
    """

    def __init__(self, declared: Mapping[str, Tolerance], *names: str) -> None:
        self._declared = declared
        self._names = names
        found = max(
            (pattern for pattern in declared if _matches(pattern, names)),
            key=lambda pattern: (len(pattern), pattern in names),
            default=None,
        )
        tolerance = Tolerance() if found is None else declared[found]
        super().__init__(rtol=tolerance.rtol, atol=tolerance.atol)
        self._below: dict[str, Numbers] = {}

    def at(self, path: str) -> Numbers:
        """Return the tolerance of a nested value, which also has the names ``result.loss`` and ``loss``."""
        if not path or not self._declared:
            return self
        if path not in self._below:
            if len(self._below) > _KEPT:
                self._below.clear()
            inside = [f"{name}.{path}" for name in self._names]
            base = PurePosixPath(path).name
            self._below[path] = DeclaredNumbers(self._declared, *inside, path, base, *self._names)
        return self._below[path]


# Limit of the cache: a list of a million numbers has as many places.
_KEPT = 1000


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
