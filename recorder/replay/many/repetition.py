"""Repeated replays of one run, compared with the run and with each other: is it deterministic, or has it changed?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...batch.report import INTERRUPTED
from ...compare.items import Item, Verification
from ...records import Part, Record
from ...store.store import RunStore
from ..replay import ReplayResult, replay
from ..request import Request

# Exit statuses that stand for several, in this order: interrupted, diverged, could not be done, nothing verified.
_WORST = (INTERRUPTED, 1, 3, 4)
_WRONG = ("different", "missing", "extra")
_MOST_NAMED = 5


class Repetition(Part, frozen=True):
    """Several replays of one run.

    Attributes:
        replays: The replays.
        between: The comparison of each replay except the first with the first.
        varying: The names of the items that differ between the replays.
        changed: The names of the items that are the same in all replays and differ from the run.
    """

    replays: tuple[ReplayResult, ...]
    between: tuple[Any, ...] = ()
    varying: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def is_deterministic(self) -> bool | None:
        """True if the replays agree with each other, None if nothing could be compared."""
        if not self.between or any(one.verdict == "nothing verified" for one in self.between):
            return None
        return not self.varying

    @property
    def exit_status(self) -> int:
        """The worst exit status of the replays; 1 where they differ from each other with a changed config."""
        status = worst_status(one.exit_status for one in self.replays)
        return status or (1 if self.varying and self.replays[0].verification is None else 0)

    @property
    def sentence(self) -> str:
        """The conclusion in a sentence."""
        run = f"run {self.replays[0].original.number}"
        count = len(self.replays)
        if count < 2:
            return f"only one replay of {run}: no other replay to compare it with"
        if self.is_deterministic is None:
            return f"{_counted(count)} left nothing to compare"
        if self.varying:
            return self._describe_varying(run)
        within = (
            " (within the tolerance)" if any(v.verdict == "close" for v in self.between) else ""
        )
        agree = f"{_counted(count)} agree with each other{within}"
        if self.replays[0].verification is None:
            return agree
        if self.changed:
            return (
                f"{agree}, but not with {run} in {listed(self.changed)}: the experiment appears deterministic, and"
                " something has changed since the recording, or was not recorded"
            )
        return f"{agree} and with {run}: the experiment appears deterministic"

    def _describe_varying(self, run: str) -> str:
        verb = "differs" if len(self.varying) == 1 else "differ"
        replays = _counted(len(self.replays))
        text = (
            f"{listed(self.varying)} {verb} between {replays}: this experiment is not deterministic"
        )
        if not self.changed:
            return text
        verb = "is" if len(self.changed) == 1 else "are"
        return (
            f"{text}; {listed(self.changed)} {verb} the same in all replays and not in {run}: something has changed"
            " since the recording, or was not recorded"
        )


def repeat(
    store: RunStore,
    record: Record,
    *,
    count: int,
    request: Request = Request(),  # noqa: B008 - frozen
    stdout: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Repetition:
    """Replay a run several times, one after the other, and compare the replays.

    An interrupted replay is the last one. The plan is shown once.

    Args:
        store: The store that has the run and receives the replays.
        record: The run.
        count: The number of replays.
        request: The options of the replays.
        stdout: The file descriptor for the experiment's standard output; None for that of this process.
        say: A function that is called with each line about the plan and its progress.

    Raises:
        ReplayError: The run cannot be replayed.
        ConfigError: The experiment does not take the settings, or does not need the secrets.
    """
    replays: list[ReplayResult] = []
    while len(replays) < count and not (replays and replays[-1].exit_status == INTERRUPTED):
        silent = say if not replays else _ignore
        replays.append(replay(store, record, request=request, stdout=stdout, say=silent))
    return hold_together(store, replays, request=request)


def hold_together(
    store: RunStore, replays: Sequence[ReplayResult], *, request: Request
) -> Repetition:
    """Compare replays of one run, made by the same request, with each other."""
    from ...compare.verify import verify  # imported by now: each replay was verified

    whole = [one for one in replays if one.exit_status != INTERRUPTED]
    between = tuple(
        verify(whole[0].record, one.record, store.objects, rtol=request.rtol, atol=request.atol)
        for one in whole[1:]
    )
    varying = dict.fromkeys(name for one in between for name in wrong_names(one))
    against = [set(wrong_names(one.verification)) for one in whole if one.verification is not None]
    always = against[0].intersection(*against[1:]) if against else set()
    changed = tuple(sorted(always - varying.keys())) if between else ()
    return Repetition(
        replays=tuple(replays), between=between, varying=tuple(varying), changed=changed
    )


def wrong_items(verification: Verification) -> list[Item]:
    """Return the deciding items that differ."""
    return [one for one in verification.items if one.decides and one.verdict in _WRONG]


# The name for a different end of the run, which no item of a verification expresses.
ENDING = "how it ended"


def wrong_names(verification: Verification) -> list[str]:
    """Return the names of the deciding items that differ, and `ENDING` where the run ended differently."""
    ended = [ENDING] if verification.verdict == "failed" else []
    return [*ended, *(item.name for item in wrong_items(verification))]


def worst_status(statuses: Iterable[int]) -> int:
    """Return the exit status that stands for several: 130 interrupted, 1 diverged, 3 could not be done, 4, or 0."""
    present = set(statuses)
    return next((one for one in _WORST if one in present), 0)


def _counted(count: int) -> str:
    return "the two replays" if count == 2 else f"the {count} replays"


def listed(names: Sequence[str]) -> str:
    """Return names as in a sentence, ``a, b and c``; of many names only the first."""
    hidden = len(names) - _MOST_NAMED
    shown = [*names[:_MOST_NAMED], *([f"{hidden} more"] if hidden > 0 else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _ignore(line: str) -> None:
    """Ignore a line of the plan, which the first replay has shown."""
