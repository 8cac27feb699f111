"""The result of an explanation: causes, unexplained items, and tries."""

from __future__ import annotations

from ...records import Part
from ..many.repetition import listed


class Try(Part, frozen=True):
    """A replay with a change.

    Attributes:
        said: The change in words.
        run: The number of the replay's run; None where the replay could not be done.
        verdict: The verdict of the replay, or the reason why it could not be done.
        wrong: The names of the items that differ from the record.
        is_kept: Whether the run stays in the store; the others go to the trash.
    """

    said: str
    run: int | None
    verdict: str
    wrong: tuple[str, ...] = ()
    is_kept: bool = False


class Cause(Part, frozen=True):
    """A factor that items depend on.

    Attributes:
        items: The names of the items.
        what: The factor in words.
        said: The change that shows it, in words.
        reproduces: Whether the change restores the recorded items; False where it only makes replays agree.
        run: The number of a replay that shows it.
        places: The lines of the project's code that are involved.
        advice: The recommended change.
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
        """The cause in a sentence."""
        one = len(self.items) == 1
        text = f"{listed(self.items)} {'depends' if one else 'depend'} on {self.what}"
        if self.reproduces:
            return f"{text}: with {self.said} {'it matches' if one else 'they match'} the record"
        return f"{text}: replays with {self.said} agree with each other, and others do not"


class Explanation(Part, frozen=True):
    """The explanation of a divergence.

    Attributes:
        run: The number of the run that was replayed.
        causes: The causes.
        varying: The names of the items that differ between two identical replays.
        unexplained: The names of the items without a cause.
        hints: Possible causes of the unexplained items, in words.
        advice: Recommended changes for them.
        tries: The replays that were made.
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
        """The explanation in sentences: one for each cause, and one for each kind of unexplained items."""
        varying = [name for name in self.unexplained if name in self.varying]
        steady = [name for name in self.unexplained if name not in self.varying]
        sentences = [cause.sentence for cause in self.causes]
        if varying:
            verb = "differs" if len(varying) == 1 else "differ"
            sentences.append(
                f"{listed(varying)} {verb} between replays whatever is changed: run {self.run} is not deterministic"
            )
        if steady:
            verb = "is" if len(steady) == 1 else "are"
            sentences.append(
                f"{listed(steady)} {verb} the same in all replays and not as recorded, whatever is changed: something"
                " has changed since the recording, or was not recorded"
            )
        return tuple(sentences)
