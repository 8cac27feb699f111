"""Replay many runs, several at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ...batch.pool import Pool
from ...batch.report import INTERRUPTED, Ended
from ...errors import ConfigError, ReplayError
from ...records import Part, Record
from ...store.store import RunStore
from ..replay import likely_causes, status_of
from ..request import Request
from ..secrets import find_needed
from .progress import Batch, Done
from .repetition import worst_status
from .worker import SingleReplayJob

_WORKER = "from recorder.replay.many.worker import main"
_ENDED_BADLY = ("failed", "interrupted", "lost")


class Selection(NamedTuple):
    """The runs to replay, and the number of runs that are left out by status."""

    records: tuple[Record, ...]
    left_out: Mapping[str, int]


def select_runs(
    store: RunStore,
    records: Sequence[Record] | None = None,
    *,
    with_failed: bool = False,
    with_replays: bool = False,
) -> Selection:
    """Return the finished runs, except replays and the runs that replays recorded.

    A run in progress is never included.

    Args:
        store: The store.
        records: The runs to choose from, by default every run of the store.
        with_failed: Whether to include runs that failed, were interrupted, or are lost.
        with_replays: Whether to include replays.
    """
    chosen, left_out = [], dict[str, int]()
    of_replays = _find_replays(store)
    for record in store.runs() if records is None else records:
        if record.id in of_replays and not with_replays:
            continue
        if record.status == "finished" or (with_failed and record.status in _ENDED_BADLY):
            chosen.append(record)
        else:
            left_out[record.status] = left_out.get(record.status, 0) + 1
    return Selection(tuple(chosen), left_out)


def _find_replays(store: RunStore) -> set[str]:
    """Return the ids of all replays and of the runs that they recorded."""
    found: set[str] = set()
    for record in store.runs():  # a nested run begins after its parent
        if record.replay_of is not None or record.parent in found:
            found.add(record.id)
    return found


class ReplayOutcome(Part, frozen=True):
    """The outcome of one replay among many.

    Attributes:
        original: The record of the run.
        record: The record of the replay; None where the replay could not be done.
        verification: The comparison; None for a changed config.
        error: The reason why there is no record.
        taken_over: Whether an interrupted command had made the replay.
    """

    original: Record
    record: Record | None = None
    verification: Any = None
    error: str = ""
    taken_over: bool = False

    @property
    def exit_status(self) -> int:
        """The exit status of a single replay."""
        if self.record is None:
            return ReplayError.exit_status
        return status_of(self.record, self.verification)

    @property
    def verdict(self) -> str:
        """The verdict; "could not be done"; or, for a changed config, the status of the run."""
        if self.record is None:
            return "could not be done"
        if self.record.status == "interrupted":
            return "interrupted"
        return self.record.status if self.verification is None else self.verification.verdict

    @property
    def causes(self) -> tuple[str, ...]:
        """The likely causes of a divergence."""
        if self.record is None:
            return ()
        return likely_causes(self.original, self.record, self.verification)


class Many(Part, frozen=True):
    """The outcomes of many replays, in the order of the runs.

    Attributes:
        outcomes: The outcomes.
        not_begun: The number of replays that an interruption prevented.
        interrupted: Whether the batch was interrupted.
    """

    outcomes: tuple[ReplayOutcome, ...]
    not_begun: int = 0
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """0 where every replay is reproduced or close; or else the first of 130, 1, 3, 4 that applies; 4 for none."""
        if self.interrupted:
            return INTERRUPTED
        if not self.outcomes:
            return 4
        return worst_status(one.exit_status for one in self.outcomes)

    @property
    def counts(self) -> dict[str, int]:
        """The number of replays by verdict."""
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
    """Replay the runs that the batch has not replayed yet. Ctrl-C stops all replays.

    Args:
        store: The store of the runs.
        records: The runs.
        batch: The batch, see `recorder.replay.many.progress.open_batch`.
        request: The options of the replays.
        processes: The number of replays at a time.
        tick: A function that is called several times a second.
        end: A function that is called for each replay that has ended.

    Raises:
        ConfigError: None of the runs needs a secret of the request.
    """
    needed = {key for record in records for key in find_needed(store, record)}
    for key in request.secrets:
        if key not in needed:
            raise ConfigError(f"none of these runs needs a value for {key}", key=key)
    left = waiting_runs(records, batch)
    pool = Pool(processes, statement=_WORKER)
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
    """Return the runs that an interrupted command had not replayed."""
    return [record for record in records if record.id not in batch.taken_over]


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
