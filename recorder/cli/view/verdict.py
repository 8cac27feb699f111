"""What came of a replay: what ``recorder replay`` prints."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ... import codec
from ...compare.verify import Item, Verification
from ...replay.replay import Replay
from .text import Column, duration, render

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
}


def describe_replay(done: Replay) -> str:
    """The verdict item by item, then as a whole; for a changed config what was changed and what came out."""
    record = done.record
    head = (
        f"replay of run {done.original.number} ({done.original.experiment}) is run {record.number}"
    )
    head = click.style(f"{head}, took {duration(record.duration_s)}", bold=True)
    if done.verification is None:
        return "\n".join([head, *_changes(done)])
    verification: Verification = done.verification
    lines = [head]
    if verification.items:
        lines.append(render(_columns(verification)))
        lines += [
            f"  {item.name}: {text}" for item in verification.items for text in _located(item)
        ]
    colour = _COLOURS.get(verification.verdict)
    verdict = click.style(verification.verdict, fg=colour, bold=True)
    lines.append(verdict + (f": {verification.reason}" if verification.reason else ""))
    return "\n".join(lines)


def _columns(verification: Verification) -> list[Column]:
    items = verification.items
    return [
        Column("  what", [f"  {item.kind}" for item in items]),
        Column("name", [item.name for item in items]),
        Column(
            "verdict", [click.style(item.verdict, fg=_COLOURS.get(item.verdict)) for item in items]
        ),
        Column("", [item.detail for item in items]),
    ]


def _located(item: Item) -> list[str]:
    """The single differences of an item that has several; one is said in its line already."""
    if len(item.differences) < 2:
        return []
    shown = [f"{d.path or 'value'}: {d.left} -> {d.right}" for d in item.differences[:5]]
    more = len(item.differences) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _changes(done: Replay) -> list[str]:
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
    return {
        "kind": item.kind,
        "name": item.name,
        "verdict": item.verdict,
        "decides": item.decides,
        "detail": item.detail,
        "differences": msgspec.to_builtins(item.differences),
    }


def verification_document(done: Replay) -> dict[str, Any]:
    """The replay as plain JSON: run, replay, verdict (null for a changed config), reason, items, exit_status."""
    verification: Verification | None = done.verification
    return {
        "run": done.original.number,
        "replay": done.record.number,
        "replay_id": done.record.id,
        "verdict": None if verification is None else verification.verdict,
        "reason": "" if verification is None else verification.reason,
        "items": []
        if verification is None
        else [_item_document(item) for item in verification.items],
        "changes": msgspec.to_builtins(done.record.changes),
        "notes": list(done.plan.notes),
        "exit_status": done.exit_status,
    }
