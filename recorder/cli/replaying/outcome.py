"""The results of ``recorder replay``: printed, written for CI, and explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ...render.replays.verdict import describe_replay, verification_document
from ...render.text import duration
from ...replay.many.repetition import Repetition
from ...replay.replay import ReplayResult
from ...replay.request import Request
from ...store.store import RunStore

if TYPE_CHECKING:
    from ...replay.explain.explanation import Explanation


def say(line: str) -> None:
    """Report progress to a person."""
    click.secho(line, err=True, dim=True)


def explain_replay(store: RunStore, request: Request, done: ReplayResult) -> Explanation | None:
    """Find out why the replay diverged; None if it did not."""
    if not done.has_diverged:
        return None
    from ...replay.explain.explain import explain

    took = duration(done.record.duration_s)
    say(f"explaining: about ten more replays, which take {took} each plus their start")
    return explain(store, done, request=request, say=say)


def print_replay(
    done: ReplayResult,
    *,
    as_json: bool,
    junit: Path | None,
    explain: Callable[[ReplayResult], Explanation | None] | None,
) -> None:
    """Print the verdict, then the explanation if `explain` finds one; as JSON both are one document."""
    if junit is not None:
        from ...render.replays.junit import junit_of

        junit.write_bytes(junit_of(done))
    if not as_json:
        click.echo(describe_replay(done))
    explanation = None if explain is None else explain(done)
    if explanation is not None:
        from ...render.replays.explanation import describe_explanation, explanation_document
    if as_json:
        document = verification_document(done)
        if explain is not None:
            document["explanation"] = (
                None if explanation is None else explanation_document(explanation)
            )
        click.echo(msgspec.json.format(msgspec.json.encode(document)))
    elif explanation is not None:
        click.echo(describe_explanation(explanation))


def print_repetition(done: Repetition, *, as_json: bool, junit: Path | None) -> None:
    """Print the verdicts of several replays of one run side by side, and the conclusion."""
    from ...render.replays.repetition import describe_repetition, repetition_document

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(repetition_document(done))))
    else:
        click.echo(describe_repetition(done))
    if junit is not None:
        from ...render.replays.junit import junit_of_repetition

        junit.write_bytes(junit_of_repetition(done))
