"""Several replays of one run side by side, for ``recorder replay --repeat``."""

from __future__ import annotations

from typing import Any

import click

from ...compare.items import Item, Verification
from ...replay.many.repetition import Repetition
from ..runs.runs import table_lines
from ..text import Column, duration, printable
from .verdict import styled_verdict, verdict_document, verification_document

_LISTED = 5


def describe_repetition(done: Repetition) -> str:
    """Return a table of the compared items, one column per replay, and the conclusion."""
    first = done.replays[0]
    numbers = [one.record.number for one in done.replays]
    named = ", ".join(map(str, numbers))
    name = printable(first.original.experiment)
    head = f"{len(numbers)} replays of run {first.original.number} ({name}): runs {named}"
    took = ", ".join(duration(one.record.duration_s) for one in done.replays)
    lines = [click.style(f"{head}, took {took}", bold=True)]
    columns = _columns(done)
    if columns[0].cells:
        lines.append(table_lines(columns, keep=2))
    lines += _located(done)
    verdicts = [one.verification.verdict for one in done.replays if one.verification is not None]
    if verdicts:
        lines.append(", ".join(styled_verdict(verdict, bold=True) for verdict in verdicts))
    lines.append(printable(done.sentence))
    if done.varying and first.causes:
        lines.append(f"may be due to: {printable('; '.join(first.causes[:_LISTED]))}")
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
        Column("name", [printable(name) for _, name in keys]),
    ]
    for replay in done.replays:
        if replay.verification is not None:
            found = {_key(item): item.verdict for item in replay.verification.items}
            cells = [styled_verdict(found.get(key, "")) for key in keys]
            columns.append(Column(f"run {replay.record.number}", cells))
    if done.between:
        columns.append(Column("each other", [_among(done, key) for key in keys]))
    return columns


# The verdicts of an item from best to worst.
_RANKS = ("identical", "equal", "close", "opaque", "different", "missing", "extra")


def _among(done: Repetition, key: tuple[str, str]) -> str:
    """Return the worst verdict of an item in the comparisons of the replays with the first one."""
    found = [item.verdict for one in done.between for item in one.items if _key(item) == key]
    return styled_verdict(max(found, key=_RANKS.index)) if found else ""


def _key(item: Item) -> tuple[str, str]:
    return item.kind, item.name


def _located(done: Repetition) -> list[str]:
    """Return the differences between the first replay and the run, and between the other replays and the first."""
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
            printable(f"  {name}, {item.name}: {item.detail}")
            for item in verification.items
            if item.decides and item.detail and item.verdict in ("different", "missing", "extra")
        ]
    return lines[: 2 * _LISTED]


def repetition_document(done: Repetition) -> dict[str, Any]:
    """Return the replays as plain JSON.

    - ``run``: the number of the original; ``replays``: each as for a single replay, see `.verdict`;
    - ``between``: for each replay after the first, ``replay`` and its comparison with the first one: ``verdict``,
      ``reason``, ``counts`` and ``items``;
    - ``deterministic``: whether the replays agree with each other, null if unknown; ``varying``: items that do not;
      ``changed``: items that are the same in every replay, and different in the run;
    - ``sentence``: the conclusion; ``exit_status``: that of the command.
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
