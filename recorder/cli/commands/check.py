"""``recorder check``: whether everything in the store is as it should be, and repairing what is not."""

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

# A damaged setting hides damaged git objects, these hide missing ones.
_ROUNDS = 4


@click.command()
@click.option("--repair", "is_repair", is_flag=True, help="Put right what can be put right.")
@click.option("--json", "as_json", is_flag=True, help="The findings as a JSON array.")
@click.pass_context
def command(ctx: click.Context, is_repair: bool, as_json: bool) -> None:
    """Read every byte of the store, and say what is damaged, missing or left behind, and which runs it affects.

    Nothing is changed without --repair, which deletes the last copy of nothing: what it cannot place goes to
    lost+found in the store. It finishes the records of runs that were killed, too.

    Exit status: 0 nothing is damaged (any more), 1 something is.

    Example: recorder check --repair
    """
    path = store_folder(Path(ctx.obj)) if ctx.obj else find_store()
    outcomes = list(_outcomes(path, is_repair))
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


def _outcomes(path: Path, is_repair: bool) -> Iterator[RepairResult]:
    """What is found. After a repair it is looked for again: what was damaged may have hidden something else."""
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
        found = [one for one in check(store) if (one.kind, one.place) not in seen]
        seen |= {(one.kind, one.place) for one in found}
        yield from _carry_out(found, is_repair)
        if not found:
            return


def _carry_out(findings: Iterable[Finding], is_repair: bool) -> Iterator[RepairResult]:
    if is_repair:
        yield from repair(findings)
    else:
        yield from (RepairResult(finding, "", is_repaired=False) for finding in findings)
