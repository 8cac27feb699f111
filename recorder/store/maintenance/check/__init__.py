"""Check a store, and repair it without ever deleting the last copy of anything.

A check reads every byte: it verifies each line of the journal against its checksum, each object against its digest,
each git object of the snapshots against its name, and that everything that the runs refer to exists. A repair deletes
nothing: it moves what it cannot repair to ``lost+found``.
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
    """Yield everything that is wrong with the store, without changing it.

    Other processes may record meanwhile. A check takes as long as reading the store. Live folders of runs in progress
    and caches (``workspaces``, ``envs``) are not checked: they have no digests yet, or can be made again.
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
    """Repair the findings one by one; yield a result for each, also for those that could not be repaired."""
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
