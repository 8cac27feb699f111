"""Checking a store, and repairing it without ever deleting the last copy of anything.

A check reads every byte: each line of the journal against its checksum, each object against its digest, each git
object of the snapshots against its name; and it looks whether all that the runs refer to is there. A repair takes
nothing away: what it cannot put right it moves to ``lost+found``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ....errors import RecorderError
from ...store import RunStore
from .code import CodeCheck
from .finding import Finding, RepairResult, Unplaced
from .folder import check_folder, check_format
from .journal import check_documents, check_lines, check_live
from .objects import Wanted, check_objects, check_references

__all__ = ["Finding", "RepairResult", "check", "check_format", "repair"]


def check(store: RunStore) -> Iterator[Finding]:
    """Everything in the store that is not as it should be, as it is found; nothing is changed.

    It may run while others record, and takes as long as reading the store. Live folders of runs in progress and
    caches (``workspaces``, ``envs``) are not looked into: they have no digests yet, or can be made again.
    """
    unplaced = Unplaced(store.path / "lost+found")
    yield from check_format(store.path)
    yield from check_folder(store, unplaced)
    yield from check_lines(store, unplaced)
    records, findings = check_documents(store, unplaced)
    yield from findings
    yield from check_live(store, records, unplaced)
    wanted = Wanted(store, records, unplaced)
    yield from check_objects(store, wanted, unplaced)
    yield from check_references(store, wanted)
    yield from CodeCheck(store, records, unplaced).run()


def repair(findings: Iterable[Finding]) -> Iterator[RepairResult]:
    """Repair what was found, one after the other; what could not be is in the outcome, and the rest goes on."""
    for finding in findings:
        if finding.mend is None:
            yield RepairResult(finding, "", is_repaired=not finding.is_damage)
            continue
        try:
            done = finding.mend()
        except (RecorderError, OSError) as error:
            yield RepairResult(finding, f"could not be repaired: {error}", is_repaired=False)
        else:
            yield RepairResult(finding, done, is_repaired=bool(done))
