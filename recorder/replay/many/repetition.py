"""Several replays of one run, held against it and against each other: what is not deterministic, what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...compare.items import Item, Verification
from ...records import Part, Record
from ...store.store import RunStore
from ..replay import INTERRUPTED, ReplayResult, replay
from ..request import Request

# What of several exit statuses stands for them all: interrupted, diverged, could not be done, nothing verified.
_WORST = (INTERRUPTED, 1, 3, 4)
_WRONG = ("different", "missing", "extra")
_SAID = 5


class Repetition(Part, frozen=True):
    """What came of replaying a run several times.

    `between` are the verifications of each replay but the first, held against the first. `varying` names what is not
    the same in all replays, `changed` what is the same in all of them, and another in the run.
    """

    replays: tuple[ReplayResult, ...]
    between: tuple[Any, ...] = ()
    varying: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def is_deterministic(self) -> bool | None:
        """Whether the replays agree with each other; None where there is nothing to tell it by."""
        if not self.between or any(_is_empty(one) for one in self.between):
            return None
        return not self.varying

    @property
    def exit_status(self) -> int:
        """That of one replay: the worst there is; 1 where a changed config leaves only each other, and they differ."""
        status = worst_status(one.exit_status for one in self.replays)
        return status or (1 if self.varying and self.replays[0].verification is None else 0)

    @property
    def sentence(self) -> str:
        """What it comes to, in a sentence."""
        run = f"run {self.replays[0].original.number}"
        count = len(self.replays)
        if count < 2:
            return f"only one replay of {run}: nothing to hold it against but the run"
        if self.is_deterministic is None:
            return f"{_counted(count)} left nothing that could be held against each other"
        if self.varying:
            return self._said_of_varying(run)
        agree = f"{_counted(count)} agree with each other" + self._within()
        if self.replays[0].verification is None:
            return agree
        if self.changed:
            return (
                f"{agree}, and not with {run} in {listed(self.changed)}: it is deterministic as far as they show, and"
                " something has changed since, or was not recorded"
            )
        return f"{agree} and with {run}: it is deterministic as far as they show"

    def _said_of_varying(self, run: str) -> str:
        text = (
            f"{listed(self.varying)} {'is' if len(self.varying) == 1 else 'are'} not the same in"
            f" {_counted(len(self.replays))}: this experiment is not deterministic"
        )
        if not self.changed:
            return text
        verb = "is" if len(self.changed) == 1 else "are"
        return (
            f"{text}; {listed(self.changed)} {verb} the same in all of them and not in {run}: something has changed"
            " since, or was not recorded"
        )

    def _within(self) -> str:
        return " (within the tolerance)" if any(v.verdict == "close" for v in self.between) else ""


def repeat(
    store: RunStore,
    record: Record,
    *,
    times: int,
    request: Request = Request(),  # noqa: B008 - frozen
    stdout: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Repetition:
    """Replay `record` so many times, one after the other; of a replay that is interrupted it is the last.

    The arguments and errors are as of `replay`; what the plan says is said once.
    """
    replays: list[ReplayResult] = []
    while len(replays) < times and not (replays and replays[-1].exit_status == INTERRUPTED):
        silent = say if not replays else _say_nothing
        replays.append(replay(store, record, request=request, stdout=stdout, say=silent))
    return hold_together(store, replays, request=request)


def hold_together(
    store: RunStore, replays: Sequence[ReplayResult], *, request: Request
) -> Repetition:
    """Hold replays of one run, made by the same request, against each other."""
    from ...compare.verify import verify  # a single replay has been verified by then

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
    """The items that decide, and are not the same."""
    return [one for one in verification.items if one.decides and one.verdict in _WRONG]


# How a run ended, where that is what differs: no item of a verification says it.
ENDING = "how it ended"


def wrong_names(verification: Verification) -> list[str]:
    """The names of the items that are not the same, and whether it came to another end."""
    ended = [ENDING] if verification.verdict == "failed" else []
    return [*ended, *(item.name for item in wrong_items(verification))]


def worst_status(statuses: Iterable[int]) -> int:
    """The exit status that stands for several: 130 interrupted, 1 diverged, 3 could not be done, 4 nothing verified."""
    found = set(statuses)
    return next((one for one in _WORST if one in found), 0)


def _is_empty(verification: Verification) -> bool:
    return verification.verdict == "nothing verified"


def _counted(count: int) -> str:
    return "the two replays" if count == 2 else f"the {count} replays"


def listed(names: Sequence[str]) -> str:
    """The names as a sentence has them, of very many the first."""
    shown = [*names[:_SAID], *([f"{len(names) - _SAID} more"] if len(names) > _SAID else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _say_nothing(line: str) -> None:
    """For what has been said once."""
