"""Hold a replay against its original: result, outputs, metrics and how it ended, both ways."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from .. import codec
from ..codec import Comparison, Difference, Numbers
from ..records import Content, ItemVerdict, Output, Part, Record, ReplayVerdict
from ..series import SAMPLED, Point, parse_series
from . import ObjectReader
from .content import compare_files

ItemKind = Literal["result", "output", "metric", "exception", "console"]

# A text that differs from run to run by nature, in an exception's message or a console.
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_WORKSPACE = re.compile(r"\S*/workspaces/[0-9a-z]{20}/(?:tree|cwd)")


class Item(Part, frozen=True):
    """One thing that was compared: its verdict, and in `detail` for people where and by how much it differs.

    What does not `decide` (the console) is reported only.
    """

    kind: ItemKind
    name: str
    verdict: ItemVerdict
    decides: bool = True
    detail: str = ""
    differences: tuple[Difference, ...] = ()


class Verification(Part, frozen=True):
    """The verdict on a replay, the items that it rests on, and the reason in a sentence."""

    verdict: ReplayVerdict
    items: tuple[Item, ...] = ()
    reason: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many of the deciding items got which verdict."""
        found: dict[str, int] = {}
        for item in self.items:
            if item.decides:
                found[item.verdict] = found.get(item.verdict, 0) + 1
        return found


def verify(
    original: Record, replay: Record, objects: ObjectReader, *, rtol: float = 0.0, atol: float = 0.0
) -> Verification:
    """The verdict on `replay` as a replay of `original`.

    Everything is compared both ways: what is missing and what is extra counts. Numbers are close where
    ``|a-b| <= atol + rtol * max(|a|, |b|)``. A result of None is no evidence: with nothing else to compare, the
    verdict is "nothing verified".
    """
    return _Verifier(original, replay, objects, Numbers(rtol=rtol, atol=atol)).verify()


