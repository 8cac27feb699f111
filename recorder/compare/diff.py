"""Differences between two runs, by section.

Run numbers, ids, times, durations, hosts and process ids are ignored, because they differ in every run. The sections
are experiment, config, code, environment, seed, inputs, metrics, outputs, result, status and redacted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .. import codec
from ..formats.points import SAMPLED
from ..records import JSON, Part, Record
from . import ObjectReader
from .code import Files, code_entries
from .direction import Directions
from .entries import Entry, mappings, markers_note, short, text_of, values
from .environment import facts

SECTIONS = (
    "experiment",
    "config",
    "code",
    "environment",
    "seed",
    "inputs",
    "metrics",
    "outputs",
    "result",
    "status",
    "redacted",
)


class Diff(Part, frozen=True):
    """The differences between two runs.

    Attributes:
        a, b: Numbers of the runs; `b` is 0 for the working tree.
        sections: Differences by the name of the section.
    """

    a: int
    b: int
    sections: Mapping[str, tuple[Entry, ...]]

    @property
    def same(self) -> bool:
        """Return True if there is no difference."""
        return not any(self.sections.values())

    def only(self, *sections: str) -> Diff:
        """Return a copy with the given sections; raise KeyError for an unknown section."""
        return msgspec.structs.replace(self, sections={n: self.sections[n] for n in sections})

    def to_json(self) -> dict[str, JSON]:
        """Return plain JSON: ``{"a", "b", "same", "sections": {name: [entry]}}``.

        An entry has the fields of `Entry`, without those that have their default value.
        """
        found: dict[str, JSON] = msgspec.to_builtins(self)
        return {"a": self.a, "b": self.b, "same": self.same, "sections": found["sections"]}


def diff(
    a: Record,
    b: Record,
    objects: ObjectReader,
    *,
    files: Files | None = None,
    directions: Directions = Directions(),  # noqa: B008 - a constant
) -> Diff:
    """Compare the runs `a` and `b`.

    `files` lists the files of a snapshot, so that changed files are reported by name. `directions` tells whether a
    metric improves upwards or downwards.
    """
    sections: dict[str, Iterator[Entry]] = {
        "experiment": _experiment(a, b),
        "config": mappings(codec.flatten(a.config), codec.flatten(b.config)),
        "code": code_entries(a, b, files),
        "environment": _environment(a, b, objects),
        "seed": values("seed", a.seed, b.seed),
        "inputs": mappings(*({i.path: i.digest for i in r.inputs} for r in (a, b)), text=short),
        "metrics": _metrics(a, b, directions),
        "outputs": _outputs(a, b),
        "result": _result(a, b, objects),
        "status": _status(a, b),
        "redacted": _redacted(a, b),
    }
    return Diff(
        a=a.number, b=b.number, sections={name: tuple(found) for name, found in sections.items()}
    )


def _experiment(a: Record, b: Record) -> Iterator[Entry]:
    yield from values("name", a.experiment, b.experiment)
    for key in ("module", "qualname", "signature", "file"):
        yield from values(key, getattr(a.function, key), getattr(b.function, key))


def _environment(a: Record, b: Record, objects: ObjectReader) -> Iterator[Entry]:
    """Yield the differences in the environment, those in imported packages first."""
    left, right = facts(a, b, objects)
    for entry in mappings(left.known, right.known):
        package = entry.key.removeprefix("packages.")
        imported = package != entry.key and package in left.imported | right.imported
        note = "imported" if imported else entry.note
        if not _follows(entry.key, left.known, right.known):
            yield msgspec.structs.replace(entry, note=note)


def _follows(key: str, a: Mapping[str, JSON], b: Mapping[str, JSON]) -> bool:
    """Return True if a flag differs at the beginning exactly as it does at the end, which is reported already."""
    end = key.replace("torch, at the beginning, ", "torch.")
    return end != key and (a.get(key), b.get(key)) == (a.get(end), b.get(end))


def _metrics(a: Record, b: Record, directions: Directions) -> Iterator[Entry]:
    left, right = (
        {name: m.last for name, m in r.metrics.items() if not name.startswith(SAMPLED)}
        for r in (a, b)
    )
    for entry in mappings(left, right):
        yield msgspec.structs.replace(
            entry,
            note=_describe_change(entry.left, entry.right),
            better=directions.is_better(entry.key, entry.left, entry.right),
        )
    named = {entry for entry in left if entry in right and left[entry] == right[entry]}
    for name in sorted(named):
        one, other = a.metrics[name], b.metrics[name]
        if (one.count, one.min, one.max) != (other.count, other.min, other.max):
            yield Entry(
                key=name,
                change="changed",
                left=one.last,
                right=other.last,
                left_text=_describe_series(one.count, one.min, one.max),
                right_text=_describe_series(other.count, other.min, other.max),
                note="the last value is the same",
            )


def _describe_series(count: int, least: JSON, greatest: JSON) -> str:
    return f"{count} points from {text_of(least)} to {text_of(greatest)}"


def _describe_change(a: JSON, b: JSON) -> str:
    """Return the change of a number, such as ``+0.012 (+1.3%)``."""
    if not (isinstance(a, int | float) and isinstance(b, int | float)):
        return ""
    relative = f" ({(b - a) / abs(a):+.1%})" if a else ""
    return f"{b - a:+.4g}{relative}"


def _outputs(a: Record, b: Record) -> Iterator[Entry]:
    left, right = ({o.name: o for o in r.outputs} for r in (a, b))
    for name in dict.fromkeys([*left, *right]):
        one, other = left.get(name), right.get(name)
        if one is None and other is not None:
            yield Entry(
                key=name, change="added", right=other.digest, right_text=_describe_output(other)
            )
        elif other is None and one is not None:
            yield Entry(
                key=name, change="removed", left=one.digest, left_text=_describe_output(one)
            )
        elif (
            one is not None
            and other is not None
            and (one.digest, one.kind) != (other.digest, other.kind)
        ):
            yield Entry(
                key=name,
                change="changed",
                left=one.digest,
                right=other.digest,
                left_text=_describe_output(one),
                right_text=_describe_output(other),
            )


def _describe_output(output: Any) -> str:
    if output.kind == "value":
        return text_of(output.form)
    return f"{output.kind} of {output.size_bytes} bytes, {short(output.digest)}"


def _result(a: Record, b: Record, objects: ObjectReader) -> Iterator[Entry]:
    """Yield the differences between the results."""
    found = codec.compare(a.result, b.result, load=objects.read)
    left, right = (codec.flatten({"result": record.result}) for record in (a, b))
    names = {"added": "added", "removed": "removed"}
    for difference in found.differences:
        place = f"result.{difference.path}".rstrip(".")
        yield Entry(
            key=difference.path or "result",
            change=names.get(difference.what, "changed"),  # type: ignore[arg-type]
            left=left.get(place),
            right=right.get(place),
            left_text=difference.left,
            right_text=difference.right,
            note=""
            if difference.count is None
            else f"{difference.count} of {difference.size} elements",
        )


def _status(a: Record, b: Record) -> Iterator[Entry]:
    yield from values("status", a.status, b.status)
    for key in ("type", "message"):
        left, right = (getattr(r.failure, key) if r.failure is not None else None for r in (a, b))
        yield from values(f"failure.{key}", left, right)


def _redacted(a: Record, b: Record) -> Iterator[Entry]:
    """Yield the differences in credentials, except those in the config, the variables and the result, shown there."""
    left, right = (_markers(record) for record in (a, b))
    for place in dict.fromkeys([*left, *right]):
        one, other = left.get(place, set()), right.get(place, set())
        if one != other:
            change = "changed" if one and other else "added" if other else "removed"
            yield Entry(
                key=place,
                change=change,  # type: ignore[arg-type]
                left=sorted(one),
                right=sorted(other),
                left_text="<redacted>" if one else "",
                right_text="<redacted>" if other else "",
                note=markers_note(one, other) if change == "changed" else "",
            )


def _markers(record: Record) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in record.redacted:
        if not one.place.startswith(("config.", "variables.", "result")):
            found.setdefault(one.place, set()).add(one.marker)
    return found
