"""What a comparison finds: the verdict, and where and by how much two values differ."""

from __future__ import annotations

import math
from typing import Literal

from ..records import ItemVerdict, Part

What = Literal["changed", "added", "removed", "type", "shape", "dtype", "opaque"]

# More single differences than this are counted, not listed.
LISTED = 100


class Difference(Part, frozen=True):
    """One place in which two values differ.

    `path` is the place (``layers[0].w``), "" for the whole; `left` and `right` say what stands there. For
    numbers, `abs_error` is \\|a-b\\| and `rel_error` \\|a-b\\| / max(\\|a\\|, \\|b\\|). For arrays, these are
    the largest ones, `index` is the first element that differs, `count` how many do, of `size`.
    `close` says whether the tolerance admits it.
    """

    path: str
    what: What = "changed"
    left: str = ""
    right: str = ""
    abs_error: float | None = None
    rel_error: float | None = None
    index: tuple[int, ...] | None = None
    count: int | None = None
    size: int | None = None
    close: bool = False


class Comparison(Part, frozen=True):
    """The verdict on two values, and their differences, of which there are `count`, `LISTED` at most here."""

    verdict: ItemVerdict
    differences: tuple[Difference, ...] = ()
    count: int = 0

    @property
    def max_abs_error(self) -> float | None:
        """The largest absolute error of a number, None where no number differs."""
        return max((d.abs_error for d in self.differences if d.abs_error is not None), default=None)

    @property
    def max_rel_error(self) -> float | None:
        """The largest relative error of a number, None where no number differs."""
        return max((d.rel_error for d in self.differences if d.rel_error is not None), default=None)


class Numbers:
    """When two numbers are close: ``|a-b| <= atol + rtol * max(|a|, |b|)``, symmetric as in PEP 485."""

    def __init__(self, *, rtol: float = 0.0, atol: float = 0.0) -> None:
        self.rtol = rtol
        self.atol = atol

    def errors(self, a: float, b: float) -> tuple[float, float, bool]:
        """Absolute error, relative error, and whether they are close. NaN is close to NaN only."""
        if a == b or (a != a and b != b):
            return 0.0, 0.0, True
        if not (math.isfinite(a) and math.isfinite(b)):
            return math.inf, math.inf, False
        off, scale = abs(a - b), max(abs(a), abs(b))
        return float(off), float(off / scale), off <= self.atol + self.rtol * scale


def conclude(differences: list[Difference]) -> Comparison:
    """The verdict on values that are not the same to the byte, from all their differences."""
    verdict: ItemVerdict = "different"
    if not differences:
        verdict = "equal"
    elif all(d.close for d in differences):
        verdict = "close"
    elif all(d.close or d.what == "opaque" for d in differences):
        verdict = "opaque"
    return Comparison(
        verdict=verdict, differences=tuple(differences[:LISTED]), count=len(differences)
    )
