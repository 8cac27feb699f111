"""The outputs of two runs side by side: files, folders and values by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from .. import codec
from ..codec import Comparison, Difference, Numbers
from ..errors import DamageError
from ..paths import is_log_name
from ..records import Output
from . import ObjectReader
from .content import compare_files
from .items import Item, make_item

NumbersOf = Callable[[str], Numbers]


class OutputComparison:
    """Compares outputs; `numbers` says for a name what is close there."""

    def __init__(self, objects: ObjectReader, numbers: NumbersOf) -> None:
        self._objects = objects
        self._numbers = numbers

    def compare(self, a: Sequence[Output], b: Sequence[Output]) -> Iterator[Item]:
        """An item for each name that one of them has."""
        ours, theirs = ({output.name: output for output in side} for side in (a, b))
        for item in self._items(ours, theirs):
            sides = [side[item.name] for side in (ours, theirs) if item.name in side]
            if all(map(is_log, sides)):
                item = msgspec.structs.replace(item, kind="log", decides=False)
            yield item

    def _items(self, ours: Mapping[str, Output], theirs: Mapping[str, Output]) -> Iterator[Item]:
        for name in dict.fromkeys([*ours, *theirs]):
            if name not in theirs:
                detail = "the replay did not save it" + _elsewhere(ours[name], theirs, ours)
                yield Item(kind="output", name=name, verdict="missing", detail=detail)
            elif name not in ours:
                detail = "only the replay saved it" + _elsewhere(theirs[name], ours, theirs)
                yield Item(kind="output", name=name, verdict="extra", detail=detail)
            else:
                numbers = self._numbers(name)
                comparison = self._compare(ours[name], theirs[name], numbers)
                item = make_item("output", name, comparison, numbers=numbers)
                yield _note_swap(item, ours, theirs)

    def _compare(self, a: Output, b: Output, numbers: Numbers) -> Comparison:
        if a.kind != b.kind:
            difference = Difference(path="", what="type", left=f"a {a.kind}", right=f"a {b.kind}")
            return Comparison(verdict="different", differences=(difference,), count=1)
        if a.kind == "value":
            return self.compare_forms(a.form, b.form, numbers)
        if a.digest == b.digest:
            return Comparison(verdict="identical")
        if not (a.stored and b.stored):
            said = [f"{o.size_bytes} bytes, {o.digest[:15]}" for o in (a, b)]
            difference = Difference(path="", what="changed", left=said[0], right=said[1])
            return Comparison(verdict="different", differences=(difference,), count=1)
        if a.kind == "file":
            return self._compare_objects(a.name, a.digest, b.digest, numbers)
        return self._compare_folders(a.digest, b.digest, numbers)

    def compare_forms(self, a: object, b: object, numbers: Numbers) -> Comparison:
        """Two values, as their forms say them."""
        return codec.compare(a, b, load=self._objects.read, numbers=numbers)

    def _compare_objects(self, name: str, a: str, b: str, numbers: Numbers) -> Comparison:
        paths = [self._objects.path(digest) for digest in (a, b)]
        for digest, path in zip((a, b), paths, strict=True):
            # A damaged object would be a divergence that never was. (Of two arrays this takes most of the time.)
            if not self._objects.verify(digest):
                message = f"the object {path} has other bytes than its name says"
                raise DamageError(message, path=path)
        return compare_files(name, *paths, numbers=numbers, unlike=True)

    def _compare_folders(self, a: str, b: str, numbers: Numbers) -> Comparison:
        """Path by path, both ways."""
        left, right = self._tree(a), self._tree(b)
        found = codec.Findings()
        for path in sorted({*left, *right}):
            if path not in right:
                found.add(Difference(path=path, what="removed", left=left[path].get("kind", "")))
            elif path not in left:
                found.add(Difference(path=path, what="added", right=right[path].get("kind", "")))
            else:
                self._compare_entries(found, path, left[path], right[path], numbers)
        return found.conclude()

    def _tree(self, digest: str) -> dict[str, dict[str, str]]:
        lines = [msgspec.json.decode(line) for line in self._objects.read(digest).splitlines()[1:]]
        return {line["path"]: line for line in lines}

    def _compare_entries(
        self,
        found: codec.Findings,
        path: str,
        a: dict[str, str],
        b: dict[str, str],
        numbers: Numbers,
    ) -> None:
        if a["kind"] == b["kind"] == "file":
            if a["digest"] != b["digest"]:
                digests = a["digest"], b["digest"]
                found.include(self._compare_objects(path, *digests, numbers.at(path)), path=path)
            if a.get("executable") != b.get("executable"):
                said = ["executable" if e.get("executable") else "a file" for e in (a, b)]
                found.add(Difference(path=path, what="type", left=said[0], right=said[1]))
        elif (a["kind"], a.get("target")) != (b["kind"], b.get("target")):
            said = [f"a {e['kind']} {e.get('target') or ''}".strip() for e in (a, b)]
            found.add(Difference(path=path, what="type", left=said[0], right=said[1]))


def is_log(output: Output) -> bool:
    """Whether the file is a log that nobody saved."""
    return output.found and is_log_name(output.name)


def _elsewhere(output: Output, there: Mapping[str, Output], here: Mapping[str, Output]) -> str:
    """Under which other name the other side has the same bytes, which is new there."""
    names = [name for name, o in there.items() if name not in here and _fits(o, output)]
    return f"; it has the same bytes as {names[0]} there" if names else ""


def _fits(a: Output, b: Output) -> bool:
    return (a.kind, a.digest) == (b.kind, b.digest)


def _note_swap(item: Item, ours: Mapping[str, Output], theirs: Mapping[str, Output]) -> Item:
    """A different output that is another one's content is said to be that."""
    if item.verdict != "different":
        return item
    before, now = ours[item.name], theirs[item.name]
    others = [name for name, o in ours.items() if name != item.name and _fits(o, now)]
    if not others:
        return item
    swapped = [name for name in others if name in theirs and _fits(theirs[name], before)]
    detail = f"swapped with {swapped[0]}" if swapped else f"it has the content that {others[0]} had"
    return msgspec.structs.replace(item, detail=detail)
