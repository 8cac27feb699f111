"""Check a store, and repair it without ever deleting the last copy of anything.

A check reads every byte: it verifies each line of the journal against its checksum, each object against its digest,
each git object of the snapshots against its name, and that everything that the runs refer to exists. A repair deletes
nothing: it moves what it cannot repair to ``lost+found``.

A finding is a fact about bytes at a place at the time of the check, not about a run. So each repair takes the lock that
it needs, reads the place again, and acts only if it is unchanged; after each repair of the journal, the journal is
checked again, since one repair can invalidate another finding: the run of a damaged last line looks like a killed run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ....errors import RecorderError
from ...store import RunStore
from .code import CodeCheck
from .finding import Finding, RepairResult, StaleFindingError, Unplaced
from .folder import check_folder, check_format
from .journal import check_documents, check_lines, check_live
from .objects import Wanted, check_objects, check_references, check_unmentioned

__all__ = [
    "Finding",
    "RepairResult",
    "StaleFindingError",
    "check",
    "check_format",
    "repair",
    "repair_store",
]

# A damaged git setting hides damaged git objects, which hide missing ones.
_ROUNDS = 4


def check(store: RunStore) -> Iterator[Finding]:
    """Yield everything that is wrong with the store, without changing it.

    Other processes may record meanwhile. A check takes as long as reading the store. Live folders of runs in progress
    and caches (``workspaces``, ``envs``) are not checked: they have no digests yet, or can be made again.
    """
    unplaced = Unplaced(store.path / "lost+found")
    store.snapshots.repository.restores_settings = False
    try:
        yield from check_format(store.path)
        yield from check_folder(store, unplaced)
        yield from check_lines(store, unplaced)
        records, findings = check_documents(store, unplaced)
        yield from findings
        yield from check_live(store, records, unplaced)
        wanted = Wanted(store, records, unplaced)
        yield from check_objects(store, wanted, unplaced)
        yield from check_references(store, wanted)
        yield from check_unmentioned(store)
        yield from CodeCheck(store, records, unplaced).run()
    finally:
        store.snapshots.repository.restores_settings = True


def repair(findings: Iterable[Finding], *, discard: bool = False) -> Iterator[RepairResult]:
    """Repair the findings one by one; yield a result for each, also for those that could not be repaired.

    A finding that no longer matches its place is not acted on. `discard` also moves damaged bytes that cannot be
    repaired to ``lost+found``.
    """
    for finding in findings:
        act = finding.mend or (finding.discard if discard else None)
        if act is None:
            yield RepairResult(finding, "", is_repaired=not finding.is_damage)
            continue
        try:
            done = act()
        except (RecorderError, OSError) as error:
            yield RepairResult(finding, f"could not be repaired: {error}", is_repaired=False)
        else:
            yield RepairResult(finding, done, is_repaired=bool(done))


def repair_store(store: RunStore, *, discard: bool = False) -> Iterator[RepairResult]:
    """Check and repair the store, most fundamental parts first; yield a result for each finding.

    The journal is checked again after each of its repairs; the objects and the snapshots after each round.
    """
    unplaced = Unplaced(store.path / "lost+found")

    def records_findings() -> Iterable[Finding]:
        return check_documents(store, unplaced)[1]

    def live() -> Iterable[Finding]:
        return check_live(store, check_documents(store, unplaced)[0], unplaced)

    def objects() -> Iterable[Finding]:
        wanted = Wanted(store, check_documents(store, unplaced)[0], unplaced)
        return (
            *check_objects(store, wanted, unplaced),
            *check_references(store, wanted),
            *check_unmentioned(store),
        )

    def code() -> Iterable[Finding]:
        return CodeCheck(store, check_documents(store, unplaced)[0], unplaced).run()

    yield from repair(check_folder(store, unplaced), discard=discard)
    for look in (lambda: check_lines(store, unplaced), records_findings, live):
        yield from _one_by_one(look, discard)
    for look in (objects, code):
        yield from _in_rounds(look, discard)


def _one_by_one(look: Callable[[], Iterable[Finding]], discard: bool) -> Iterator[RepairResult]:
    seen: set[tuple[str, str]] = set()
    while findings := [one for one in look() if (one.kind, one.place) not in seen]:
        # The last one first: removing it does not move the others.
        seen.add((findings[-1].kind, findings[-1].place))
        yield from repair(findings[-1:], discard=discard)


def _in_rounds(look: Callable[[], Iterable[Finding]], discard: bool) -> Iterator[RepairResult]:
    seen: set[tuple[str, str]] = set()
    for _ in range(_ROUNDS):
        findings = [one for one in look() if (one.kind, one.place) not in seen]
        seen |= {(one.kind, one.place) for one in findings}
        yield from repair(findings, discard=discard)
        if not any(one.mend for one in findings):
            return
