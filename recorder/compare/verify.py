"""Comparison of a replay with its original: result, outputs, metrics, exception and console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from .. import codec
from ..codec import Numbers
from ..codec.comparing import number_of
from ..formats.points import SAMPLED, Columns, read_number, split_series, unpack
from ..records import Record, StoredBytes, Tolerance
from . import ObjectReader
from .clock_names import Span, match_names
from .content import compare_files
from .departures import compare_series
from .items import Departure, Item, ItemKind, NumberPair, Verification, conclude, make_item
from .near import DeclaredNumbers, RunNumbers
from .noise import Noise, Replacement
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

# Numbers of a result that stand in the verdict.
_MOST_NUMBERS = 8

# Parts of messages and of the console that differ in every run: addresses of objects, and the workspace folder that
# stands for the root of the file system in a replay.
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
    """Return the verdict on `replay` as a replay of `original`.

    Missing and extra items count as differences. Numbers are close if ``|a-b| <= atol + rtol * max(|a|, |b|)``, with
    the tolerances that the original's experiment declares. If `rtol` (relative, without unit) or `atol` (in the unit of
    the numbers) is given, they replace all declared tolerances. A result of None and the exit status of a command are
    no evidence: if there is nothing else to compare, the console decides, without times, durations, and rates. If
    nothing was printed either, the verdict is "nothing verified".
    """
    given = None
    if rtol is not None or atol is not None:
        given = Tolerance(rtol=rtol or 0.0, atol=atol or 0.0)
    return _Verifier(original, replay, objects, given).verify()


class _Verifier:
    def __init__(
        self, original: Record, replay: Record, objects: ObjectReader, given: Tolerance | None
    ) -> None:
        self._a = original
        self._b = replay
        self._objects = objects
        self._given = given
        names = [{output.name for output in run.outputs} for run in (original, replay)]
        matches = list(
            match_names(
                names[0] - names[1], names[1] - names[0], [_span(run) for run in (original, replay)]
            )
        )
        renamed = [one for match in matches for one in match.replacements]
        durations = [run.duration_s for run in (original, replay) if run.duration_s is not None]
        self._noise = Noise(
            _places(original),
            [*_places(replay), *renamed],
            longest_s=max(durations) if len(durations) == 2 else None,
        )
        self._outputs = OutputComparison(objects, self._numbers, matches=matches)

    def _numbers(self, name: str) -> Numbers:
        names, given = (name, name.rpartition("/")[2]), self._given
        if given is not None:
            return RunNumbers(*names, noise=self._noise, rtol=given.rtol, atol=given.atol)
        return DeclaredNumbers(self._a.tolerance, *names, noise=self._noise)

    def verify(self) -> Verification:
        items = (
            *self._ending(),
            *self._result(),
            *map(self._forgive, self._outputs.compare(self._a.outputs, self._b.outputs)),
            *self._metrics(),
        )
        items = (*items, *self._console(decides=not any(map(self._is_evidence, items))))
        if self._is_cut:
            items = tuple(map(_beyond, items))
        failure = self._describe_failure()
        if failure:
            return Verification(verdict="failed", items=items, reason=failure)
        return self._note_cut(conclude(items, exit_status_only=self._a.function.kind == "command"))

    @property
    def _is_cut(self) -> bool:
        """Return True if the original was killed or interrupted, and is compared only up to that point."""
        return self._a.status in ("lost", "interrupted")

    def _note_cut(self, verification: Verification) -> Verification:
        if not self._is_cut or verification.verdict not in ("reproduced", "close"):
            return verification
        cut = "killed" if self._a.status == "lost" else "interrupted"
        reason = f"compared up to the point at which the run was {cut}"
        reasons = [part for part in (reason, verification.reason) if part]
        return msgspec.structs.replace(verification, reason="; ".join(reasons))

    def _describe_failure(self) -> str:
        """Return the reason why the replay failed although the original did not, or ""."""
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
                kind="exception", name=name, verdict="missing", detail="the replay did not raise it"
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
            item = make_item("result", "result", comparison, numbers=numbers)
            pairs = islice(self._result_numbers(), _MOST_NUMBERS)
            yield msgspec.structs.replace(item, numbers=tuple(pairs))

    def _result_numbers(self) -> Iterator[NumberPair]:
        """Yield the numbers that both results have at the same place, without those in lists and arrays."""
        forms = [codec.inline(run.result, self._objects.read) for run in (self._a, self._b)]
        left, right = (codec.flatten({"result": form}) for form in forms)
        for name in left:
            recorded, replayed = number_of(left[name]), number_of(right.get(name))
            if isinstance(recorded, int | float) and isinstance(replayed, int | float):
                yield NumberPair(name=name, recorded=recorded, replayed=replayed)

    def _forgive(self, item: Item) -> Item:
        """Return the item; it does not decide if a concurrent run may have written the discovered file."""
        for verdict, whole, unsure, run_name in (
            ("extra", self._b, self._a, "recorded run"),
            ("missing", self._a, self._b, "replay"),
        ):
            is_found = any(one.found and one.name == item.name for one in whole.outputs)
            if item.verdict == verdict and is_found and item.name in unsure.unlisted:
                detail = f"not compared: the {run_name} or a concurrent run wrote it too"
                return msgspec.structs.replace(item, decides=False, detail=detail)
        return item

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
                replayed = theirs[name]
                if self._is_cut:
                    count = len(ours[name].steps)
                    replayed = Columns(replayed.steps[:count], replayed.values[:count])
                numbers = self._numbers(name)
                item = compare_series(name, ours[name], replayed, numbers)
                kind = (
                    "" if item.verdict == "identical" else _measure(numbers, ours[name], replayed)
                )
                if kind:
                    detail = f"{kind}, which differs in every run; {item.detail}"
                    item = msgspec.structs.replace(item, decides=False, detail=detail)
                yield item

    def _series(self, content: StoredBytes | None) -> dict[str, Columns]:
        """Return the logged metrics, without sampled usage, which differs in every run."""
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

    def _steady(self, text: str) -> str:
        """Return the text without addresses and without the folder of the code, which differ in every run."""
        for side in range(2):
            text = self._noise.steady(text, side)
        text = _ADDRESS.sub("0x", text)
        return text if self._a.code is None else text.replace(self._a.code.root, "<project>")

    def _is_evidence(self, item: Item) -> bool:
        """Return whether the item alone can show that a replay reproduced; the exit status of a command cannot."""
        is_command = self._a.function.kind == "command"
        return item.decides and not (is_command and item.kind in ("result", "exception"))

    def _console(self, *, decides: bool) -> Iterator[Item]:
        """Yield an item for each stream; with `decides`, stdout decides, or stderr where nothing was printed to it."""
        streams = [
            (name, getattr(self._a, name), getattr(self._b, name)) for name in ("stdout", "stderr")
        ]
        for name, a, b in streams:
            if a is None and b is None:
                continue
            left, right = self._steady(self._text(a)), self._steady(self._text(b))
            if decides and not self._is_cut:
                from .console import compare_console  # its patterns take 10 ms to compile

                numbers = self._numbers(name)
                comparison = compare_console(name, left, right, numbers=numbers)
                item = make_item("console", name, comparison, numbers=numbers)
                if item.verdict == "equal":
                    item = msgspec.structs.replace(item, detail="only times and durations differ")
                yield item
                decides = False
            else:
                comparison = compare_files(name, left.encode(), right.encode())
                item = make_item("console", name, comparison, numbers=Numbers())
                yield msgspec.structs.replace(item, decides=False)


def _places(run: Record) -> list[Replacement]:
    """Return the replacement of the workspace folder in which a replay ran; a recorded run has none."""
    place = None if run.process is None else _WORKSPACE.match(run.process.cwd)
    return [] if place is None else [Replacement(place[0], "")]


def _span(run: Record) -> Span | None:
    return None if run.finished is None else Span(run.started, run.finished)


def _measure(numbers: Numbers, *series: Columns) -> str:
    """Return the kind of measurement of two series, or "" if they are content."""
    values = [read_number(value) for columns in series for value in columns.values]
    return numbers.measure("", min(values), max(values)) if values else ""


def _beyond(item: Item) -> Item:
    """Return the item; it does not decide if only the replay got to that point."""
    if item.verdict != "extra":
        return item
    return msgspec.structs.replace(
        item, decides=False, detail="the recorded run ended before this point"
    )
