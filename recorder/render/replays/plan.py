"""The plan of a replay, for ``recorder replay --plan``."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ...replay.plan import Plan
from ..text import Column, printable, render


def describe_plan(plan: Plan) -> str:
    """Return the lines of the plan, the inputs with their sources, and the blockers."""
    lines = [*map(printable, plan.lines())]
    if plan.sources:
        lines.append(render(_columns(plan)))
    lines += [click.style(f"missing: {printable(blocker)}", fg="red") for blocker in plan.blockers]
    lines.append(
        "the run cannot be replayed like this"
        if plan.blockers
        else "nothing is missing; to replay, leave out --plan"
    )
    return "\n".join(lines)


def _columns(plan: Plan) -> list[Column]:
    places = {"snapshot": "from the snapshot", "store": "from the store", "missing": "missing"}
    from_where = [
        places.get(one.kind)
        or printable(f"read at {one.at}") + (", changed" if one.changed else "")
        for one in plan.sources
    ]
    return [
        Column("  input", [f"  {printable(one.path)}" for one in plan.sources]),
        Column("", from_where),
    ]


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain JSON, without the values of secrets.

    - ``run``, ``experiment``, ``code`` (a description of its source), ``python``: the version that would run it;
    - ``deviations``: differences in the environment, with ``key`` as in `recorder diff`, ``recorded``, ``now``, and
      ``matters``: whether the difference can change results; those that can come first;
    - ``inputs``: a list of ``path``, ``digest``, ``in_root``, ``kind`` (snapshot, store, in place, given, missing),
      ``at``: the place it is read from, ``changed`` and ``changed_in_place``;
    - ``threads``: variables that are set to restore the recorded numbers of threads; ``not_restored``: descriptions;
    - ``notes``: reasons for which the replay may diverge; ``blockers``: reasons why it cannot run, with advice.
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