class _Verifier:
    def __init__(
        self, original: Record, replay: Record, objects: ObjectReader, numbers: Numbers
    ) -> None:
        self._a = original
        self._b = replay
        self._objects = objects
        self._numbers = numbers

    def verify(self) -> Verification:
        items = (
            *self._ending(),
            *self._result(),
            *self._outputs(),
            *self._metrics(),
            *self._console(),
        )
        ended_otherwise = self._ended_otherwise()
        if ended_otherwise:
            return Verification(verdict="failed", items=items, reason=ended_otherwise)
        return conclude(items)

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
        if a is None:
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
            yield _item("result", "result", self._compare_forms(a.result, b.result))

    def _compare_forms(self, a: object, b: object) -> Comparison:
        load, numbers = self._objects.read, self._numbers
        return codec.compare(a, b, load=load, rtol=numbers.rtol, atol=numbers.atol)

    # Outputs

    def _outputs(self) -> Iterator[Item]:
        ours = {output.name: output for output in self._a.outputs}
        theirs = {output.name: output for output in self._b.outputs}
        for name in dict.fromkeys([*ours, *theirs]):
            if name not in theirs:
                yield Item(
                    kind="output", name=name, verdict="missing", detail="the replay did not save it"
                )
            elif name not in ours:
                yield Item(
                    kind="output", name=name, verdict="extra", detail="only the replay saved it"
                )
            else:
                item = _item("output", name, self._compare_outputs(ours[name], theirs[name]))
                yield self._note_swap(item, theirs[name], ours)

    def _note_swap(self, item: Item, output: Output, ours: Mapping[str, Output]) -> Item:
        """A different output that is another one's content is said to be that."""
        if item.verdict != "different":
            return item
        others = [
            name for name, o in ours.items() if name != output.name and o.digest == output.digest
        ]
        if not others:
            return item
        return msgspec.structs.replace(item, detail=f"it has the content that {others[0]} had")

    def _compare_outputs(self, a: Output, b: Output) -> Comparison:
        if a.kind != b.kind:
            difference = Difference(path="", what="type", left=f"a {a.kind}", right=f"a {b.kind}")
            return Comparison(verdict="different", differences=(difference,), count=1)
        if a.kind == "value":
            return self._compare_forms(a.form, b.form)
        if a.digest == b.digest:
            return Comparison(verdict="identical")
        if a.kind == "file":
            return self._compare_objects(a.name, a.digest, b.digest)
        return self._compare_folders(a.digest, b.digest)

    def _compare_objects(self, name: str, a: str, b: str) -> Comparison:
        data = self._objects.read(a), self._objects.read(b)
        return compare_files(name, *data, rtol=self._numbers.rtol, atol=self._numbers.atol)

    def _compare_folders(self, a: str, b: str) -> Comparison:
        """Path by path, both ways."""
        left, right = self._tree(a), self._tree(b)
        found: list[Difference] = []
        for path in sorted({*left, *right}):
            if path not in right:
                found.append(Difference(path=path, what="removed", left=left[path].get("kind", "")))
            elif path not in left:
                found.append(Difference(path=path, what="added", right=right[path].get("kind", "")))
            else:
                found += self._compare_entries(path, left[path], right[path])
        return codec.conclude(found)

    def _tree(self, digest: str) -> dict[str, dict[str, str]]:
        lines = [msgspec.json.decode(line) for line in self._objects.read(digest).splitlines()[1:]]
        return {line["path"]: line for line in lines}

    def _compare_entries(self, path: str, a: dict[str, str], b: dict[str, str]) -> list[Difference]:
        if a == b:
            return []
        if a["kind"] == b["kind"] == "file" and a["digest"] != b["digest"]:
            found = self._compare_objects(path, a["digest"], b["digest"]).differences
            return [
                msgspec.structs.replace(d, path=f"{path}: {d.path}" if d.path else path)
                for d in found
            ]
        shown = [
            e.get("target") or ("executable" if e.get("executable") else e["kind"]) for e in (a, b)
        ]
        return [Difference(path=path, what="type", left=shown[0], right=shown[1])]

    # Metrics

    def _metrics(self) -> Iterator[Item]:
        ours, theirs = self._series(self._a.series), self._series(self._b.series)
        for name in dict.fromkeys([*ours, *theirs]):
            if name not in theirs:
                detail = "the replay did not log it"
                yield Item(kind="metric", name=name, verdict="missing", detail=detail)
            elif name not in ours:
                yield Item(
                    kind="metric", name=name, verdict="extra", detail="only the replay logged it"
                )
            else:
                yield self._compare_series(name, ours[name], theirs[name])

    def _series(self, content: Content | None) -> dict[str, list[Point]]:
        """The metrics that were logged; what was sampled of the usage is another one every time."""
        found = parse_series(self._text(content))
        return {name: points for name, points in found.items() if not name.startswith(SAMPLED)}

    def _text(self, content: Content | None) -> str:
        if content is None:
            return ""
        if content.text is not None:
            return content.text
        return self._objects.read(content.digest).decode(errors="replace")

    def _compare_series(self, name: str, a: list[Point], b: list[Point]) -> Item:
        unlike = [
            (p, q, *self._numbers.errors(p.value, q.value))
            for p, q in zip(a, b, strict=False)
            if p.step != q.step or not _same(p.value, q.value)
        ]
        if not unlike and len(a) == len(b):
            return Item(kind="metric", name=name, verdict="identical")
        if len(a) != len(b) and not unlike:
            return Item(
                kind="metric", name=name, verdict="different", detail=f"{len(a)} -> {len(b)} points"
            )
        first, last = unlike[0], unlike[-1]
        close = len(a) == len(b) and all(ok and p.step == q.step for p, q, _, _, ok in unlike)
        return Item(
            kind="metric",
            name=name,
            verdict="close" if close else "different",
            detail=_describe_departure(a, b, first, last, len(unlike)),
        )

    # The console

    def _steady(self, text: str) -> str:
        """The text without what is another one in every run: addresses, and the folder that the code lies in."""
        text = _WORKSPACE.sub("<project>", _ADDRESS.sub("0x", text))
        return text if self._a.code is None else text.replace(self._a.code.root, "<project>")

    def _console(self) -> Iterator[Item]:
        for name in ("stdout", "stderr"):
            a, b = getattr(self._a, name), getattr(self._b, name)
            if a is None and b is None:
                continue
            left, right = self._steady(self._text(a)), self._steady(self._text(b))
            comparison = compare_files(name, left.encode(), right.encode())
            item = _item("console", name, comparison)
            yield msgspec.structs.replace(item, decides=False)


