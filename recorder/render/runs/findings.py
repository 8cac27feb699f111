"""Findings of a check, results of a garbage collection, and disk usage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...store.maintenance.check import Finding, RepairResult
from ...store.maintenance.disk_usage import Size, Sizes
from ...store.maintenance.gc import Freed
from ..text import Column, printable, render, size

_LISTED = 8


def describe_finding(finding: Finding) -> str:
    """Describe a finding in up to three lines: its kind and place, the problem and runs, and the repair."""
    color = "red" if finding.is_damage else "yellow"
    lines = [f"{click.style(finding.kind, fg=color, bold=True)}  {printable(finding.place)}"]
    lines.append(f"  {printable(finding.what)}{_affected(finding)}")
    if finding.repair:
        lines.append(click.style(f"  --repair: {printable(finding.repair)}", dim=True))
    elif finding.is_damage:
        give_up = "; to give it up: --repair --discard" if finding.discard else ""
        lines.append(
            click.style(
                f"  the store has no other copy: restore it from a backup{give_up}", dim=True
            )
        )
    return "\n".join(lines)


def _affected(finding: Finding) -> str:
    numbers = [str(number) for number in finding.runs]
    if not numbers or all(f"run {number}" in finding.what for number in numbers):
        return ""
    more = f" and {len(numbers) - _LISTED} more" if len(numbers) > _LISTED else ""
    return f" (run{'s' if len(numbers) > 1 else ''} {', '.join(numbers[:_LISTED])}{more})"


def describe_outcome(outcome: RepairResult) -> str:
    """Describe a finding and the result of its repair."""
    finding = outcome.finding
    give_up = "; restore it from a backup, or give it up with --discard" if finding.discard else ""
    result = outcome.done or (f"not repaired{give_up}" if finding.is_damage else "left alone")
    color = "green" if outcome.is_repaired else "red"
    head = f"{click.style(finding.kind, bold=True)}  {printable(finding.place)}"
    problem = f"  {printable(finding.what)}{_affected(finding)}"
    return f"{head}\n{problem}\n  {click.style(printable(result), fg=color)}"


def finding_document(outcome: RepairResult, *, repaired: bool) -> dict[str, Any]:
    """Return a finding as JSON; after a repair with `done` and `is_repaired`."""
    document: dict[str, Any] = outcome.finding._asdict()
    del document["mend"], document["discard"]
    if repaired:
        document |= {"done": outcome.done, "is_repaired": outcome.is_repaired}
    return document


def summary(outcomes: Sequence[RepairResult], *, path: Path, is_repair: bool) -> str:
    """Summarize all findings in one line."""
    damage = [outcome for outcome in outcomes if outcome.finding.is_damage]
    left = len(outcomes) - len(damage)
    if not outcomes:
        return f"{path}: everything is as it was written"
    if not damage:
        return f"{path}: nothing is damaged; {left} left over"
    if is_repair:
        repaired = sum(outcome.is_repaired for outcome in damage)
        return f"{path}: {repaired} of {len(damage)} repaired"
    return f"{path}: {len(damage)} damaged or missing, {left} left over"


def describe_freed(freed: Sequence[Freed], *, dry_run: bool) -> str:
    """Return a table of what was freed, or would be."""
    if not freed:
        return "nothing to remove"
    columns = [
        Column("would free" if dry_run else "freed", [one.kind for one in freed]),
        Column("", [str(one.items) if one.items else "" for one in freed], right=True),
        Column("bytes", [size(one.size_bytes) for one in freed], right=True),
    ]
    total = size(sum(one.size_bytes for one in freed))
    return f"{render(columns)}\n{total} in total"


def describe_sizes(sizes: Sizes, *, by_run: bool) -> str:
    """Return the sizes by experiment or by run, the largest first, and the disk usage of the store."""
    rows = sorted(sizes.runs if by_run else sizes.experiments, key=lambda one: -one.total_bytes)
    names = [printable(one.name) for one in rows]
    columns = [Column("run" if by_run else "experiment", names, right=by_run)]
    if not by_run:
        columns.append(Column("runs", [str(one.runs) for one in rows], right=True))
    columns += [
        Column("own", [size(one.own_bytes) for one in rows], right=True),
        Column("shared", [size(one.shared_bytes) for one in rows], right=True),
        Column("total", [size(one.total_bytes) for one in rows], right=True),
    ]
    parts = [f"{name} {size(taken)}" for name, taken in sizes.on_disk.items() if taken > 4096]
    listed = f" ({', '.join(parts)})" if parts else ""
    total = sum(sizes.on_disk.values())
    return f"{render(columns)}\n\non disk: {size(total)}{listed}"


def sizes_document(sizes: Sizes) -> dict[str, Any]:
    """Return the sizes as JSON."""
    return {
        "runs": [_size_document(one) for one in sizes.runs],
        "experiments": [_size_document(one) for one in sizes.experiments],
        "on_disk": sizes.on_disk,
    }


def _size_document(one: Size) -> dict[str, Any]:
    return {**one._asdict(), "total_bytes": one.total_bytes}
