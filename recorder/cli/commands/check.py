"""``recorder check``: verify the integrity of the store, and repair it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from ...errors import StoreFormatError, StoreNotFoundError
from ...render.runs.findings import describe_finding, describe_outcome, finding_document, summary
from ...store.format import find_store, store_folder
from ...store.maintenance.check import Finding, RepairResult, check, check_format, repair
from ...store.store import RunStore

# Damage hides damage: broken settings hide damaged git objects, and those hide missing ones. So a repair looks again.
_ROUNDS = 4


@click.command()
@click.option("--repair", "is_repair", is_flag=True, help="Repair what can be repaired.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON array.")
@click.pass_context
def command(ctx: click.Context, is_repair: bool, as_json: bool) -> None:
    """Verify every byte of the store, and repair it.

    \b
    Examples:
      recorder check
      recorder check --repair

    Lists what is damaged, missing or left over, and which runs are affected. Nothing changes without --repair.

    --repair finishes the records of killed runs, too. It never deletes the last copy of anything: data that it
    cannot place goes to lost+found in the store.

    Exit status: 0 if nothing is damaged, or everything was repaired; else 1.
    """
    path = store_folder(Path(ctx.obj)) if ctx.obj else find_store()
    outcomes = list(_outcomes(path, is_repair))
    if as_json:
        documents = [finding_document(outcome, repaired=is_repair) for outcome in outcomes]
        click.echo(msgspec.json.format(msgspec.json.encode(documents)))
    else:
        for outcome in outcomes:
            click.echo(
                describe_outcome(outcome) if is_repair else describe_finding(outcome.finding)
            )
        click.echo(summary(outcomes, path=path, is_repair=is_repair))
    is_left = any(o.finding.is_damage and not o.is_repaired for o in outcomes)
    ctx.exit(1 if is_left else 0)


def _outcomes(path: Path, is_repair: bool) -> Iterator[RepairResult]:
    """Yield the findings; after a repair, check again until nothing new is found."""
    first = list(check_format(path))
    yield from _carry_out(first, is_repair)
    try:
        store = RunStore(path)
    except (StoreNotFoundError, StoreFormatError):
        if is_repair or not first:
            raise
        return
    seen = {(finding.kind, finding.place) for finding in first}
    for _ in range(_ROUNDS if is_repair else 1):
        findings = [one for one in check(store) if (one.kind, one.place) not in seen]
        seen |= {(one.kind, one.place) for one in findings}
        yield from _carry_out(findings, is_repair)
        if not findings:
            return


def _carry_out(findings: Iterable[Finding], is_repair: bool) -> Iterator[RepairResult]:
    if is_repair:
        yield from repair(findings)
    else:
        yield from (RepairResult(finding, "", is_repaired=False) for finding in findings)
