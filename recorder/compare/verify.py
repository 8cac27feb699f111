"""Hold a replay against its original: result, outputs, metrics and how it ended, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from ..codec import Numbers
from ..formats.points import SAMPLED, Columns, split_series, unpack
from ..records import Record, StoredBytes
from . import ObjectReader
from .content import compare_files
from .departures import compare_series
from .items import Departure, Item, ItemKind, Verification, conclude, make_item
from .near import DeclaredNumbers
from .outputs import OutputComparison
from .wording import describe_comparison, describe_difference

__all__ = [
    "Departure",
    "Item",
    "ItemKind",
    "Verification",
    "conclude",
    "describe_comparison",
    "describe_difference",
    "verify",
]

# What differs from run to run by nature, in an exception's message or a console: an object's address, and the folder
# that stands for the root of the file system in a replay.
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_WORKSPACE = re.compile(r".*/workspaces/[0-9a-z]{20}/files(?=/|$)")


def verify(
    original: Record,
    replay: Record,
    objects: ObjectReader,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> Verification:
    """The verdict on `replay` as a replay of `original`.

    Everything is compared both ways: what is missing and what is extra counts. Numbers are close where
    ``|a-b| <= atol + rtol * max(|a|, |b|)``, with what the original's experiment declared, or with `rtol` and `atol`
    in the place of all that where one of them is given. A result of None is no evidence: with nothing else to
    compare, the verdict is "nothing verified".
    """
    given = None
    if rtol is not None or atol is not None:
        given = Numbers(rtol=rtol or 0.0, atol=atol or 0.0)
    return _Verifier(original, replay, objects, given).verify()


class _Verifier:
    def __init__(
        self, original: Record, replay: Record, objects: ObjectReader, given: Numbers | None
    ) -> None:
        self._a = original
        self._b = replay
        self._objects = objects
        self._given = given
        self._outputs = OutputComparison(objects, self._numbers)

    def _numbers(self, name: str) -> Numbers:
        return self._given or DeclaredNumbers(self._a.tolerance, name, name.rpartition("/")[2])

    def verify(self) -> Verification:
        items = (
            *self._ending(),
            *self._result(),
            *map(self._forgive, self._outputs.compare(self._a.outputs, self._b.outputs)),
            *self._metrics(),
            *self._console(),
        )
        if self._is_cut:
            items = tuple(map(_beyond, items))
        ended_otherwise = self._ended_otherwise()
        if ended_otherwise:
            return Verification(verdict="failed", items=items, reason=ended_otherwise)
        return self._said_of_cut(conclude(items))

    # A run that was killed or interrupted is compared as far as it had come

    @property
    def _is_cut(self) -> bool:
        return self._a.status in ("lost", "interrupted")

    def _said_of_cut(self, verification: Verification) -> Verification:
        if not self._is_cut or verification.verdict not in ("reproduced", "close"):
            return verification
        cut = "killed" if self._a.status == "lost" else "interrupted"
        reason = f"as far as the run had come when it was {cut}"
        reasons = [part for part in (reason, verification.reason) if part]
        return msgspec.structs.replace(verification, reason="; ".join(reasons))

    # How it ended

    def _ended_otherwise(self) -> str:
        """Why the replay did not come to the same kind of end, "" if it did."""
        a, b = self._a, self._b
        if b.status == "failed" and a.status != "failed" and b.failure is not None:
            return f"the replay ended with {b.failure.type.removeprefix('builtins.')}: {b.failure.message}"
        if b.status in ("interrupted", "lost"):
            return f"the replay was {b.status}"
        return ""

    def _ending(self) -> Iterator[Item]:
        a, b = self._a.failure, self._b.failure
        if a is None or self._is_cut:
            return
        name = a.type.removeprefix("builtins.")
        if b is None:
            yield Item(
                kind="exception", name=name, verdict="missing", detail="the replay ended without it"
            )
        elif a.type == b.type and self._steady(a.message) == self._steady(b.message):
            yield Item(kind="exception", name=name, verdict="identical")
        else:
            detail = f"{name}: {a.message} -> {b.type.removeprefix('builtins.')}: {b.message}"
            yield Item(
                kind="exception", name=name, verdict="different", detail=" ".join(detail.split())
            )

    def _result(self) -> Iterator[Item]:
        a, b = self._a, self._b
        if a.status == b.status == "finished" and not (a.result is None and b.result is None):
            numbers = self._numbers("result")
            comparison = self._outputs.compare_forms(a.result, b.result, numbers)
            yield make_item("result", "result", comparison, numbers=numbers)

    def _forgive(self, item: Item) -> Item:
        """The item of an output, which does not count where nobody can tell whether both runs wrote it."""
        for verdict, whole, unsure, whose in (
            ("extra", self._b, self._a, "recorded run"),
            ("missing", self._a, self._b, "replay"),
        ):
            is_found = any(one.found and one.name == item.name for one in whole.outputs)
            if item.verdict == verdict and is_found and item.name in unsure.unlisted:
                detail = f"the {whose}, or another one beside it, wrote it too: nobody can tell"
                return msgspec.structs.replace(item, decides=False, detail=detail)
        return item

    # Metrics

    def _metrics(self) -> Iterator[Item]:
        a, b = self._a.series, self._b.series
        ours = self._series(a)
        theirs = ours if a is not None and b is not None and a == b else self._series(b)
        for name in dict.fromkeys([*ours, *theirs]):
            if name not in theirs:
                detail = "the replay did not log it"
                yield Item(kind="metric", name=name, verdict="missing", detail=detail)
            elif name not in ours:
                detail = "only the replay logged it"
                yield Item(kind="metric", name=name, verdict="extra", detail=detail)
            else:
                beside = theirs[name]
                if self._is_cut:
                    count = len(ours[name].steps)
                    beside = Columns(beside.steps[:count], beside.values[:count])
                yield compare_series(name, ours[name], beside, self._numbers(name))

    def _series(self, content: StoredBytes | None) -> dict[str, Columns]:
        """The metrics that were logged; what was sampled of the usage is another one every time."""
        if content is None:
            return {}
        text = content.text
        found = split_series(unpack(self._objects.read(content.digest)) if text is None else text)
        return {name: points for name, points in found.items() if not name.startswith(SAMPLED)}

    def _text(self, content: StoredBytes | None) -> str:
        if content is None:
            return ""
        if content.text is not None:
            return content.text
        return self._objects.read(content.digest).decode(errors="replace")

    # The console

    def _steady(self, text: str) -> str:
        """The text without what is another one in every run: addresses, and the folder that the code lies in."""
        for run in (self._a, self._b):
            place = None if run.process is None else _WORKSPACE.match(run.process.cwd)
            text = text if place is None else text.replace(place[0], "")
        text = _ADDRESS.sub("0x", text)
        return text if self._a.code is None else text.replace(self._a.code.root, "<project>")

    def _console(self) -> Iterator[Item]:
        for name in ("stdout", "stderr"):
            a, b = getattr(self._a, name), getattr(self._b, name)
            if a is None and b is None:
                continue
            left, right = self._steady(self._text(a)), self._steady(self._text(b))
            comparison = compare_files(name, left.encode(), right.encode())
            item = make_item("console", name, comparison, numbers=Numbers())
            yield msgspec.structs.replace(item, decides=False)


def _beyond(item: Item) -> Item:
    """The item, which does not count where only the replay came to it."""
    if item.verdict != "extra":
        return item
    return msgspec.structs.replace(
        item, decides=False, detail="the recorded run did not come so far"
    )
