"""Results of a comparison: the verdict, and the places and amounts of the differences."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from ..records import ItemVerdict, Part

What = Literal["changed", "added", "removed", "type", "shape", "dtype", "opaque"]
Number = int | float | complex

# Notes on differences; the last two do not decide.
WHITE_SPACE = "only white space differs"
PLACE = "differs only in the workspace folder or in the time of the run"
ONLY_NOISE = "durations and rates only, which differ in every run"

# Differences beyond this number are counted but not listed.
LISTED = 100


class Difference(Part, frozen=True):
    """A place at which two values differ.

    Attributes:
        path: The place, for example ``layers[0].w``; "" for the whole value.
        what: Kind of the difference.
        left, right: Descriptions of both sides.
        abs_error: ``|a-b|`` of two numbers; the largest one for arrays.
        rel_error: ``|a-b| / max(|a|, |b|)`` of two numbers; the largest one for arrays.
        index: Index of the first differing element of an array.
        count: Number of differing elements.
        size: Number of elements.
        close: True if the difference is within the tolerance.
        equal: True if the content is equal, for example the same values in another dtype; reported only.
        note: Additional information for display.
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
    """The verdict on two values.

    Attributes:
        verdict: The verdict.
        differences: The first differences, at most `LISTED`.
        count: Number of all differences.
        max_abs_error, max_rel_error: Largest errors over all differences; None if no number differs.
    """

    verdict: ItemVerdict
    differences: tuple[Difference, ...] = ()
    count: int = 0
    max_abs_error: float | None = None
    max_rel_error: float | None = None


class Numbers:
    """The rules of a comparison.

    Numbers are close if ``|a-b| <= atol + rtol * max(|a|, |b|)``, which is symmetric as in PEP 485.

    For two integers only `atol` applies: they must match exactly unless it is given. A subclass can exclude strings and
    numbers that differ in every run; `has_places` is True if it does so for strings.
    """

    has_places = False

    def __init__(self, *, rtol: float = 0.0, atol: float = 0.0) -> None:
        self.rtol = rtol
        self.atol = atol

    def at(self, path: str) -> Numbers:
        """Return the tolerance at a place of the compared value; this class uses the same everywhere."""
        return self

    def steady(self, text: str, side: int) -> str:
        """Return a string of side 0 or 1 in the form in which it is compared; this class compares it unchanged."""
        return text

    def same_text(self, a: str, b: str) -> bool:
        """Return True for strings of the two sides that differ at most in parts specific to their runs."""
        return a == b or self.steady(a, 0) == self.steady(b, 1)

    def measure(self, path: str, *values: Number | str) -> str:
        """Return the kind of measurement ("a duration") that the values at a place are, or "" if they are content."""
        return ""

    def errors(self, a: Number, b: Number) -> tuple[float, float, bool]:
        """Return absolute error, relative error, and True if the numbers are close; NaN is close only to NaN."""
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


def white_space_note(a: str, b: str) -> str:
    """Return a note if two different strings differ only in white space, or else ""."""
    return WHITE_SPACE if "".join(a.split()) == "".join(b.split()) else ""


def excerpts(a: str, b: str, *, width: int) -> tuple[str, str]:
    """Return two different strings, each cut to about `width` characters around the first difference."""
    if max(len(a), len(b)) <= width:
        return a, b
    same = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    first = max(min(same - width // 3, max(len(a), len(b)) - width), 0)
    shown = [
        ("…" if first else "")
        + text[first : first + width]
        + ("…" if len(text) > first + width else "")
        for text in (a, b)
    ]
    return shown[0], shown[1]


def same_number(a: Number, b: Number) -> bool:
    """Return True for equal numbers; NaN equals NaN, and the parts of complex numbers are compared separately."""
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
    """Return the nearest float, or an infinity if there is none."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


class Findings:
    """Accumulates differences: lists the first ones, and counts all by their effect on the verdict."""

    def __init__(self) -> None:
        self.listed: list[Difference] = []
        self.count = 0
        self._close = self._opaque = self._equal = 0
        self._abs_error: float | None = None
        self._rel_error: float | None = None

    def add(self, difference: Difference) -> None:
        """Add a difference."""
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
        """Add several differences."""
        for difference in differences:
            self.add(difference)

    def include(self, comparison: Comparison, *, path: str) -> None:
        """Add all differences of a comparison made at `path`, including those that it only counts."""
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
        """Return the verdict on values whose bytes differ."""
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
    """Return the verdict on values whose bytes differ, given all their differences."""
    found = Findings()
    found.extend(differences)
    return found.conclude()
