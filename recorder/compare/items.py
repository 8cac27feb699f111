"""The items of a verdict, and the conclusion from them."""

from __future__ import annotations

from typing import Literal

from ..codec import Comparison, Difference, Numbers
from ..records import ItemVerdict, Part, ReplayVerdict, Tolerance
from .wording import describe_comparison

# Largest relative error that another order of summation plausibly causes: sums of single-precision numbers that nearly
# cancel.
_ROUNDING = 1e-3

ItemKind = Literal["result", "output", "metric", "exception", "log", "console"]


class Departure(Part, frozen=True):
    """The differences between a replayed series and the recorded one.

    Attributes:
        step: First step at which the values differ; None if there is none.
        left, right: Values at `step`.
        rel_error: Relative error at `step`.
        end_step: Last step that both series have; None if there is none.
        end_rel_error: Relative error at `end_step`.
        count: Number of recorded points that differ.
        points, replay_points: Number of points of each series.
        missing, extra: Number of steps that only the original or only the replay has.
        missing_step, extra_step: First of these steps; None if there is none.
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
    """The comparison of one result, output, metric, exception, log or console stream.

    Attributes:
        kind: Kind of the item.
        name: Name of the item.
        verdict: Verdict on the item.
        decides: False if the item is reported but does not affect the verdict on the replay.
        detail: Description of the first difference, for display.
        differences: The first differences.
        count: Number of all differences.
        max_abs_error, max_rel_error: Largest errors; None if no number differs.
        departure: Differences of a series, for metrics.
        tolerance: Tolerance of the item as a whole.
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
    """The verdict on a replay.

    Attributes:
        verdict: The verdict.
        items: The compared items.
        reason: One sentence for display; "" if there is nothing to add.
        causes: Differences between the recording and the replay environment, for display.
    """

    verdict: ReplayVerdict
    items: tuple[Item, ...] = ()
    reason: str = ""
    causes: tuple[str, ...] = ()

    @property
    def is_rounding(self) -> bool:
        """Return True if only numbers differ, and by no more than another order of summation can cause.

        For a series only the first departure counts, because an iteration can amplify it.
        """
        off = ("different", "close", "missing", "extra")
        wrong = [item for item in self.items if item.decides and item.verdict in off]
        return bool(wrong) and all(_is_rounded(item) for item in wrong)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of deciding items by verdict."""
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
    """Return the item that describes a comparison."""
    return Item(
        kind=kind,
        name=name,
        verdict=comparison.verdict,
        detail=describe_comparison(comparison),
        differences=comparison.differences,
        count=comparison.count,
        max_abs_error=comparison.max_abs_error,
        max_rel_error=comparison.max_rel_error,
        tolerance=tolerance_of(numbers),
    )


def tolerance_of(numbers: Numbers) -> Tolerance:
    """Return the tolerance of `numbers` as a part of a record."""
    return Tolerance(rtol=numbers.rtol, atol=numbers.atol)


def conclude(items: tuple[Item, ...], *, exit_status_only: bool = False) -> Verification:
    """Return the verdict on a replay from its items.

    With `exit_status_only`, the result and the exception are the exit status of a command, which shows a divergence but
    is no evidence of a reproduction.
    """
    deciding = [item for item in items if item.decides]
    wrong = [item for item in deciding if item.verdict in ("different", "missing", "extra")]
    if wrong:
        shown = ", ".join(f"{item.name} ({item.verdict})" for item in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        return Verification(verdict="diverged", items=items, reason=shown + more)
    opaque = [item.name for item in deciding if item.verdict == "opaque"]
    evidence = [
        item
        for item in deciding
        if item.verdict != "opaque"
        and not (exit_status_only and item.kind in ("result", "exception"))
    ]
    if not evidence:
        reason = _describe_lack(opaque, exit_status_only=exit_status_only)
        return Verification(verdict="nothing verified", items=items, reason=reason)
    close = any(item.verdict == "close" for item in deciding)
    reasons = [f"except for {', '.join(opaque)}, which cannot be compared"] if opaque else []
    if all(item.kind == "console" for item in evidence):
        ignored = any(item.verdict == "equal" for item in evidence)
        but = ", ignoring times and durations" if ignored else ""
        reasons.append(f"only {evidence[0].name} was compared{but}")
    verdict: ReplayVerdict = "close" if close else "reproduced"
    return Verification(verdict=verdict, items=items, reason="; ".join(reasons))


def _describe_lack(opaque: list[str], *, exit_status_only: bool) -> str:
    if opaque:
        return f"{', '.join(opaque)} cannot be compared; return or save the result as plain data"
    if exit_status_only:
        return "the command wrote and printed nothing, and an exit status is no evidence; name its files with --output"
    return "the run returned, saved, and printed nothing; return or save the result as plain data"
