"""Number types of options, which state their range in an error message but not in ``--help``.

click's IntRange and FloatRange append ``[x>=1]`` or ``[0<=x<=1.797e308]`` to the help of each option.
"""

from __future__ import annotations

import math
from typing import Any

import click


class WholeNumber(click.ParamType):  # type: ignore[type-arg]
    """A whole number of at least `least`."""

    name = "integer"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; fail for anything else."""
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or number < self._least:
            self.fail(f"{value!r} is not a whole number of at least {self._least}", param, ctx)
        return number


class FiniteNumber(click.ParamType):  # type: ignore[type-arg]
    """A finite number of at least 0."""

    name = "float"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fail for anything else."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            self.fail(f"{value!r} is not a finite number of at least 0", param, ctx)
        return number
