"""Comparison of the outputs of two runs by name: files, folders and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from .. import codec
from ..codec import Comparison, Difference, Numbers
from ..errors import DamageError
from ..paths import is_log_name
from ..records import Output
from . import ObjectReader
from .clock_names import Match
from .content import compare_files
from .items import Item, make_item

NumbersOf = Callable[[str], Numbers]

# Files in which experiment trackers keep their ids, times, hosts and users, next to content that is compared.
_TRACKER_FILES = re.compile(
    r"(?:^|/)(?:mlflow\.db|mlruns/(?:[^/]+/){0,2}(?:meta\.yaml|tags/.*)|wandb/.*|\.aim/.*|\.aim_[^/]*)$"
)
_TRACKED_CONTENT = re.compile(r"(?:^|/)wandb/[^/]+/files/wandb-summary\.json$")


class OutputComparison:
    """Compares outputs.

    `numbers` returns the rules for the name of an output; `matches` pairs outputs whose names differ in every run.
    """

    def __init__(
        self, objects: ObjectReader, numbers: NumbersOf, *, matches: Sequence[Match] = ()
    ) -> None:
        self._objects = objects
        self._numbers = numbers
        self._matches = matches

    def compare(self, a: Sequence[Output], b: Sequence[Output]) -> Iterator[Item]:
        """Yield an item for each output of either side."""
        ours, theirs = ({output.name: output for output in side} for side in (a, b))
        matched = {}
        for match in self._matches:
            matched[match.left] = match.right
            theirs[match.left] = theirs.pop(match.right)
        is_logged = _log_filter([*ours, *theirs])
        for item in self._items(ours, theirs):
            sides = [side[item.name] for side in (ours, theirs) if item.name in side]
            if item.name in matched:
                parts = [f"matched with {matched[item.name]}", item.detail]
                item = msgspec.structs.replace(item, detail="; ".join(filter(None, parts)))
            if all(map(is_logged, sides)):
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
            shown = [f"{o.size_bytes} bytes, {o.digest[:15]}" for o in (a, b)]
            difference = Difference(path="", what="changed", left=shown[0], right=shown[1])
            return Comparison(verdict="different", differences=(difference,), count=1)
        if a.kind == "file":
            return self._compare_objects(a.name, a.digest, b.digest, numbers)
        return self._compare_folders(a.digest, b.digest, numbers)

    def compare_forms(self, a: object, b: object, numbers: Numbers) -> Comparison:
        """Compare two values given as forms."""
        return codec.compare(a, b, load=self._objects.read, numbers=numbers)

    def _compare_objects(self, name: str, a: str, b: str, numbers: Numbers) -> Comparison:
        paths = [self._objects.path(digest) for digest in (a, b)]
        for digest, path in zip((a, b), paths, strict=True):
            # A damaged object would look like a divergence. (For arrays, this check takes most of the time.)
            if not self._objects.verify(digest):
                message = (
                    f"object {path} is damaged: its bytes do not match its name; run recorder check"
                )
                raise DamageError(message, path=path)
        return compare_files(name, *paths, numbers=numbers, unlike=True)

    def _compare_folders(self, a: str, b: str, numbers: Numbers) -> Comparison:
        """Compare two trees path by path."""
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
                shown = ["executable" if e.get("executable") else "a file" for e in (a, b)]
                found.add(Difference(path=path, what="type", left=shown[0], right=shown[1]))
        elif (a["kind"], a.get("target")) != (b["kind"], b.get("target")):
            shown = [f"a {e['kind']} {e.get('target') or ''}".strip() for e in (a, b)]
            found.add(Difference(path=path, what="type", left=shown[0], right=shown[1]))


def _log_filter(names: Collection[str]) -> Callable[[Output], bool]:
    """Return a function that is True for a log, or a tracker's own record, that was found and not saved by name.

    `names` are the names of all outputs: the console log of Sacred, ``cout.txt``, is next to its other files.
    """
    folders = {
        folder
        for folder in (name.removesuffix("run.json") for name in names if name.endswith("run.json"))
        if f"{folder}config.json" in names and f"{folder}cout.txt" in names
    }
    sacred = {f"{folder}cout.txt" for folder in folders}

    def is_log(output: Output) -> bool:
        name = output.name
        is_own = bool(_TRACKER_FILES.search(name)) and not _TRACKED_CONTENT.search(name)
        return output.found and (is_log_name(name) or name in sacred or is_own)

    return is_log


def _elsewhere(output: Output, there: Mapping[str, Output], here: Mapping[str, Output]) -> str:
    """Return a note if the other side has the same content under a name that this side lacks, or else ""."""
    names = [name for name, o in there.items() if name not in here and _fits(o, output)]
    return f"; it has the same bytes as {names[0]} there" if names else ""


def _fits(a: Output, b: Output) -> bool:
    return (a.kind, a.digest) == (b.kind, b.digest)


def _note_swap(item: Item, ours: Mapping[str, Output], theirs: Mapping[str, Output]) -> Item:
    """Return `item` with a note if its new content is the recorded content of another output."""
    if item.verdict != "different":
        return item
    before, now = ours[item.name], theirs[item.name]
    others = [name for name, o in ours.items() if name != item.name and _fits(o, now)]
    if not others:
        return item
    swapped = [name for name in others if name in theirs and _fits(theirs[name], before)]
    detail = (
        f"swapped with {swapped[0]}" if swapped else f"it has the recorded content of {others[0]}"
    )
    return msgspec.structs.replace(item, detail=detail)
