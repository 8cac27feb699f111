"""The verdict of a replay, for ``recorder replay``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ... import codec
from ...compare.items import Item, NumberPair, Verification
from ...compare.wording import describe_difference
from ...replay.replay import ReplayResult
from ..text import Column, duration, printable, render
from .plan import plan_document

_LISTED = 5
_COLORS = {
    "identical": "green",
    "equal": "green",
    "close": "yellow",
    "different": "red",
    "missing": "red",
    "extra": "red",
    "opaque": "magenta",
    "reproduced": "green",
    "diverged": "red",
    "failed": "red",
    "nothing verified": "magenta",
    "could not be done": "red",
    "interrupted": "yellow",
}


def describe_replay(done: ReplayResult) -> str:
    """Return the verdicts of the items and of the replay; for a changed config the changes and the status."""
    record = done.record
    code = "" if done.plan.live_code is None else " with the code as it is now"
    name = printable(done.original.experiment)
    head = f"replay of run {done.original.number} ({name}){code} is run {record.number}"
    head = click.style(f"{head}, took {duration(record.duration_s)}", bold=True)
    if done.verification is None:
        return "\n".join([head, *_changes(done)])
    verification: Verification = done.verification
    lines = [head]
    if verification.items:
        lines.append(render(item_columns(verification)))
        lines += [
            printable(f"  {item.name}: {text}")
            for item in verification.items
            for text in _located(item)
        ]
    verdict = styled_verdict(verification.verdict, bold=True)
    reason = f": {printable(verification.reason)}" if verification.reason else ""
    lines.append(verdict + reason)
    if done.causes:
        more = f"; and {len(done.causes) - _LISTED} more" if len(done.causes) > _LISTED else ""
        lines.append(f"may be due to: {printable('; '.join(done.causes[:_LISTED]))}{more}")
    return "\n".join(lines)


def styled_verdict(verdict: str, *, bold: bool = False) -> str:
    """Return a verdict, of an item or a replay, in its color."""
    return click.style(printable(verdict), fg=_COLORS.get(verdict), bold=bold or None)


def item_columns(verification: Verification) -> list[Column]:
    """Return the compared items with their verdicts as a table."""
    rows = [row for item in verification.items for row in _rows(item)]
    kinds, names, verdicts, recorded, replayed, details = zip(*rows, strict=True)
    numbers = [Column("recorded", recorded, right=True), Column("replayed", replayed, right=True)]
    return [
        Column("  what", kinds),
        Column("name", names),
        Column("verdict", verdicts),
        *(numbers if any(recorded) else ()),
        Column("", details),
    ]


def _rows(item: Item) -> Iterator[tuple[str, ...]]:
    """Yield the row of an item, and a row for each number inside a result."""
    inside = [pair for pair in item.numbers if pair.name != item.name]
    own = ("", "") if inside or not item.numbers else _digits(item.numbers[0])
    yield (
        f"  {item.kind}",
        printable(item.name),
        styled_verdict(item.verdict),
        *own,
        printable(item.detail),
    )
    for pair in inside:
        yield "", printable(pair.name), "", *_digits(pair), ""


def _digits(pair: NumberPair) -> tuple[str, str]:
    """Return both numbers with six digits, or with as many as are needed to see that they differ."""
    a, b = pair.recorded, pair.replayed
    if isinstance(a, int) and isinstance(b, int):
        return str(a), str(b)
    whole = len(f"{max(abs(a), abs(b)):.0f}")
    for digits in range(min(max(6, whole), 16), 17):  # the whole part without an exponent
        left, right = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if left != right or a == b:
            return left, right
    return repr(a), repr(b)


def _located(item: Item) -> list[str]:
    """Return the differences of an item with several; a single one stands in its line already."""
    if len(item.differences) < 2:
        return []
    shown = [describe_difference(d) for d in item.differences[:5]]
    more = item.count - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _changes(done: ReplayResult) -> list[str]:
    lines = [
        printable(
            f"  {c.key}: {codec.describe(c.old, width=40)} -> {codec.describe(c.new, width=40)}"
        )
        for c in done.record.changes
    ]
    status = click.style(
        done.record.status, fg="green" if done.record.status == "finished" else "red"
    )
    lines.append(f"{status}, with a changed config: no verdict; compare with")
    lines.append(f"  recorder diff {done.original.number} {done.record.number}")
    return lines


def _item_document(item: Item) -> dict[str, Any]:
    return {field: msgspec.to_builtins(getattr(item, field)) for field in item.__struct_fields__}


def verification_document(done: ReplayResult) -> dict[str, Any]:
    """Return the replay as plain JSON.

    - ``run``, ``replay``: the numbers of the original and the replay; ``replay_id``: the global id of the replay;
    - ``verdict``: reproduced, close, diverged, failed, nothing verified; null for a changed config;
    - ``reason``: the reason in a sentence, or ""; ``counts``: the number of deciding items by verdict;
    - ``items``: a list of
        - ``kind``: result, output, metric, exception, log, console; ``name``;
        - ``verdict``: identical, equal, close, different, missing, extra, opaque;
        - ``decides``: false for an item that is only reported; ``detail``: a description of the difference;
        - ``numbers``: the first numbers of a result: ``name``, ``recorded``, ``replayed``;
        - ``tolerance``: ``rtol`` and ``atol`` that applied to the whole item, left out if 0;
        - ``count``: the number of differences; ``max_abs_error``, ``max_rel_error``: the largest, or null;
        - ``differences``: the first 100, see `recorder.codec.Difference`; fields at their defaults are left out;
        - ``departure``: for a series, see `recorder.compare.items.Departure`, else null;
    - ``causes``: for a divergence, the descriptions of the changes and hazards that may be the cause;
    - ``explanation``: with --explain, see `recorder.render.replays.explanation`; null if nothing diverged;
    - ``changes``: changed arguments; ``notes``: notes of the plan; ``live_code``: true if the project's current code
      ran; ``plan``: see `recorder.render.replays.plan`; ``exit_status``: that of the command.

    An infinite number is null, since JSON has none.
    """
    return {
        "run": done.original.number,
        "replay": done.record.number,
        "replay_id": done.record.id,
        **verdict_document(done.verification),
        "causes": list(done.causes),
        "changes": msgspec.to_builtins(done.record.changes),
        "notes": list(done.plan.notes),
        "live_code": done.plan.live_code is not None,
        "plan": plan_document(done.plan),
        "exit_status": done.exit_status,
    }


def verdict_document(verification: Verification | None) -> dict[str, Any]:
    """Return the part of `verification_document` from verdict to items."""
    return {
        "verdict": None if verification is None else verification.verdict,
        "reason": "" if verification is None else verification.reason,
        "counts": {} if verification is None else verification.counts,
        "items": []
        if verification is None
        else [_item_document(item) for item in verification.items],
    }
