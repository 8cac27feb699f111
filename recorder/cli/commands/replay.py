"""``recorder replay``: run recorded runs again and compare the results."""

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
from ..run_selection import RunSelection, selection_options

# A tolerance: an infinite or a negative one would be a mistake.
BOUND = FiniteNumber()


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@selection_options
@many_options
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Show what the replay would do and what differs now; run nothing.",
)
@click.option(
    "--repeat",
    "times",
    type=WholeNumber(1),
    default=1,
    metavar="N",
    show_default=True,
    help="Replay N times and also compare the replays with each other: is the experiment deterministic?",
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="If the replay diverges, find the cause with about ten more replays, which then go to the trash.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change an argument; a replay with a changed config has no verdict.",
)
@click.option(
    "--current-code",
    is_flag=True,
    help="Run the project's current code instead of the recorded code.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="OLD=NEW",
    help="Where an input is now: the recorded path of a file or folder, and its new path.",
)
@click.option(
    "--current-inputs",
    is_flag=True,
    help="Read inputs outside the project as they are now, even if they have changed.",
)
@click.option(
    "--env",
    "environment",
    default="same",
    metavar="same|rebuild|PATH",
    show_default=True,
    help="Python to use: this one; the recorded Python and packages, installed again; or an interpreter or the"
    " folder of a virtual environment.",
)
@click.option(
    "--rtol",
    type=BOUND,
    metavar="X",
    help="Relative tolerance for numbers, in place of the declared one.",
)
@click.option(
    "--atol",
    type=BOUND,
    metavar="X",
    help="Absolute tolerance for numbers, in place of the declared one.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Value of a redacted argument. Without VALUE it is read from RECORDER_SECRET_KEY, or you are asked for it.",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Run code that was imported from elsewhere, and trust all runs from the same source from now on.",
)
@click.option(
    "--keep-workspace", is_flag=True, help="Keep the workspace after the replay, until recorder gc."
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the verdict as JSON; the experiment prints to stderr.",
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write the verdict as JUnit XML, with a test case for each item.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    runs: tuple[str, ...],
    selection: RunSelection,
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
    """Run recorded runs again and compare the results.

    \b
    Examples:
      recorder replay last
      recorder replay last --plan
      recorder replay --tag paper -j 2

    Each replay runs in a separate workspace, with the recorded code, config, seed and inputs, and is itself a run.
    Its result, outputs and metrics are compared with the recorded ones. Numbers are close within the tolerance that
    the experiment declares (@record(tolerance=...)) or --rtol and --atol.

    Before it runs, you see what differs now: Python, packages, machine, inputs. If something is missing, nothing
    runs. Inputs from outside the project that have changed or are gone come from the store.

    Several runs, or --all, --where, --tag and --failed, are replayed as a batch, without replays and (unless --failed)
    finished runs only. A batch that was interrupted resumes if you give the same command again.

    --explain replays with a fixed hash seed, one thread, deterministic algorithms, fewer CPU instructions, the
    stored inputs and so on, and reports the smallest change that reproduces the recorded result.

    Exit status: 0 reproduced or close, 1 diverged, 3 failed, 4 nothing could be verified.
    """
    choice = Choice(runs, selection, **many)
    choice.check()
    if explained and (times > 1 or settings):
        raise click.UsageError(
            "--explain is for one replay with a verdict: without --repeat and --set"
        )
    for_one = bool(only_plan or keep_workspace or settings or inputs or times > 1 or explained)
    # What the options alone decide is an error of use even without a store.
    store = None if for_one and choice.is_many(()) else RunStore(ctx.obj)
    records = [] if store is None else choice.find(store)
    is_many = choice.is_many(records)
    if store is None or (is_many and for_one):
        raise click.UsageError(
            "--plan, --keep-workspace, --set, --input, --repeat and --explain are for a single run"
        )
    if not is_many:
        choice.check_single()
        records = [trusted(store, records[0])] if trust else records
    with _errors_in(junit, None if is_many else records[0]):
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
        if is_many:
            from ..replaying.replay_all import replay_all

            status = replay_all(
                store, records, choice, request, trust=trust, as_json=as_json, junit=junit
            )
            ctx.exit(status)
        (record,) = records
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
    # It imports `inspect`, which a plain replay does not need in this process.
    from ...config.settings import split_settings

    return split_settings(texts)


def _split_input(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ConfigError(f"--input {text}: write OLD=NEW, the recorded path and where it is now")
    return old, new


def _print_plan(plan: Plan, *, as_json: bool) -> int:
    """Print the plan, and return the exit status: 3 if the run cannot be replayed."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plan_document(plan))))
    else:
        click.echo(describe_plan(plan))
    return ReplayError.exit_status if plan.blockers else 0


def _read_secret(text: str) -> tuple[str, str]:
    """Return the key and the value of a ``--secret``. Raises ConfigError if there is no value, and nobody to ask."""
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
    """Report an error in the JUnit file, too; `record` is None for a batch."""
    try:
        yield
    except RecorderError as error:
        if junit is not None:
            from ...render.replays.junit import junit_of_error

            junit.write_bytes(junit_of_error(record, str(error)))
        raise
