"""What came of a replay, or of several of one run: printed, written for CI, and explained."""

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
    """What a person wants to know meanwhile."""
    click.secho(line, err=True, dim=True)


def explain_replay(store: RunStore, request: Request, done: ReplayResult) -> Explanation | None:
    """Why it came out otherwise; None where it did not."""
    if not done.has_diverged:
        return None
    from ...replay.explain.explain import explain

    say(f"explaining: some ten replays, of {duration(done.record.duration_s)} each and their start")
    return explain(store, done, request=request, say=say)


def print_replay(
    done: ReplayResult,
    *,
    as_json: bool,
    junit: Path | None,
    explain: Callable[[ReplayResult], Explanation | None] | None,
) -> None:
    """Print the verdict, and then what `explain` finds; JSON at the end as one."""
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
            said = None if explanation is None else explanation_document(explanation)
            document["explanation"] = said
        click.echo(msgspec.json.format(msgspec.json.encode(document)))
    elif explanation is not None:
        click.echo(describe_explanation(explanation))


def print_repetition(done: Repetition, *, as_json: bool, junit: Path | None) -> None:
    """Print the verdicts side by side, and what they come to."""
    from ...render.replays.repetition import describe_repetition, repetition_document

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(repetition_document(done))))
    else:
        click.echo(describe_repetition(done))
    if junit is not None:
        from ...render.replays.junit import junit_of_repetition

        junit.write_bytes(junit_of_repetition(done))
