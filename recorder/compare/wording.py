"""Descriptions of differences for display."""

from __future__ import annotations

from ..codec import Comparison, Difference


def describe_comparison(comparison: Comparison) -> str:
    """Describe the first difference in one line, and the number of others; return "" for identical values."""
    if comparison.verdict == "identical" or not (comparison.differences or _is_equal(comparison)):
        return ""
    shown = [d for d in comparison.differences if not d.equal] or list(comparison.differences)
    if not shown:
        return "the same content in different bytes"
    if _is_equal(comparison):
        return f"the same values; {describe_difference(shown[0])}"
    count = comparison.count - sum(d.equal for d in comparison.differences)
    more = f"; {count - 1} more difference{'s' if count > 2 else ''}" if count > 1 else ""
    return f"{describe_difference(shown[0])}{more}"


def _is_equal(comparison: Comparison) -> bool:
    return comparison.verdict == "equal"


def describe_difference(difference: Difference) -> str:
    """Describe a difference: place, both sides, errors and note."""
    d = difference
    place = f"{d.path}: " if d.path else ""
    note = f" ({d.note})" if d.note else ""
    if d.what in ("added", "removed"):
        return f"{place}only in the {'replay' if d.what == 'added' else 'original'}{note}"
    if d.what == "opaque" and d.note:
        return f"{place}{d.note}"
    at = f"[{', '.join(map(str, d.index))}] " if d.index and d.count is not None else ""
    what = f"{d.what} " if d.what in ("dtype", "shape") else ""
    return f"{place}{at}{what}{d.left} -> {d.right}{_describe_errors(d)}{note}"


def _describe_errors(d: Difference) -> str:
    text = ""
    if d.rel_error is not None and d.abs_error is not None:
        largest = ", the largest" if d.count else ""
        text = f" ({d.rel_error:.1e} relative, {d.abs_error:.1e} absolute{largest})"
    if d.count is not None and d.size is not None:
        text += f", {d.count} of {d.size} elements"
    return text
