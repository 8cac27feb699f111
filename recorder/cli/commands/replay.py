"""``recorder replay``: run a run again in a clean workspace, and give a verdict."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from ...environments.interpreter import choose_python
from ...errors import ConfigError, RecorderError, ReplayError
from ...records import Record
from ...render.replays.plan import describe_plan, plan_document
from ...replay.many.repetition import repeat
from ...replay.plan import Plan, make_plan
from ...replay.request import Request
from ...replay.secrets import variable_of
from ...store.store import RunStore
from ..completion import complete_runs
from ..numbers import FiniteNumber, WholeNumber
from ..replaying.outcome import explain_replay, print_repetition, print_replay, say
from ..replaying.selection import Choice, many_options, trusted

# A tolerance: infinity or a negative one would be a mistake.
BOUND = FiniteNumber()


@click.command()
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete_runs)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the config; no verdict then.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="The value of a redacted argument; without VALUE it is read from RECORDER_SECRET_KEY, or asked for.",
)
@click.option(
    "--rtol",
    type=BOUND,
    metavar="X",
    help="Close up to this relative difference, whatever was declared.",
)
@click.option(
    "--atol",
    type=BOUND,
    metavar="X",
    help="Close up to this absolute difference, whatever was declared.",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Run code that came from elsewhere; all from there is trusted then.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="OLD=NEW",
    help="Where a file, or folder, now lies that the run read as OLD.",
)
@click.option(
    "--current-inputs",
    is_flag=True,
    help="Read inputs outside the project where they are, changed or not.",
)
@click.option(
    "--current-code",
    is_flag=True,
    help="Run the project's code as it is now: does it still give that?",
)
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Say what would be done and what differs now, and run nothing.",
)
@click.option(
    "--env",
    "environment",
    default="same",
    metavar="same|rebuild|PATH",
    help="This Python; the recorded Python and packages, installed again; or that of an interpreter or a virtual"
    " environment's folder.",
)
@click.option("--keep-workspace", is_flag=True, help="Leave the workspace for a look.")
@click.option(
    "--json", "as_json", is_flag=True, help="The verdict as JSON; the experiment prints to stderr."
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the verdict as JUnit XML too, for CI: a test for each item.",
)
@click.option(
    "--repeat",
    "times",
    type=WholeNumber(1),
    default=1,
    metavar="N",
    help="Replay N times, and hold the replays against each other too: is it deterministic?",
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="Where it comes out otherwise, find out why by some ten more replays, which then go to the trash.",
)
@many_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: str | None,
    settings: tuple[str, ...],
    secrets: tuple[str, ...],
    rtol: float | None,
    atol: float | None,
    trust: bool,
    inputs: tuple[str, ...],
    current_inputs: bool,
    current_code: bool,
    only_plan: bool,
    environment: str,
    keep_workspace: bool,
    as_json: bool,
    junit: Path | None,
    times: int,
    explained: bool,
    **many: Any,
) -> None:
    """Run RUN again, from its snapshot, with its config and seed, in a workspace of its own.

    The replay is a run itself. Its result, outputs and metrics are compared with the recorded ones, both ways:
    0 reproduced (or close), 1 diverged, 3 could not be done, 4 nothing could be verified. Numbers are close within
    what the experiment declared, @record(tolerance=...), or within --rtol and --atol.

    First it says what differs from then: Python, packages, machine, inputs. Where something is missing nothing is
    run. Inputs from outside the project that have changed since, or are gone, are taken from the store.

    With --repeat N the replays are held against each other as well: does the experiment itself give something else
    each time, or has something changed since? With --all every finished run is replayed, but for replays: the exit
    status is 0 where each result still comes out, and a command that was interrupted goes on where it was.

    With --explain it is replayed with the hash seed fixed, with one thread, deterministic algorithms, lesser
    instruction sets, the stored inputs and so on, and the smallest change is said with which it comes out as recorded.

    Example: recorder replay last
    """
    choice = Choice(**many)
    choice.check(
        run,
        for_one=bool(only_plan or keep_workspace or settings or inputs or times > 1 or explained),
    )
    if explained and (times > 1 or settings):
        raise click.UsageError(
            "--explain is for one replay, and its verdict: without --repeat and --set"
        )
    store = RunStore(ctx.obj)
    record = None if run is None else store.find(run)
    if record is not None and trust:
        record = trusted(store, record)
    with _errors_in(junit, record):
        request = Request(
            settings=_split_settings(settings),
            secrets=dict(map(_read_secret, secrets)),
            rtol=rtol,
            atol=atol,
            keep_workspace=keep_workspace,
            inputs=dict(map(_split_input, inputs)),
            current_inputs=current_inputs,
            current_code=current_code,
            **choose_python(environment),
        )
        if record is None:
            from ..replaying.replay_all import replay_all

            ctx.exit(replay_all(store, choice, request, trust=trust, as_json=as_json, junit=junit))
        if only_plan:
            ctx.exit(_print_plan(make_plan(store, record, request=request), as_json=as_json))
        stdout = sys.stderr.fileno() if as_json else None
        done = repeat(store, record, count=times, request=request, stdout=stdout, say=say)
    if times > 1:
        print_repetition(done, as_json=as_json, junit=junit)
    else:
        explain = functools.partial(explain_replay, store, request) if explained else None
        print_replay(done.replays[0], as_json=as_json, junit=junit, explain=explain)
    ctx.exit(done.exit_status)


def _split_settings(texts: tuple[str, ...]) -> dict[str, str]:
    if not texts:
        return {}
    from ...config.settings import (
        split_settings,  # with inspect, which a plain replay does not need here
    )

    return split_settings(texts)


def _split_input(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ConfigError(f"--input {text}: write OLD=NEW, the recorded path and where it is now")
    return old, new


def _print_plan(plan: Plan, *, as_json: bool) -> int:
    """Print it; the exit status: 3 where the replay cannot be done."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plan_document(plan))))
    else:
        click.echo(describe_plan(plan))
    return ReplayError.exit_status if plan.blockers else 0


def _read_secret(text: str) -> tuple[str, str]:
    """The key and the value of a ``--secret``. Raises ConfigError where there is none, and nobody to ask."""
    key, equals, value = text.partition("=")
    if equals:
        return key, value
    variable = variable_of(key)
    if variable in os.environ:
        return key, os.environ[variable]
    if not sys.stdin.isatty():
        raise ConfigError(
            f"no value for {key}: set {variable}, or write --secret {key}=VALUE", key=key
        )
    return key, click.prompt(f"value of {key}", hide_input=True, err=True)


@contextmanager
def _errors_in(junit: Path | None, record: Record | None) -> Iterator[None]:
    """A replay that cannot be done is an error in the file, too; None for the record of many."""
    try:
        yield
    except RecorderError as error:
        if junit is not None:
            from ...render.replays.junit import junit_of_error

            junit.write_bytes(junit_of_error(record, str(error)))
        raise
