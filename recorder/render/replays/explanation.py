"""The cause of a divergence, for ``recorder replay --explain``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ...replay.explain.explanation import Cause, Explanation
from ..runs.runs import table_lines
from ..text import Column, printable
from .verdict import styled_verdict

_LISTED = 5


def describe_explanation(found: Explanation) -> str:
    """Return a table of the replays that were tried, the causes, and advice."""
    lines = ["", click.style(f"explained by {len(found.tries)} more replays", bold=True)]
    columns = [
        Column("  with", [f"  {printable(one.said)}" for one in found.tries]),
        Column("verdict", [styled_verdict(one.verdict) for one in found.tries]),
        Column("not as recorded", [printable(", ".join(one.wrong)) for one in found.tries]),
    ]
    lines.append(table_lines(columns, keep=2))
    for cause in found.causes:
        lines += _cause_lines(cause)
    lines += map(printable, found.sentences[len(found.causes) :])
    if found.hints:
        more = f"; and {len(found.hints) - _LISTED} more" if len(found.hints) > _LISTED else ""
        lines.append(f"  may be due to: {printable('; '.join(found.hints[:_LISTED]))}{more}")
    lines += [f"  to change: {printable(one)}" for one in found.advice]
    return "\n".join(lines)


def _cause_lines(cause: Cause) -> Iterator[str]:
    yield click.style(printable(cause.sentence), bold=True) + f" (run {cause.run})"
    if cause.places:
        more = f"; and {len(cause.places) - _LISTED} more" if len(cause.places) > _LISTED else ""
        yield f"  in the code: {printable('; '.join(cause.places[:_LISTED]))}{more}"
    if cause.advice:
        yield f"  to change: {printable(cause.advice)}"


def explanation_document(found: Explanation) -> dict[str, Any]:
    """Return the explanation as plain JSON.

    - ``sentences``: the conclusion; ``causes``: a list of ``items``, ``what`` they depend on, ``said``: the change,
      ``reproduces``: true if the items reproduce with the change, false if they are only equal to each other, ``run``:
      the replay that shows it, ``places`` in the code, and ``advice``;
    - ``varying``: items that differ between equal replays; ``unexplained`` items; ``hints`` and ``advice`` about them;
    - ``tries``: a list of ``said``, ``run`` (null if it could not be done), ``verdict``, ``wrong``, and ``is_kept``:
      the other replays are in the trash.
    """
    fields = {name: _plain(getattr(found, name)) for name in found.__struct_fields__}
    return {"sentences": list(found.sentences), **fields}


def _plain(value: Any) -> Any:
    """Return plain JSON with every field, including defaults."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return value
