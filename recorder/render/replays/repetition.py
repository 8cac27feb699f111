"""What came of several replays of one run: what ``recorder replay --repeat`` prints."""

from __future__ import annotations

from typing import Any

import click

from ...compare.items import Item, Verification
from ...replay.many.repetition import Repetition
from ..runs.runs import table_lines
from ..text import Column, duration
from .verdict import styled_verdict, verdict_document, verification_document

_SAID = 5


def describe_repetition(done: Repetition) -> str:
    """A row for each thing that was compared, a column for each replay; beneath it what that comes to."""
    first = done.replays[0]
    numbers = [one.record.number for one in done.replays]
    named = ", ".join(map(str, numbers))
    head = f"{len(numbers)} replays of run {first.original.number} ({first.original.experiment}): runs {named}"
    took = ", ".join(duration(one.record.duration_s) for one in done.replays)
    lines = [click.style(f"{head}, took {took}", bold=True)]
    columns = _columns(done)
    if columns[0].cells:
        lines.append(table_lines(columns, keep=2))
    lines += _located(done)
    verdicts = [one.verification.verdict for one in done.replays if one.verification is not None]
    if verdicts:
        lines.append(", ".join(styled_verdict(verdict, bold=True) for verdict in verdicts))
    lines.append(done.sentence)
    if done.varying and first.causes:
        lines.append(f"may be due to: {'; '.join(first.causes[:_SAID])}")
    return "\n".join(lines)


def _columns(done: Repetition) -> list[Column]:
    verifications: list[Verification] = [
        one.verification for one in done.replays if one.verification is not None
    ]
    keys = dict.fromkeys(
        _key(item) for one in (*verifications, *done.between) for item in one.items
    )
    columns = [
        Column("  what", [f"  {kind}" for kind, _ in keys]),
        Column("name", [name for _, name in keys]),
    ]
    for replay in done.replays:
        if replay.verification is not None:
            found = {_key(item): item.verdict for item in replay.verification.items}
            cells = [styled_verdict(found.get(key, "")) for key in keys]
            columns.append(Column(f"run {replay.record.number}", cells))
    if done.between:
        columns.append(Column("each other", [_among(done, key) for key in keys]))
    return columns


# From the best to the worst that can be said of an item in several replays.
_RANKS = ("identical", "equal", "close", "opaque", "different", "missing", "extra")


def _among(done: Repetition, key: tuple[str, str]) -> str:
    """The worst that an item came to when the replays were held against the first of them."""
    found = [item.verdict for one in done.between for item in one.items if _key(item) == key]
    return styled_verdict(max(found, key=_RANKS.index)) if found else ""


def _key(item: Item) -> tuple[str, str]:
    return item.kind, item.name


def _located(done: Repetition) -> list[str]:
    """Where the first replay differs from the run, and the others from it."""
    lines = []
    first = done.replays[0]
    against = [(f"run {first.record.number}", first.verification)] if first.verification else []
    others = done.replays[1:]
    against += [
        (f"run {replay.record.number} against run {first.record.number}", verification)
        for replay, verification in zip(others, done.between, strict=False)
    ]
    for name, verification in against:
        lines += [
            f"  {name}, {item.name}: {item.detail}"
            for item in verification.items
            if item.decides and item.detail and item.verdict in ("different", "missing", "extra")
        ]
    return lines[: 2 * _SAID]


def repetition_document(done: Repetition) -> dict[str, Any]:
    """The replays as plain JSON.

    - ``run``: the original's number; ``replays``: each as of a single replay (see `.verdict`);
    - ``between``: for each replay but the first ``replay``, and what came of holding it against the first one, as
      ``verdict``, ``reason``, ``counts`` and ``items``;
    - ``deterministic``: whether they agree with each other, null where that cannot be said; ``varying``: what does not;
      ``changed``: what is the same in all of them, and another in the run;
    - ``sentence``: what it comes to; ``exit_status``: the command's own.
    """
    whole = [one.record.number for one in done.replays][1:]
    return {
        "run": done.replays[0].original.number,
        "replays": [verification_document(one) for one in done.replays],
        "between": [
            {"replay": number, **verdict_document(one)}
            for number, one in zip(whole, done.between, strict=False)
        ],
        "deterministic": done.is_deterministic,
        "varying": list(done.varying),
        "changed": list(done.changed),
        "sentence": done.sentence,
        "exit_status": done.exit_status,
    }
