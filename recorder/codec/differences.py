"""What a comparison finds: the verdict, and where and by how much two values differ."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from ..records import ItemVerdict, Part

What = Literal["changed", "added", "removed", "type", "shape", "dtype", "opaque"]
Number = int | float | complex

# More single differences than this are counted, not listed.
LISTED = 100


class Difference(Part, frozen=True):
    """One place in which two values differ.

    `path` is the place (``layers[0].w``), "" for the whole; `left` and `right` say what stands there. For
    numbers, `abs_error` is \\|a-b\\| and `rel_error` \\|a-b\\| / max(\\|a\\|, \\|b\\|). For arrays, these are
    the largest ones, `index` is the first element that differs, `count` how many do, of `size`.
    `close` says whether the tolerance admits it; `equal` that it is no difference in content (another dtype with
    the same values), and is only said; `note` what else there is to know.
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
    equal: bool = False
    note: str = ""


class Comparison(Part, frozen=True):
    """The verdict on two values, and their differences, of which there are `count`, `LISTED` at most here.

    `max_abs_error` and `max_rel_error` are the largest of all of them, None where no number differs.
    """

    verdict: ItemVerdict
    differences: tuple[Difference, ...] = ()
    count: int = 0
    max_abs_error: float | None = None
    max_rel_error: float | None = None


class Numbers:
    """When two numbers are close: ``|a-b| <= atol + rtol * max(|a|, |b|)``, symmetric as in PEP 485.

    Of two integers the relative part does not count: they are exact unless `atol` is given.
    """

    def __init__(self, *, rtol: float = 0.0, atol: float = 0.0) -> None:
        self.rtol = rtol
        self.atol = atol

    def at(self, path: str) -> Numbers:
        """What holds at that place of what is compared; here the same everywhere."""
        return self

    def errors(self, a: Number, b: Number) -> tuple[float, float, bool]:
        """Absolute error, relative error, and whether they are close. NaN is close to NaN only."""
        if same_number(a, b):
            return 0.0, 0.0, True
        if isinstance(a, int) and isinstance(b, int):
            return _integer_errors(a, b, self.atol)
        left, right = _plain(a), _plain(b)
        if not (cmath.isfinite(left) and cmath.isfinite(right)):
            return math.inf, math.inf, False
        off, scale = abs(left - right), max(abs(left), abs(right))
        close = bool(self.atol or self.rtol) and off <= self.atol + self.rtol * scale
        return off, off / scale if scale else 0.0, close


def same_number(a: Number, b: Number) -> bool:
    """Whether they are the same number, NaN being the same as NaN, part by part in a complex one."""
    if a == b:
        return True
    if a == a or b == b:  # NaN is the only number that is not equal to itself
        return False
    if isinstance(a, complex) or isinstance(b, complex):
        left, right = complex(a), complex(b)
        return same_number(left.real, right.real) and same_number(left.imag, right.imag)
    return True


def _integer_errors(a: int, b: int, atol: float) -> tuple[float, float, bool]:
    off = abs(a - b)
    return _real(off), off / max(abs(a), abs(b)), off <= atol


def _plain(number: Number) -> float | complex:
    return _real(number) if isinstance(number, int) else number


def _real(number: int) -> float:
    """The nearest float, infinity beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


class Findings:
    """Gathers differences: lists the first ones, counts and weighs them all."""

    def __init__(self) -> None:
        self.listed: list[Difference] = []
        self.count = 0
        self._close = self._opaque = self._equal = 0
        self._abs_error: float | None = None
        self._rel_error: float | None = None

    def add(self, difference: Difference) -> None:
        """One more difference."""
        if difference.equal:
            self._equal += 1
        elif difference.close:
            self._close += 1
        elif difference.what == "opaque":
            self._opaque += 1
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(difference)
        self._abs_error = _larger(self._abs_error, difference.abs_error)
        self._rel_error = _larger(self._rel_error, difference.rel_error)

    def extend(self, differences: Iterable[Difference]) -> None:
        """Several more."""
        for difference in differences:
            self.add(difference)

    def include(self, comparison: Comparison, *, path: str) -> None:
        """All that a comparison found at that place, whether it lists it or not."""
        self.count += comparison.count
        if comparison.verdict == "equal":
            self._equal += comparison.count
        elif comparison.verdict == "close":
            self._close += comparison.count
        elif comparison.verdict == "opaque":
            self._opaque += comparison.count
        for d in comparison.differences[: LISTED - len(self.listed)]:
            place = f"{path}: {d.path}" if d.path else path
            self.listed.append(msgspec.structs.replace(d, path=place))
        self._abs_error = _larger(self._abs_error, comparison.max_abs_error)
        self._rel_error = _larger(self._rel_error, comparison.max_rel_error)

    def conclude(self) -> Comparison:
        """The verdict on values that are not the same to the byte."""
        return Comparison(
            verdict=self._verdict(),
            differences=tuple(self.listed),
            count=self.count,
            max_abs_error=self._abs_error,
            max_rel_error=self._rel_error,
        )

    def _verdict(self) -> ItemVerdict:
        if self.count == self._equal:
            return "equal"
        if self.count == self._equal + self._close:
            return "close"
        if self.count == self._equal + self._close + self._opaque:
            return "opaque"
        return "different"


def _larger(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def conclude(differences: Iterable[Difference]) -> Comparison:
    """The verdict on values that are not the same to the byte, from all their differences."""
    found = Findings()
    found.extend(differences)
    return found.conclude()
