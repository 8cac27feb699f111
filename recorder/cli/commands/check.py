"""``recorder check``: verify the integrity of the store, and repair it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from ...errors import StoreFormatError, StoreNotFoundError
from ...render.runs.findings import describe_finding, describe_outcome, finding_document, summary
from ...store.format import find_store, store_folder
from ...store.maintenance.check import (
    Finding,
    RepairResult,
    check,
    check_format,
    repair,
    repair_store,
)
from ...store.store import RunStore


@click.command()
@click.option("--repair", "is_repair", is_flag=True, help="Repair what can be repaired.")
@click.option(
    "--discard",
    is_flag=True,
    help="With --repair: give up damaged records that cannot be repaired; they go to lost+found.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON array.")
@click.pass_context
def command(ctx: click.Context, is_repair: bool, discard: bool, as_json: bool) -> None:
    """Verify every byte of the store, and repair it.

    \b
    Examples:
      recorder check
      recorder check --repair

    Lists what is damaged, missing or left over, and which runs are affected. Nothing changes without --repair.

    --repair finishes the records of killed runs, too. It never deletes the last copy of anything: data that it
    cannot place goes to lost+found in the store. It never replaces a finished record.

    A damaged record that cannot be repaired stays in the journal, and `recorder gc` refuses to run, until the
    journal is restored from a backup, or --repair --discard gives the record up.

    Exit status: 0 if nothing is damaged, or everything was repaired; else 1.
    """
    if discard and not is_repair:
        raise click.UsageError("--discard needs --repair")
    path = store_folder(Path(ctx.obj)) if ctx.obj else find_store()
    outcomes = list(_outcomes(path, is_repair=is_repair, discard=discard))
    if as_json:
        documents = [finding_document(outcome, repaired=is_repair) for outcome in outcomes]
        click.echo(msgspec.json.format(msgspec.json.encode(documents)))
    else:
        for outcome in outcomes:
            said = describe_outcome(outcome) if is_repair else describe_finding(outcome.finding)
            click.echo(said)
        click.echo(summary(outcomes, path=path, is_repair=is_repair))
    is_left = any(o.finding.is_damage and not o.is_repaired for o in outcomes)
    ctx.exit(1 if is_left else 0)


def _outcomes(path: Path, *, is_repair: bool, discard: bool) -> Iterator[RepairResult]:
    first = list(check_format(path))  # a store whose FORMAT is damaged does not open
    yield from repair(first) if is_repair else _unrepaired(first)
    try:
        store = RunStore(path)
    except (StoreNotFoundError, StoreFormatError):
        if is_repair or not first:
            raise
        return
    if is_repair:
        yield from repair_store(store, discard=discard)
    else:
        yield from _unrepaired(one for one in check(store) if one.place != "FORMAT")


def _unrepaired(findings: Iterable[Finding]) -> Iterator[RepairResult]:
    return (RepairResult(finding, "", is_repaired=False) for finding in findings)
