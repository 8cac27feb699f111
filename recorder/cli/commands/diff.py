"""``recorder diff``: compare runs, or a run with the working tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ...compare.diff import SECTIONS, Diff
from ...compare.direction import Directions
from ...compare.variation import Variation, compare_runs
from ...recording.worktree import Sides, is_folder, sides
from ...records import Record
from ...render.differences.diff import describe_diff
from ...store.store import RunStore
from ..completion import complete_runs
from ..run_selection import RunSelection, find_runs, selection_options


@click.command()
@click.argument("runs", metavar="[RUN]... [FOLDER]", nargs=-1, shell_complete=complete_runs)
@click.option(
    "--to",
    metavar="RUN",
    multiple=True,
    shell_complete=complete_runs,
    help="Another run, after the others.",
)
@selection_options
@click.option("--only", type=click.Choice(SECTIONS), help="Show only this section.")
@click.option("--code", "as_patch", is_flag=True, help="Show the code's differences line by line.")
@click.option("--maximize", metavar="METRIC", multiple=True, help="Higher values are better.")
@click.option("--minimize", metavar="METRIC", multiple=True, help="Lower values are better.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[str, ...],
    to: tuple[str, ...],
    selection: RunSelection,
    only: str | None,
    as_patch: bool,
    maximize: tuple[str, ...],
    minimize: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare two runs, several runs, or a run with the working tree.

    \b
    Examples:
      recorder diff train~1 train --only config
      recorder diff 2-4
      recorder diff last .

    Two runs are compared side by side: config, code, environment, seed, inputs, metrics, outputs, result. Times and
    hosts do not count. More runs give a table of what varies. With a folder such as `.` for the second, you see what
    changed in the code, environment and inputs since the run (`recorder diff .`: since the last run).

    A metric is better or worse by its name (loss, error, mse: lower is better; accuracy, auc, f1, r2: higher), or
    by --maximize and --minimize.

    Exit status: 0 if nothing differs, 1 if something does.

    --json prints {"a", "b", "same", "sections": {SECTION: [{"key", "change", ...}]}}. a and b are run numbers; b is
    0 for a folder. change is changed, added or removed. left and right are values as in the record (the digest of a
    file), left_text and right_text as in the table. ratio, note and better are present if they apply. More than two
    runs give {"runs", "same", "sections": {SECTION: [{"key", "values", "texts"}]}}. Fields may be added, but these
    do not change.
    """
    store = RunStore(ctx.obj)
    records, folder = _sides(store, [*runs, *to], selection)
    is_two = len(records) + (folder is not None) == 2
    if as_patch and (not is_two or as_json or only):
        raise click.UsageError("--code compares two runs, without --json and --only")
    if not is_two:
        varying = compare_runs(records, store.objects, files=store.snapshots.files)
        ctx.exit(_print(varying.only(only) if only else varying, as_json=as_json))
    compared = sides(store, records[0], records[1] if folder is None else folder)
    if as_patch:
        ctx.exit(_print_patch(compared))
    if only is not None and only not in compared.sections:
        raise click.UsageError(f"a working tree has no {only} to compare: leave out --only {only}")
    differences = compared.diff(Directions(maximize, minimize))
    ctx.exit(_print(differences.only(only) if only else differences, as_json=as_json))


def _sides(
    store: RunStore, refs: Sequence[str], selection: RunSelection
) -> tuple[list[Record], Path | None]:
    """Return the runs to compare, at least one, and the folder if one is named. Raises click.UsageError."""
    folders = [ref for ref in refs if is_folder(ref)]
    names = [ref for ref in refs if not is_folder(ref)]
    if folders and (len(folders) > 1 or refs[-1] != folders[0]):
        raise click.UsageError("a folder comes last, after one run")
    if not refs and selection.is_empty:
        raise click.UsageError(
            "name two runs, or `.` to compare the last run with the working tree"
        )
    if selection.is_empty:
        # A run that is named twice is compared with itself.
        records = [
            record for ref in names or ["last"] for record in find_runs(store, [ref], selection)
        ]
    else:
        records = find_runs(store, names, selection)
    if folders and len(records) > 1:
        raise click.UsageError("a folder is compared with one run")
    if not folders and len(records) < 2:
        one = records[0].number
        raise click.UsageError(
            f"only run {one} is selected: name a second run, or `.` for the working tree"
        )
    return records, Path(folders[0]) if folders else None


def _print(found: Diff | Variation, *, as_json: bool) -> int:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found.to_json())))
    elif isinstance(found, Variation):
        from ...render.differences.variation import describe_variation

        click.echo(describe_variation(found))
    else:
        click.echo(describe_diff(found))
    return 0 if found.same else 1


def _print_patch(compared: Sides) -> int:
    from ...render.differences.patch import describe_patch

    lines = list(describe_patch(*compared.records, files=compared.files, read=compared.read))
    click.echo("\n".join(lines) if lines else "the code is the same")
    return 1 if lines else 0
