"""What a verdict rests on: the items that were compared, and what they come to."""

from __future__ import annotations

from typing import Literal

from ..codec import Comparison, Difference, Numbers
from ..records import ItemVerdict, Part, ReplayVerdict, Tolerance
from .wording import describe_comparison

# A sum of single-precision numbers that nearly cancel each other is off by so much in another order.
_ROUNDING = 1e-3

ItemKind = Literal["result", "output", "metric", "exception", "log", "console"]


class Departure(Part, frozen=True):
    """Where a series leaves the recorded one.

    `step` is the first step at which the values are not the same, with both values and their relative difference;
    `end_step` the last step that both have, with the relative difference there. `count` of the `points` recorded
    ones differ; `missing` and `extra` count the steps that only the original and only the replay has, `missing_step`
    and `extra_step` being the first of these. A step is None where there is no such.
    """

    step: float | None = None
    left: str = ""
    right: str = ""
    rel_error: float | None = None
    end_step: float | None = None
    end_rel_error: float | None = None
    count: int = 0
    points: int = 0
    replay_points: int = 0
    missing: int = 0
    extra: int = 0
    missing_step: float | None = None
    extra_step: float | None = None


class Item(Part, frozen=True):
    """One thing that was compared: its verdict, and in `detail` for people where and by how much it differs.

    What does not `decide` (a log that nobody saved, the console) is reported only. `differences` are the first of the
    `count` there are; `max_abs_error` and `max_rel_error` the largest of all. `departure` is a series' own. `tolerance`
    is what numbers were held to where the item has one for all of it.
    """

    kind: ItemKind
    name: str
    verdict: ItemVerdict
    decides: bool = True
    detail: str = ""
    differences: tuple[Difference, ...] = ()
    count: int = 0
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    departure: Departure | None = None
    tolerance: Tolerance = Tolerance()


class Verification(Part, frozen=True):
    """The verdict on a replay, the items that it rests on, and the reason in a sentence.

    `causes` is what was otherwise than recorded as the replay began, packages and inputs, in words.
    """

    verdict: ReplayVerdict
    items: tuple[Item, ...] = ()
    reason: str = ""
    causes: tuple[str, ...] = ()

    @property
    def is_rounding(self) -> bool:
        """Whether all that is wrong are numbers, and off by no more than sums in another order may be.

        Of a series its first departure counts: what comes after may have made more of it.
        """
        off = ("different", "close", "missing", "extra")
        wrong = [item for item in self.items if item.decides and item.verdict in off]
        return bool(wrong) and all(_is_rounded(item) for item in wrong)

    @property
    def counts(self) -> dict[str, int]:
        """How many of the deciding items got which verdict."""
        found: dict[str, int] = {}
        for item in self.items:
            if item.decides:
                found[item.verdict] = found.get(item.verdict, 0) + 1
        return found


def _is_rounded(item: Item) -> bool:
    found = item.departure
    if found is not None:
        rel_error, others = found.rel_error, found.missing + found.extra
    else:
        rel_error = item.max_rel_error
        others = sum(difference.rel_error is None for difference in item.differences)
    return rel_error is not None and rel_error <= _ROUNDING and not others


def make_item(kind: ItemKind, name: str, comparison: Comparison, *, numbers: Numbers) -> Item:
    """The item of a comparison."""
    return Item(
        kind=kind,
        name=name,
        verdict=comparison.verdict,
        detail=describe_comparison(comparison),
        differences=comparison.differences,
        count=comparison.count,
        max_abs_error=comparison.max_abs_error,
        max_rel_error=comparison.max_rel_error,
        tolerance=said_tolerance(numbers),
    )


def said_tolerance(numbers: Numbers) -> Tolerance:
    """What the numbers were held to."""
    return Tolerance(rtol=numbers.rtol, atol=numbers.atol)


def conclude(items: tuple[Item, ...]) -> Verification:
    """The verdict that the items come to, and the reason in a sentence."""
    deciding = [item for item in items if item.decides]
    wrong = [item for item in deciding if item.verdict in ("different", "missing", "extra")]
    if wrong:
        shown = ", ".join(f"{item.name} ({item.verdict})" for item in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        return Verification(verdict="diverged", items=items, reason=shown + more)
    opaque = [item.name for item in deciding if item.verdict == "opaque"]
    if len(opaque) == len(deciding):
        what = (
            f"{', '.join(opaque)} cannot be looked into"
            if opaque
            else "the run returned and saved nothing"
        )
        reason = f"{what}: return or save what the result is"
        return Verification(verdict="nothing verified", items=items, reason=reason)
    close = any(item.verdict == "close" for item in deciding)
    reason = f"but for {', '.join(opaque)}, which cannot be looked into" if opaque else ""
    return Verification(verdict="close" if close else "reproduced", items=items, reason=reason)
