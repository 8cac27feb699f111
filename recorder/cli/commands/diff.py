"""``recorder diff``: what differs between runs, or between a run and the working tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ...compare.diff import SECTIONS, Diff
from ...compare.direction import Directions
from ...compare.variation import Variation, compare_runs
from ...recording.worktree import Sides, is_folder, sides
from ...render.differences.diff import describe_diff
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("runs", metavar="A B...", nargs=-1, required=True, shell_complete=complete_runs)
@click.option(
    "--to",
    metavar="RUN",
    multiple=True,
    shell_complete=complete_runs,
    help="Another run, the last one.",
)
@click.option("--only", type=click.Choice(SECTIONS), help="Only this section.")
@click.option("--code", "as_patch", is_flag=True, help="The code's differences line by line.")
@click.option("--maximize", metavar="METRIC", multiple=True, help="The higher it is, the better.")
@click.option("--minimize", metavar="METRIC", multiple=True, help="The lower it is, the better.")
@click.option("--json", "as_json", is_flag=True, help="The differences as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[str, ...],
    to: tuple[str, ...],
    only: str | None,
    as_patch: bool,
    maximize: tuple[str, ...],
    minimize: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what differs between the runs A and B, or what varies over more of them.

    Config, code, environment, seed, inputs, metrics, outputs, result; times, hosts and pids do not count. For B a
    folder, as `.`, says what has changed since A: code, this environment, inputs; nothing is run or written.

    Whether a metric got better goes by its name (loss, error, mse: down; accuracy, auc, f1, r2: up) or --maximize
    and --minimize. Exit status 0 where they are the same, 1 where they differ.

    --json prints {"a", "b", "same", "sections": {SECTION: [{"key", "change", ...}]}}: a and b are numbers of runs, b
    is 0 for a folder; `change` is changed, added or removed; left and right are as in the record (of a file the
    digest; none in a list of the result), left_text and right_text as in the table; ratio, note and better are there
    where there is something to say, and what is null is left out. Of more than two runs it is {"runs", "same",
    "sections": {SECTION: [{"key", "values", "texts"}]}}. That shape stays; fields may be added.

    Example: recorder diff train~1 train --only config
    """
    refs = [*runs, *to]
    _check(refs, as_patch=as_patch, otherwise=bool(as_json or only))
    store = RunStore(ctx.obj)
    records = [store.find(ref) for ref in refs if not is_folder(ref)]
    if len(refs) > 2:
        varying = compare_runs(records, store.objects, files=store.snapshots.files)
        ctx.exit(_say(varying.only(only) if only else varying, as_json=as_json))
    compared = sides(store, records[0], Path(refs[-1]) if is_folder(refs[-1]) else records[-1])
    if as_patch:
        ctx.exit(_say_patch(compared))
    if only is not None and only not in compared.sections:
        raise click.UsageError(f"nothing is known of the {only} of a working tree before a run")
    found = compared.diff(Directions(maximize, minimize))
    ctx.exit(_say(found.only(only) if only else found, as_json=as_json))


def _check(refs: Sequence[str], *, as_patch: bool, otherwise: bool) -> None:
    """Raises click.UsageError for what cannot be compared, or not in that way."""
    if len(refs) < 2:
        raise click.UsageError("two runs, or a run and `.` for the working tree")
    if any(map(is_folder, refs[:-1])) or (len(refs) > 2 and is_folder(refs[-1])):
        raise click.UsageError("a folder comes last, after one run")
    if as_patch and (len(refs) > 2 or otherwise):
        raise click.UsageError("--code takes two runs, and neither --json nor --only")


def _say(found: Diff | Variation, *, as_json: bool) -> int:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found.to_json())))
    elif isinstance(found, Variation):
        from ...render.differences.variation import describe_variation

        click.echo(describe_variation(found))
    else:
        click.echo(describe_diff(found))
    return 0 if found.same else 1


def _say_patch(compared: Sides) -> int:
    from ...render.differences.patch import describe_patch

    lines = list(describe_patch(*compared.records, files=compared.files, read=compared.read))
    click.echo("\n".join(lines) if lines else "the code is the same")
    return 1 if lines else 0
