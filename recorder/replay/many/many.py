"""Replaying many runs: which ones, several at a time, and what came of each and of them all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ...batch.pool import Pool
from ...batch.report import Ended
from ...errors import ConfigError, ReplayError
from ...records import Part, Record
from ...store.store import RunStore
from ..replay import INTERRUPTED, likely_causes, status_of
from ..request import Request
from ..secrets import find_needed
from .progress import Batch, Done
from .repetition import worst_status
from .worker import SingleReplayJob

_WORKER = f"{__package__}.batch_worker"
_ENDED_BADLY = ("failed", "interrupted", "lost")


class Selection(NamedTuple):
    """The runs to replay, and how many of those asked for are left out, by the reason."""

    records: tuple[Record, ...]
    left_out: Mapping[str, int]


def select_runs(
    store: RunStore,
    *,
    where: str | None = None,
    tags: Iterable[str] = (),
    with_failed: bool = False,
    with_replays: bool = False,
) -> Selection:
    """The finished runs that `where` and all of `tags` name, without replays and what those have recorded themselves.

    `with_failed`: those too that failed, were interrupted or lost; `with_replays`: replays as well. A run in progress
    never is replayed. Raises QueryError.
    """
    wanted = set(tags)
    records, left_out = [], dict[str, int]()
    of_replays = _find_replays(store)
    for record in store.runs(where=where):
        if not wanted <= set(record.tags):
            continue
        if record.id in of_replays and not with_replays:
            continue
        if record.status == "finished" or (with_failed and record.status in _ENDED_BADLY):
            records.append(record)
        else:
            left_out[record.status] = left_out.get(record.status, 0) + 1
    return Selection(tuple(records), left_out)


def _find_replays(store: RunStore) -> set[str]:
    """The ids of all replays, and of the runs that were part of one."""
    found: set[str] = set()
    for record in store.runs():  # a part begins after what it is a part of
        if record.replay_of is not None or record.parent in found:
            found.add(record.id)
    return found


class ReplayOutcome(Part, frozen=True):
    """What came of the replay of `original`: its record and verification, or in `error` why there is none.

    `taken_over` says that an interrupted batch had done it.
    """

    original: Record
    record: Record | None = None
    verification: Any = None
    error: str = ""
    taken_over: bool = False

    @property
    def exit_status(self) -> int:
        """As of a single replay."""
        if self.record is None:
            return ReplayError.exit_status
        return status_of(self.record, self.verification)

    @property
    def verdict(self) -> str:
        """In a word or three: the verdict, "could not be done", or, of a changed config, how it ended."""
        if self.record is None:
            return "could not be done"
        if self.record.status == "interrupted":
            return "interrupted"
        return self.record.status if self.verification is None else self.verification.verdict

    @property
    def causes(self) -> tuple[str, ...]:
        """As of a single replay."""
        if self.record is None:
            return ()
        return likely_causes(self.original, self.record, self.verification)


class Many(Part, frozen=True):
    """What came of them all, in the order of the runs; `not_begun` counts those that an interruption left."""

    outcomes: tuple[ReplayOutcome, ...]
    not_begun: int = 0
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """0 only where each is reproduced or close: else 130, 1, 3 or 4, in that order; 4 where there was none."""
        if self.interrupted:
            return INTERRUPTED
        if not self.outcomes:
            return 4
        return worst_status(one.exit_status for one in self.outcomes)

    @property
    def counts(self) -> dict[str, int]:
        """How many have which verdict."""
        found: dict[str, int] = {}
        for one in self.outcomes:
            found[one.verdict] = found.get(one.verdict, 0) + 1
        return found


def replay_many(
    store: RunStore,
    records: Sequence[Record],
    batch: Batch,
    *,
    request: Request,
    processes: int,
    tick: Callable[[Pool], None],
    end: Callable[[Ended], None],
) -> Many:
    """Replay the runs that `batch` has not done yet, `processes` at a time; Ctrl-C stops them, and each is told.

    `tick` is called some times a second, `end` for each that has ended. Raises ConfigError for a secret that none of
    them needs.
    """
    _check_secrets(store, records, request)
    left = waiting_runs(records, batch)
    pool = Pool(processes, module=_WORKER)
    reports: dict[str, ReplayOutcome] = {}
    jobs = [functools.partial(_make_job, store, batch, request, record) for record in left]
    for ended in pool.run(list(enumerate(jobs)), tick=tick):
        end(ended)
        record = left[ended.place]
        reports[record.id] = _outcome(store, record, ended, batch.read(record))
    over = {
        record.id: _whole(store, record, batch.taken_over[record.id], taken_over=True)
        for record in records
        if record.id in batch.taken_over
    }
    known = {**over, **reports}
    if not pool.interrupted:
        batch.close()
    return Many(
        outcomes=tuple(known[record.id] for record in records if record.id in known),
        not_begun=pool.waiting,
        interrupted=pool.interrupted,
    )


def waiting_runs(records: Sequence[Record], batch: Batch) -> list[Record]:
    """Those that an interrupted batch had not done."""
    return [record for record in records if record.id not in batch.taken_over]


def _check_secrets(store: RunStore, records: Sequence[Record], request: Request) -> None:
    needed = {key for record in records for key in find_needed(store, record)}
    for key in request.secrets:
        if key not in needed:
            raise ConfigError(f"none of these runs needs a value for {key}", key=key)


def _make_job(
    store: RunStore, batch: Batch, request: Request, record: Record, report: str
) -> SingleReplayJob:
    needed = find_needed(store, record)
    secrets = {key: value for key, value in request.secrets.items() if key in needed}
    return SingleReplayJob(
        store=str(store.path),
        number=record.number,
        request=msgspec.structs.replace(request, secrets=secrets),
        batch=str(batch.path),
        report=report,
    )


def _outcome(store: RunStore, record: Record, ended: Ended, done: Done | None) -> ReplayOutcome:
    if done is not None:
        return _whole(store, record, done)
    report = ended.report
    new = None if report.number is None else store.get(report.number)
    return ReplayOutcome(original=record, record=new, error=report.error)


def _whole(
    store: RunStore, record: Record, done: Done, *, taken_over: bool = False
) -> ReplayOutcome:
    return ReplayOutcome(
        original=record,
        record=store.get(done.number),
        verification=done.verification,
        taken_over=taken_over,
    )
