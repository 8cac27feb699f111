"""Why a replay came out otherwise, found by trying: the smallest change with which it comes out as recorded.

A result that depends on something is told from one that is not deterministic by replays with that something fixed:
they come out as recorded, or at least alike, where others do not. Each try is a replay, a run of the store, tagged
``explain``; at the end they go to the trash, but for one that shows each cause.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..compare.items import Verification
from ..errors import ReplayError
from ..grade import advise, all_hazards, kind_of, phrase, say
from ..records import Hazard, Part, Record
from ..store.store import Store
from .factors import Change, Factor, find_factors, join_changes
from .repetition import ENDING, listed, wrong_names
from .replay import INTERRUPTED, Replay, replay
from .request import Request
from .surroundings import describe_deviations

TAG = "explain"
# What varies by itself may come out alike by chance: so many replays have to agree.
_AGREE = 3
# The kinds of hazards that make an experiment give something else each time, whatever is fixed.
_NEVER_THE_SAME = (
    "clock",
    "clock read",
    "entropy",
    "network",
    "local connection",
    "child process",
    "address",
    "GPU",
)


class Try(Part, frozen=True):
    """A replay with a change: `run` is its number, `verdict` as of a replay, `wrong` what is not as recorded.

    `is_kept` says that its run was not put into the trash. One that could not be done has the reason for its verdict.
    """

    said: str
    run: int | None
    verdict: str
    wrong: tuple[str, ...] = ()
    is_kept: bool = False


class Cause(Part, frozen=True):
    """What `items` depend on, `what` in words: with the change `said` they come out as recorded, or else only alike.

    `reproduces` tells the two apart, `run` is the replay that shows it, `places` the lines of the project's code that
    have to do with it, `advice` what to change.
    """

    items: tuple[str, ...]
    what: str
    said: str
    reproduces: bool
    run: int
    places: tuple[str, ...] = ()
    advice: str = ""

    @property
    def sentence(self) -> str:
        """It in a sentence."""
        one = len(self.items) == 1
        text = f"{listed(self.items)} {'depends' if one else 'depend'} on {self.what}"
        if self.reproduces:
            return f"{text}: with {self.said} {'it comes' if one else 'they come'} out as recorded"
        return f"{text}: replays with {self.said} agree with each other, and others do not"


class Explanation(Part, frozen=True):
    """What was found: the `causes`, what is left `unexplained`, and what was tried.

    `varying` are the names of what is not the same in two replays made in the same way. `hints` says what may be
    behind what is unexplained.
    """

    run: int
    causes: tuple[Cause, ...] = ()
    varying: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    tries: tuple[Try, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """It in sentences: one for each cause, and what no change has explained."""
        varying = [name for name in self.unexplained if name in self.varying]
        alike = [name for name in self.unexplained if name not in self.varying]
        found = [cause.sentence for cause in self.causes]
        if varying:
            found.append(
                f"{listed(varying)} {'is' if len(varying) == 1 else 'are'} another in each replay, whatever was tried:"
                f" run {self.run} is not deterministic"
            )
        if alike:
            found.append(
                f"{listed(alike)} {'comes' if len(alike) == 1 else 'come'} out alike in each replay and not as"
                " recorded, whatever was tried: something has changed since, or was not recorded"
            )
        return tuple(found)


def explain(
    store: Store,
    base: Replay,
    *,
    request: Request,
    say: Callable[[str], None] = lambda line: None,
) -> Explanation:
    """Find out why the replay `base`, made by `request`, came out otherwise than its original.

    It takes some ten replays; `say` is called with a line for each. Raises KeyboardInterrupt where one is interrupted.
    What was tried goes to the trash in any case.
    """
    with tempfile.TemporaryDirectory(prefix="recorder-") as folder:
        search = _Search(store, base, request, say)
        try:
            return search.run(Path(folder))
        finally:
            search.tidy()


class _Search:
    def __init__(
        self,
        store: Store,
        base: Replay,
        request: Request,
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._base = base
        self._request = request
        self._say = say
        self._tries: list[tuple[Change, Replay | ReplayError]] = []
        self._kept: set[int] = set()
        self._causes: list[Cause] = []
        self._varying: list[str] = []
        self._open: list[str] = wrong_names(base.verification)

    def run(self, folder: Path) -> Explanation:
        again = self._try(Change(said="nothing changed"))
        if isinstance(again, Replay):
            self._varying = wrong_names(self._compare(self._base, again))
            self._open = list(dict.fromkeys([*self._open, *wrong_names(again.verification)]))
        factors = find_factors(
            self._store, self._base, self._request, folder=folder, is_varying=bool(self._varying)
        )
        for factor in factors:
            self._examine(factor)
        self._examine_together(factors)
        hints, advice = self._hints()
        return Explanation(
            run=self._base.original.number,
            causes=tuple(self._causes),
            varying=tuple(self._varying),
            unexplained=tuple(self._open),
            hints=tuple(hints),
            advice=tuple(advice),
            tries=tuple(self._describe(change, done) for change, done in self._tries),
        )

    def tidy(self) -> None:
        """Put the tries into the trash, with what they have recorded themselves, but those that show a cause."""
        unwanted = [done.record for _, done in self._tries if isinstance(done, Replay)]
        ids = {record.id for record in unwanted if record.number not in self._kept}
        if not unwanted:
            return
        later = self._store.runs(where=f"number > {min(record.number for record in unwanted)}")
        for record in later:  # what a try has recorded begins after it
            if record.parent in ids and record.status != "running":
                ids.add(record.id)
                unwanted.append(record)
        self._store.remove([record.number for record in unwanted if record.id in ids])

    # One factor, and several at once

    def _examine(self, factor: Factor) -> None:
        """Try its changes in turn: one may make what is open come out as recorded, or the first make it steady."""
        steady: Cause | None = None
        for change in factor.changes:
            if not self._open or (
                change is not factor.changes[0] and self._is_in_vain(factor, steady)
            ):
                break
            found = self._hold(factor, change, is_steady_known=steady is not None)
            if found is not None and found.reproduces:
                self._settle(found)
            elif found is not None:
                steady = found
        if steady is not None:
            self._settle(steady)

    def _is_in_vain(self, factor: Factor, steady: Cause | None) -> bool:
        """Whether another value of what was fixed cannot help: nothing is left that it fixes, or that ever is alike."""
        if steady is not None:
            return not set(steady.items) & set(self._open)
        return factor.is_steadying and set(self._open) <= set(self._varying)

    def _examine_together(self, factors: Sequence[Factor]) -> None:
        """What no change alone explains, several may; those that are not needed are left out again."""
        parts = list(factors)
        if not self._open or len(parts) < 2:
            return
        best = self._hold_all(parts)
        for factor in list(parts):
            if best is None or len(parts) < 2:
                break
            fewer = [one for one in parts if one is not factor]
            found = self._hold_all(fewer)
            if found is not None and set(found.items) >= set(best.items):
                parts, best = fewer, found
        if best is not None:
            self._settle(best)

    def _hold_all(self, factors: Sequence[Factor]) -> Cause | None:
        joined = Factor(
            what=" together with ".join(one.what for one in factors),
            changes=(join_changes([one.changes[0] for one in factors]),),
            advice="; ".join(dict.fromkeys(one.advice for one in factors)),
            kinds=tuple(kind for one in factors for kind in one.kinds),
            is_steadying=any(one.is_steadying for one in factors),
        )
        return self._hold(joined, joined.changes[0])

    def _hold(
        self, factor: Factor, change: Change, *, is_steady_known: bool = False
    ) -> Cause | None:
        """What of the open items comes out as recorded with the change, or else alike; None where nothing does."""
        first = self._try(change)
        if not isinstance(first, Replay):
            return None
        right = self._right(first)
        steady = set() if is_steady_known or not factor.is_steadying else set(self._varying)
        steady &= set(self._open)
        if not right and not steady:
            return None
        for _ in range(self._repetitions(right | steady)):
            other = self._try(change)
            if not isinstance(other, Replay):
                return None
            right &= self._right(other)
            steady -= self._differing(first, other)
            if not right and not steady:
                return None
        items = right or steady
        return Cause(
            items=tuple(name for name in self._open if name in items),
            what=factor.what,
            said=change.said,
            reproduces=bool(right),
            run=first.record.number,
            places=self._places(factor.kinds),
            advice=factor.advice,
        )

    def _repetitions(self, names: set[str]) -> int:
        """What always comes out alike needs one more look; what does not may agree by chance."""
        return _AGREE - 1 if names & set(self._varying) else 1

    def _right(self, done: Replay) -> set[str]:
        """What of the open is as recorded; with another end than recorded, nothing is known to be."""
        wrong = set(wrong_names(done.verification))
        if ENDING in wrong or (ENDING in self._open and wrong):
            return set()
        return set(self._open) - wrong

    def _differing(self, one: Replay, other: Replay) -> set[str]:
        wrong = set(wrong_names(self._compare(one, other)))
        return set(self._open) if ENDING in wrong else wrong

    def _settle(self, cause: Cause) -> None:
        items = tuple(name for name in cause.items if name in self._open)
        if items:
            self._causes.append(msgspec.structs.replace(cause, items=items))
            self._open = [name for name in self._open if name not in items]
            self._kept.add(cause.run)

    # One try

    def _try(self, change: Change) -> Replay | ReplayError:
        self._say(f"explaining: a replay with {change.said}")
        done: Replay | ReplayError
        asked, record = change.apply(self._request), self._base.original
        try:
            # (What it prints is in its record.)
            with _processors(change.processors), Path(os.devnull).open("wb") as nowhere:
                done = replay(self._store, record, request=asked, stdout=nowhere.fileno())
        except ReplayError as error:
            done = error
        self._tries.append((change, done))
        if isinstance(done, Replay):
            note = f"explains run {record.number}: with {change.said}"
            self._store.annotate(done.record.number, tags=(TAG,), note=note)
            if done.exit_status == INTERRUPTED:
                raise KeyboardInterrupt
        return done

    def _compare(self, one: Replay, other: Replay) -> Verification:
        from ..compare.verify import verify

        return verify(
            one.record,
            other.record,
            self._store.objects,
            rtol=self._request.rtol,
            atol=self._request.atol,
        )

    def _describe(self, change: Change, done: Replay | ReplayError) -> Try:
        if not isinstance(done, Replay):
            return Try(said=change.said, run=None, verdict=f"could not be done: {done}")
        return Try(
            said=change.said,
            run=done.record.number,
            verdict=done.verification.verdict,
            wrong=tuple(wrong_names(done.verification)),
            is_kept=done.record.number in self._kept,
        )

    # What the records say of it

    def _places(self, kinds: Sequence[str]) -> tuple[str, ...]:
        found = [phrase(one) for one in self._hazards() if one.kind in kinds and one.place]
        return tuple(dict.fromkeys(found))

    def _hazards(self) -> list[Hazard]:
        runs: tuple[Record, ...] = (self._base.original, self._base.record)
        return list(dict.fromkeys(one for run in runs for one in all_hazards(run)))

    def _hints(self) -> tuple[list[str], list[str]]:
        """What may be behind what is unexplained, and what to do about that."""
        if not self._open:
            return [], []
        hazards = [one for one in self._hazards() if one.kind in _NEVER_THE_SAME]
        if any(kind_of(one).weight == "care" for one in hazards):
            hazards = [one for one in hazards if kind_of(one).weight == "care"]
        hints = say(hazards, weights=("note", "care"))
        if set(self._open) - set(self._varying):
            hints += describe_deviations(self._base.plan.deviations)
        return hints, advise(hazards, weights=("note", "care"))


@contextmanager
def _processors(count: int | None) -> Iterator[None]:
    """This thread, and what it starts, uses no more processors than that, where the system can say so."""
    if count is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
