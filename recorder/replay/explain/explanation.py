"""What an explanation has found: what was tried, what each item depends on, and what nothing has explained."""

from __future__ import annotations

from ...records import Part
from ..many.repetition import listed


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
