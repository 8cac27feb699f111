"""What a replay would do: what ``recorder replay --plan`` prints."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ...replay.plan import Plan
from ..text import Column, render


def describe_plan(plan: Plan) -> str:
    """The plan's lines, the inputs with where each comes from, and what stands in the way."""
    lines = list(plan.lines())
    if plan.sources:
        lines.append(render(_columns(plan)))
    lines += [click.style(f"missing: {blocker}", fg="red") for blocker in plan.blockers]
    lines.append(
        "cannot be replayed so"
        if plan.blockers
        else "nothing is missing: leave out --plan to replay"
    )
    return "\n".join(lines)


def _columns(plan: Plan) -> list[Column]:
    said = {"snapshot": "from the snapshot", "store": "from the store", "missing": "missing"}
    from_where = [
        said.get(one.kind) or (f"read at {one.at}" + (", changed" if one.changed else ""))
        for one in plan.sources
    ]
    return [Column("  input", [f"  {one.path}" for one in plan.sources]), Column("", from_where)]


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON, without the values of secrets.

    - ``run``, ``experiment``, ``code`` (where it comes from, in words), ``python``: the version that it would run with;
    - ``deviations``: what differs in the environment: ``key`` as in `recorder diff`, ``recorded``, ``now``, and
      ``matters``: whether it can decide what is computed; what does comes first;
    - ``inputs``: the ``path`` of each, its ``digest``, ``in_root``, ``kind`` (snapshot, store, in place, given,
      missing), ``at``: where it is read, ``changed`` and ``changed_in_place``;
    - ``threads``: the variables that are set for the recorded numbers of threads; ``not_restored``: in words;
    - ``notes``: what may make it come out otherwise; ``blockers``: why it cannot be done, and what to do about it.
    """
    document: dict[str, Any] = {name: msgspec.to_builtins(getattr(plan, name)) for name in _FIELDS}
    document["deviations"] = [
        {"key": one.key, "recorded": one.recorded, "now": one.now, "matters": one.matters}
        for one in plan.deviations
    ]
    document["inputs"] = [
        {name: getattr(one, name) for name in one.__struct_fields__} for one in plan.sources
    ]
    return document


_FIELDS = (
    "run", "experiment", "code", "python", "threads", "not_restored", "notes", "blockers"
)  # fmt: skip