def conclude(items: tuple[Item, ...]) -> Verification:
    """The verdict that the items come to, and the reason in a sentence."""
    deciding = [item for item in items if item.decides]
    wrong = [item for item in deciding if item.verdict in ("different", "missing", "extra")]
    if wrong:
        shown = ", ".join(f"{item.name} ({item.verdict})" for item in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        return Verification(verdict="diverged", items=items, reason=shown + more)
    opaque = [item.name for item in deciding if item.verdict == "opaque"]
    if len(opaque) == len(deciding):
        what = (
            f"{', '.join(opaque)} cannot be looked into"
            if opaque
            else "the run returned and saved nothing"
        )
        reason = f"{what}: return or save what the result is"
        return Verification(verdict="nothing verified", items=items, reason=reason)
    close = any(item.verdict == "close" for item in deciding)
    reason = f"but for {', '.join(opaque)}, which cannot be looked into" if opaque else ""
    return Verification(verdict="close" if close else "reproduced", items=items, reason=reason)


def _item(kind: ItemKind, name: str, comparison: Comparison) -> Item:
    return Item(
        kind=kind,
        name=name,
        verdict=comparison.verdict,
        detail=describe_comparison(comparison),
        differences=comparison.differences,
    )


def describe_comparison(comparison: Comparison) -> str:
    """Where two values differ, and by how much, in a line; "" where they are identical."""
    if comparison.verdict == "equal":
        return "the same content in other bytes"
    if not comparison.differences:
        return ""
    first = comparison.differences[0]
    more = f"; {comparison.count - 1} more differences" if comparison.count > 1 else ""
    return f"{_describe_difference(first)}{more}"


def _describe_difference(difference: Difference) -> str:
    d = difference
    place = f"{d.path}: " if d.path else ""
    at = f"[{', '.join(map(str, d.index))}] " if d.index is not None and d.count is not None else ""
    if d.what in ("added", "removed"):
        return f"{place}only in the {'replay' if d.what == 'added' else 'original'}"
    text = f"{place}{at}{d.left} -> {d.right}"
    if d.rel_error is not None:
        text += f" ({d.rel_error:.1e} relative, {d.abs_error:.1e} absolute{', the largest' if d.count else ''})"
    if d.count is not None and d.size is not None:
        text += f", {d.count} of {d.size} elements"
    return text


def _same(a: float, b: float) -> bool:
    if type(a) is not type(b):
        return False
    return a == b or (math.isnan(a) and math.isnan(b))


def _describe_departure(
    a: list[Point],
    b: list[Point],
    first: tuple[Point, Point, float, float, bool],
    last: tuple[Point, Point, float, float, bool],
    count: int,
) -> str:
    p, q, _, relative, _ = first
    text = f"first differs at step {p.step}: {p.value!r} -> {q.value!r} ({relative:.1e} relative)"
    if p.step != q.step:
        text = f"first differs at step {p.step}, which is step {q.step} in the replay"
    if count > 1:
        text += (
            f", last at step {last[0].step} ({last[3]:.1e} relative); {count} of {len(a)} points"
        )
    if len(a) != len(b):
        text += f"; {len(a)} -> {len(b)} points"
    return text
