"""Explain a divergence by experiment: find the smallest change with which a replay matches the record.

Replays with a factor fixed tell a result that depends on the factor from one that is not deterministic: they match the
record, or at least each other, while other replays do not. Each try is a replay and a run of the store with the tag
``explain``. At the end the tries go to the trash, except one that shows each cause.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ...hazards import advise, all_hazards, kind_of, phrase, say
from ...records import Hazard, Record
from ...store.store import RunStore
from ..deviations import describe_deviations
from ..many.repetition import ENDING, wrong_names
from ..replay import ReplayResult
from ..request import Request
from .explanation import Cause, Explanation
from .factor import Adjustment, Evidence, Factor, join_changes
from .factors import find_factors
from .trials import Trials

# Varying items may agree by chance, so several replays must agree.
_AGREE = 3
# The kinds of hazards that make results vary whatever is fixed.
_ALWAYS_VARYING = (
    "clock", "clock read", "entropy", "network", "local connection", "child process", "address", "GPU",
)  # fmt: skip


def explain(
    store: RunStore,
    base: ReplayResult,
    *,
    request: Request,
    say: Callable[[str], None] = lambda line: None,
) -> Explanation:
    """Find the causes of a divergence with about ten replays, which go to the trash.

    Args:
        store: The store of the run.
        base: The diverged replay.
        request: The request of that replay.
        say: A function that is called with a line for each replay.

    Raises:
        KeyboardInterrupt: A replay was interrupted.
    """
    with tempfile.TemporaryDirectory(prefix="recorder-") as folder:
        trials = Trials(store, base, request, say)
        try:
            return _CauseSearch(Evidence(store, base, request), trials).run(Path(folder))
        finally:
            trials.tidy()


class _CauseSearch:
    def __init__(self, evidence: Evidence, trials: Trials) -> None:
        self._evidence = evidence
        self._base = evidence.base
        self._trials = trials
        self._causes: list[Cause] = []
        self._varying: list[str] = []
        self._unsure: set[str] = set()
        self._open: list[str] = wrong_names(evidence.base.verification)

    def run(self, folder: Path) -> Explanation:
        again = self._trials.make(Adjustment(said="nothing changed"))
        if again is not None:
            self._varying = wrong_names(self._trials.compare(self._base, again))
            self._open = list(dict.fromkeys([*self._open, *wrong_names(again.verification)]))
            self._find_unsure(again)
        is_varying = bool(self._varying)
        factors = find_factors(self._evidence, folder=folder, is_varying=is_varying)
        for factor in factors:
            self._examine(factor)
        self._examine_together(factors)
        hints, advice = self._hints()
        return Explanation(
            run=self._evidence.number,
            causes=tuple(self._causes),
            varying=tuple(self._varying),
            unexplained=tuple(self._open),
            hints=tuple(hints),
            advice=tuple(advice),
            tries=self._trials.describe(),
        )

    def _find_unsure(self, again: ReplayResult) -> None:
        """Find the open items that a change cannot be credited with, and the recorded names that vary.

        An item that one of two identical replays has right may be right by chance in any try. One that only one of
        them wrote, such as a file named by the time, would be "right" in every try that does not write it.
        """
        first, second = (set(wrong_names(one.verification)) for one in (self._base, again))
        self._unsure = (first ^ second) & set(self._varying)
        verifications = (self._base.verification, again.verification)
        written = [{i.name for i in one.items if i.verdict == "extra"} for one in verifications]
        fleeting = {_pattern(name) for name in written[0] ^ written[1]}
        missing = {i.name for one in verifications for i in one.items if i.verdict == "missing"}
        renamed = {name for name in missing if _pattern(name) in fleeting}
        self._varying += [name for name in self._open if name in renamed - set(self._varying)]

    def _examine(self, factor: Factor) -> None:
        """Try the changes of a factor in turn; each may restore open items, and the first may make them agree."""
        steady: list[Cause] = []
        for change in factor.changes:
            if self._is_in_vain(factor, steady, is_first=change is factor.changes[0]):
                break
            for cause in self._hold(factor, change, is_steady_known=bool(steady)):
                if cause.reproduces:
                    self._settle(cause)
                else:
                    steady.append(cause)
        for cause in steady:
            self._settle(cause)

    def _is_in_vain(self, factor: Factor, steady: Sequence[Cause], *, is_first: bool) -> bool:
        """Return whether another change of the factor cannot help: all open items vary and it does not steady them."""
        if set(self._open) - set(self._varying):
            return False
        fixed = {name for cause in steady for name in cause.items}
        helps = factor.is_steadying if is_first else bool(fixed & set(self._open))
        return not self._open or not helps

    def _examine_together(self, factors: Sequence[Factor]) -> None:
        """Try all factors at once, and then drop the factors that are not necessary."""
        parts = [one for one in factors if not self._is_in_vain(one, (), is_first=True)]
        if len(parts) < 2:
            return
        best = self._hold_all(parts)
        for factor in list(parts):
            if not best or len(parts) < 2:
                break
            fewer = [one for one in parts if one is not factor]
            found = self._hold_all(fewer)
            if _names(found) >= _names(best):
                parts, best = fewer, found
        for cause in best:
            self._settle(cause)

    def _hold_all(self, factors: Sequence[Factor]) -> tuple[Cause, ...]:
        joined = Factor(
            what=" together with ".join(one.what for one in factors),
            changes=(join_changes([one.changes[0] for one in factors]),),
            advice="; ".join(dict.fromkeys(one.advice for one in factors)),
            kinds=tuple(kind for one in factors for kind in one.kinds),
            is_steadying=any(one.is_steadying for one in factors),
        )
        return self._hold(joined, joined.changes[0])

    def _hold(
        self, factor: Factor, change: Adjustment, *, is_steady_known: bool = False
    ) -> tuple[Cause, ...]:
        """Try a change; return the open items that match the record with it, and those that only agree."""
        first = self._trials.make(change)
        if first is None:
            return ()
        right, steady = self._right(first), set[str]()
        if factor.is_steadying and not is_steady_known:
            present = {i.name for i in first.verification.items if i.verdict != "missing"}
            steady = present & set(self._varying) & set(self._open)
        repetitions = _AGREE - 1 if (right | steady) & set(self._varying) else 1
        for _ in range(repetitions):
            other = self._trials.make(change) if right or steady else None
            if other is None:
                return ()
            right &= self._right(other)
            steady -= self._differing(first, other)
        run = first.record.number
        sides = ((right, True), (steady - right, False))
        return tuple(
            self._cause(factor, change, names, run=run, reproduces=reproduces)
            for names, reproduces in sides
            if names
        )

    def _cause(
        self, factor: Factor, change: Adjustment, names: set[str], *, run: int, reproduces: bool
    ) -> Cause:
        places = [phrase(one) for one in self._hazards() if one.kind in factor.kinds and one.place]
        return Cause(
            items=tuple(name for name in self._open if name in names),
            what=factor.what,
            said=change.said,
            reproduces=reproduces,
            run=run,
            places=tuple(dict.fromkeys(places)),
            advice=factor.advice,
        )

    def _right(self, done: ReplayResult) -> set[str]:
        """Return the open items that match the record; none where the replay ended differently."""
        wrong = set(wrong_names(done.verification))
        if ENDING in wrong or (ENDING in self._open and wrong):
            return set()
        return set(self._open) - wrong - self._unsure

    def _differing(self, one: ReplayResult, other: ReplayResult) -> set[str]:
        wrong = set(wrong_names(self._trials.compare(one, other)))
        return set(self._open) if ENDING in wrong else wrong

    def _settle(self, cause: Cause) -> None:
        items = tuple(name for name in cause.items if name in self._open)
        if items:
            self._causes.append(msgspec.structs.replace(cause, items=items))
            self._open = [name for name in self._open if name not in items]
            self._trials.kept.add(cause.run)

    def _hazards(self) -> list[Hazard]:
        runs: tuple[Record, ...] = (self._base.original, self._base.record)
        return list(dict.fromkeys(one for run in runs for one in all_hazards(run)))

    def _hints(self) -> tuple[list[str], list[str]]:
        """Return possible causes of the open items, and recommended changes."""
        if not self._open:
            return [], []
        hazards = [one for one in self._hazards() if one.kind in _ALWAYS_VARYING]
        if any(kind_of(one).weight == "care" for one in hazards):
            hazards = [one for one in hazards if kind_of(one).weight == "care"]
        hints = say(hazards, weights=("note", "care"))
        if set(self._open) - set(self._varying):
            hints += describe_deviations(self._base.plan.deviations)
        return hints, advise(hazards, weights=("note", "care"))


def _pattern(name: str) -> str:
    """Return a name without its digits, which may be a time, a process id, or a random id."""
    return re.sub(r"[0-9a-fA-F]*\d[0-9a-fA-F]*", "#", name)


def _names(causes: Sequence[Cause]) -> set[str]:
    return {name for cause in causes for name in cause.items}
