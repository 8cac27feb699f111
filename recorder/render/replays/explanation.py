"""Why a replay came out otherwise: what ``recorder replay --explain`` prints below the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ...replay.explain.explanation import Cause, Explanation
from ..runs.runs import table_lines
from ..text import Column, printable
from .verdict import styled_verdict

_SAID = 5


def describe_explanation(found: Explanation) -> str:
    """What was tried, a row each, and what it comes to, with what to change."""
    lines = ["", click.style(f"explained by {len(found.tries)} more replays", bold=True)]
    lines.append(table_lines(_columns(found), keep=2))
    for cause in found.causes:
        lines += _said_of(cause)
    lines += found.sentences[len(found.causes) :]
    if found.hints:
        more = f"; and {len(found.hints) - _SAID} more" if len(found.hints) > _SAID else ""
        lines.append(f"  may be due to: {printable('; '.join(found.hints[:_SAID]))}{more}")
    lines += [f"  to change: {one}" for one in found.advice]
    return "\n".join(lines)


def _said_of(cause: Cause) -> Iterator[str]:
    yield click.style(printable(cause.sentence), bold=True) + f" (run {cause.run})"
    if cause.places:
        more = f"; and {len(cause.places) - _SAID} more" if len(cause.places) > _SAID else ""
        yield f"  in the code: {printable('; '.join(cause.places[:_SAID]))}{more}"
    if cause.advice:
        yield f"  to change: {cause.advice}"


def _columns(found: Explanation) -> list[Column]:
    return [
        Column("  with", [f"  {printable(one.said)}" for one in found.tries]),
        Column("verdict", [styled_verdict(one.verdict) for one in found.tries]),
        Column("not as recorded", [printable(", ".join(one.wrong)) for one in found.tries]),
    ]


def explanation_document(found: Explanation) -> dict[str, Any]:
    """The explanation as plain JSON.

    - ``sentences``: what it comes to; ``causes``: of each ``items``, ``what`` they depend on, ``said``: the change,
      ``reproduces``: whether they come out as recorded with it, else only alike; ``run``: the replay that shows it;
      ``places`` in the code and ``advice``;
    - ``varying``: what is not the same in two replays made alike; ``unexplained``; ``hints`` and ``advice`` about that;
    - ``tries``: of each ``said``, ``run`` (its number; null where it could not be done), ``verdict``, ``wrong`` and
      ``is_kept``: all others are in the trash.
    """
    fields = {name: _plain(getattr(found, name)) for name in found.__struct_fields__}
    return {"sentences": list(found.sentences), **fields}


def _plain(value: Any) -> Any:
    """With every field, also where it has its default."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return value
