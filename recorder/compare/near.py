"""Tolerances that an experiment declares, looked up by the names of the compared values."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ..codec import Numbers
from ..codec.differences import Number
from ..records import Tolerance
from .noise import NONE, Noise


class RunNumbers(Numbers):
    """One tolerance for everything in two runs with the names `names`, and their noise."""

    def __init__(
        self, *names: str, noise: Noise = NONE, rtol: float = 0.0, atol: float = 0.0
    ) -> None:
        super().__init__(rtol=rtol, atol=atol)
        self._names = names
        self._noise = noise
        self.has_places = noise.has_places

    def steady(self, text: str, side: int) -> str:
        """Return a string of side 0 or 1 without the parts that are specific to its run."""
        return self._noise.steady(text, side)

    def measure(self, path: str, *values: Number | str) -> str:
        """Return the kind of measurement that the values at a place are, or "" if they are content."""
        if any(isinstance(value, complex | bool) for value in values):
            return ""
        name = path or next(iter(self._names), "")
        return self._noise.measure(name, *values)  # type: ignore[arg-type]


class DeclaredNumbers(RunNumbers):
    """The tolerance of a value with the names `names`, from a mapping of patterns to tolerances.

    The longest pattern that matches one of the names applies; among equally long ones, a literal name wins.
    """

    def __init__(self, declared: Mapping[str, Tolerance], *names: str, noise: Noise = NONE) -> None:
        self._declared = declared
        found = max(
            (pattern for pattern in declared if _matches(pattern, names)),
            key=lambda pattern: (len(pattern), pattern in names),
            default=None,
        )
        tolerance = Tolerance() if found is None else declared[found]
        super().__init__(*names, noise=noise, rtol=tolerance.rtol, atol=tolerance.atol)
        self._pattern = found
        self._below: dict[str, DeclaredNumbers] = {}

    def at(self, path: str) -> DeclaredNumbers:
        """Return the tolerance of a nested value, which also has the names ``result.loss`` and ``loss``."""
        if not path or not self._declared:
            return self
        if path not in self._below:
            if len(self._below) > _KEPT:
                self._below.clear()
            inside = [f"{name}.{path}" for name in self._names]
            names = [*inside, path, PurePosixPath(path).name, *self._names]
            self._below[path] = DeclaredNumbers(self._declared, *names, noise=self._noise)
        return self._below[path]

    def measure(self, path: str, *values: Number | str) -> str:
        """Return the kind of measurement; a value with a declared tolerance is content."""
        declared = self.at(path)._pattern
        if declared not in (None, "*") and not (path and declared == self._pattern):
            return ""
        return super().measure(path, *values)


# Limit of the cache: a list of a million numbers has as many places.
_KEPT = 1000


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
