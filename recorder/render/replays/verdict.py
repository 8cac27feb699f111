"""What came of a replay: what ``recorder replay`` prints."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ... import codec
from ...compare.items import Item, Verification
from ...compare.wording import describe_difference
from ...replay.replay import ReplayResult
from ..text import Column, duration, render
from .plan import plan_document

_SAID = 5
_COLOURS = {
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
    """The verdict item by item, then as a whole; for a changed config what was changed and what came out."""
    record = done.record
    code = "" if done.plan.live_code is None else " with the code as it is now"
    head = f"replay of run {done.original.number} ({done.original.experiment}){code} is run {record.number}"
    head = click.style(f"{head}, took {duration(record.duration_s)}", bold=True)
    if done.verification is None:
        return "\n".join([head, *_changes(done)])
    verification: Verification = done.verification
    lines = [head]
    if verification.items:
        lines.append(render(item_columns(verification)))
        lines += [
            f"  {item.name}: {text}" for item in verification.items for text in _located(item)
        ]
    verdict = styled_verdict(verification.verdict, bold=True)
    lines.append(verdict + (f": {verification.reason}" if verification.reason else ""))
    if done.causes:
        more = f"; and {len(done.causes) - _SAID} more" if len(done.causes) > _SAID else ""
        lines.append(f"may be due to: {'; '.join(done.causes[:_SAID])}{more}")
    return "\n".join(lines)


def styled_verdict(verdict: str, *, bold: bool = False) -> str:
    """A verdict, of an item or as a whole, in its colour."""
    return click.style(verdict, fg=_COLOURS.get(verdict), bold=bold or None)


def item_columns(verification: Verification) -> list[Column]:
    """What was compared, and how it came out."""
    items = verification.items
    return [
        Column("  what", [f"  {item.kind}" for item in items]),
        Column("name", [item.name for item in items]),
        Column("verdict", [styled_verdict(item.verdict) for item in items]),
        Column("", [item.detail for item in items]),
    ]


def _located(item: Item) -> list[str]:
    """The single differences of an item that has several; one is said in its line already."""
    if len(item.differences) < 2:
        return []
    shown = [describe_difference(d) for d in item.differences[:5]]
    more = item.count - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _changes(done: ReplayResult) -> list[str]:
    lines = [
        f"  {c.key}: {codec.describe(c.old, width=40)} -> {codec.describe(c.new, width=40)}"
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
    """The replay as plain JSON.

    - ``run``, ``replay``: the numbers of the original and the replay; ``replay_id``: the replay's global id;
    - ``verdict``: reproduced, close, diverged, failed, nothing verified; null for a changed config;
    - ``reason``: the verdict's reason in a sentence, or ""; ``counts``: how many deciding items got which verdict;
    - ``items``: a list of
        - ``kind``: result, output, metric, exception, log, console; ``name``;
        - ``verdict``: identical, equal, close, different, missing, extra, opaque;
        - ``decides``: false for what is only reported; ``detail``: where and by how much, for people;
        - ``tolerance``: ``rtol`` and ``atol`` that it was held to as a whole, left out where 0;
        - ``count``: how many differences; ``max_abs_error``, ``max_rel_error``: the largest of all, or null;
        - ``differences``: the first 100, see `recorder.codec.Difference`; a field at its default is left out;
        - ``departure``: of a series, see `recorder.compare.items.Departure`, else null;
    - ``causes``: where it came out otherwise, what had changed and the hazards that may be why, in words;
    - ``explanation``: with --explain, see `recorder.render.replays.explanation`, null where there is nothing to
    explain;
    - ``changes``: what was set anew; ``notes``: what the plan said; ``live_code``: whether it ran
      the project's code as it is now, on purpose; ``plan``: see
      `recorder.render.replays.plan`; ``exit_status``: the command's own.

    A number that is infinite is null, as JSON has none.
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
    """The part of `verification_document` from verdict to items."""
    return {
        "verdict": None if verification is None else verification.verdict,
        "reason": "" if verification is None else verification.reason,
        "counts": {} if verification is None else verification.counts,
        "items": []
        if verification is None
        else [_item_document(item) for item in verification.items],
    }
