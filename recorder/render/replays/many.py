"""The replays of many runs, for ``recorder replay --all``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...replay.many.many import Many, ReplayOutcome
from ..runs.runs import remark, table_lines
from ..text import Column, duration, printable, shorten
from .verdict import styled_verdict, verdict_document

# A longer table shows only the runs that did not reproduce.
_SHOWN = 50
_GOOD = ("reproduced", "close")
_WIDTH = 24


def describe_many(done: Many, *, left_out: Mapping[str, int]) -> str:
    """Return a row for each run, or for those that did not reproduce if there are many, and the counts."""
    outcomes = done.outcomes
    shown = outcomes
    if len(outcomes) > _SHOWN:
        shown = tuple(one for one in outcomes if one.verdict not in _GOOD)
    lines = [table_lines(_columns(shown), keep=4)] if shown else []
    hidden = len(outcomes) - len(shown)
    if hidden:
        lines.append(remark(f"{hidden} more reproduced; --json lists them"))
    counts = [f"{count} {styled_verdict(verdict)}" for verdict, count in done.counts.items()]
    counts += [f"{done.not_begun} not started"] if done.not_begun else []
    lines.append(", ".join(counts) if counts else "no run to replay: nothing was verified")
    if left_out:
        lines.append(remark(describe_left_out(left_out)))
    if done.interrupted:
        lines.append("interrupted; to resume, give the same command again")
    return "\n".join(lines)


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Describe how many runs were left out, by status."""
    counts = ", ".join(f"{count} {status}" for status, count in left_out.items())
    can_fail = set(left_out) & {"failed", "interrupted", "lost"}
    hint = "; --failed replays those that failed, were interrupted or lost" if can_fail else ""
    return f"left out: {counts}{hint}"


def _columns(outcomes: Sequence[ReplayOutcome]) -> list[Column]:
    return [
        Column("run", [str(one.original.number) for one in outcomes], right=True),
        Column(
            "experiment", [shorten(printable(one.original.experiment), _WIDTH) for one in outcomes]
        ),
        Column(
            "replay",
            ["" if one.record is None else str(one.record.number) for one in outcomes],
            right=True,
        ),
        Column("verdict", [styled_verdict(one.verdict) for one in outcomes]),
        Column(
            "took",
            [duration(one.record.duration_s if one.record else None) for one in outcomes],
            right=True,
        ),
        Column("", [_why(one) for one in outcomes]),
    ]


def _why(one: ReplayOutcome) -> str:
    if one.error:
        return printable(one.error)
    reason = "" if one.verification is None else one.verification.reason
    if one.verdict in _GOOD or not one.causes:
        return printable(reason)
    return printable(f"{reason}; may be due to {one.causes[0]}")


def many_document(done: Many, *, left_out: Mapping[str, int]) -> dict[str, Any]:
    """Return the replays as plain JSON.

    - ``replays``: for each run, ``run``, ``experiment``, ``replay`` and ``replay_id`` (null if there is none),
      ``verdict`` to ``items`` and ``causes`` as for a single replay (see `.verdict`), ``error``: the reason if there
      is no replay, ``taken_over``: true if an interrupted command had replayed it, ``exit_status``;
    - ``counts``: the number of runs by verdict; ``left_out``: the number of runs left out by status; ``not_begun``;
      ``interrupted``; ``exit_status``: that of the command.
    """
    return {
        "replays": [_outcome_document(one) for one in done.outcomes],
        "counts": done.counts,
        "left_out": dict(left_out),
        "not_begun": done.not_begun,
        "interrupted": done.interrupted,
        "exit_status": done.exit_status,
    }


def _outcome_document(one: ReplayOutcome) -> dict[str, Any]:
    return {
        "run": one.original.number,
        "experiment": one.original.experiment,
        "replay": None if one.record is None else one.record.number,
        "replay_id": None if one.record is None else one.record.id,
        **verdict_document(one.verification),
        "causes": list(one.causes),
        "error": one.error,
        "taken_over": one.taken_over,
        "exit_status": one.exit_status,
    }
