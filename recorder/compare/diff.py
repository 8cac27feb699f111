"""What is different about two runs, section by section.

Numbers, ids, times, durations, hosts and pids do not count: they are never the same. Everything else does:
experiment, config, code, environment, seed, inputs, metrics, outputs, result, status, and what was redacted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from .. import codec
from ..points import SAMPLED
from ..records import JSON, Code, Part, Record
from . import ObjectReader
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
_SHOWN = 48

# The files of a snapshot: each one's blob by its path.
Files = Callable[[str], Mapping[str, str]]


class Entry(Part, frozen=True):
    """One difference: a dotted `key`, what became of it, and both sides as forms and as text.

    `ratio` is right / left for numbers; `note` says what the sides alone do not.
    """

    key: str
    change: Literal["changed", "added", "removed"]
    left: JSON = None
    right: JSON = None
    left_text: str = ""
    right_text: str = ""
    ratio: float | None = None
    note: str = ""


class Diff(Part, frozen=True):
    """The differences of the runs `a` and `b` (their numbers), those of each section by its name."""

    a: int
    b: int
    sections: Mapping[str, tuple[Entry, ...]]

    @property
    def same(self) -> bool:
        """Whether there is none."""
        return not any(self.sections.values())

    def only(self, section: str) -> Diff:
        """The same with that one section; KeyError where there is none of that name."""
        return Diff(a=self.a, b=self.b, sections={section: self.sections[section]})

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON: ``{"a", "b", "same", "sections": {name: [entry]}}``, an entry as its fields."""
        found: dict[str, JSON] = msgspec.to_builtins(self)
        return {"a": self.a, "b": self.b, "same": self.same, "sections": found["sections"]}


def diff(a: Record, b: Record, objects: ObjectReader, *, files: Files | None = None) -> Diff:
    """What is different about the runs `a` and `b`. With `files`, the files of their code are named too."""
    sections: dict[str, Iterator[Entry]] = {
        "experiment": _experiment(a, b),
        "config": _mappings(codec.flatten(a.config), codec.flatten(b.config)),
        "code": _code(a, b, files),
        "environment": _environment(a, b, objects),
        "seed": _value("seed", a.seed, b.seed),
        "inputs": _mappings(*({i.path: i.digest for i in r.inputs} for r in (a, b)), text=_short),
        "metrics": _metrics(a, b),
        "outputs": _outputs(a, b),
        "result": _result(a, b, objects),
        "status": _status(a, b),
        "redacted": _redacted(a, b),
    }
    return Diff(
        a=a.number, b=b.number, sections={name: tuple(found) for name, found in sections.items()}
    )


def varying_keys(records: Sequence[Record]) -> list[str]:
    """The dotted config keys whose values are not the same in all records, in the order of their first use."""
    flat = [codec.flatten(record.config) for record in records]
    keys = dict.fromkeys(key for config in flat for key in config)
    absent = object()
    return [
        key
        for key in keys
        if len({codec.identity(c[key]) if key in c else absent for c in flat}) > 1
    ]


def _text(form: JSON) -> str:
    return codec.describe(form, width=_SHOWN)


def _short(digest: JSON) -> str:
    return str(digest).removeprefix("blake3:")[:12]


def _value(
    key: str, a: JSON, b: JSON, *, text: Callable[[JSON], str] = _text, note: str = ""
) -> Iterator[Entry]:
    """An entry where the two forms are not the same."""
    if codec.identity(a) != codec.identity(b):
        ratio = _ratio(a, b)
        yield Entry(
            key=key,
            change="changed",
            left=a,
            right=b,
            left_text=text(a),
            right_text=text(b),
            ratio=ratio,
            note=note or _redacted_note(a, b),
        )


def _redacted_note(a: JSON, b: JSON) -> str:
    """What can be said of values that are not known: under one key, unlike markers mean unlike values."""
    if codec.tag_of(a) != "$redacted" or codec.tag_of(b) != "$redacted":
        return ""
    return _markers_note(*({form["$redacted"]["marker"]} for form in (a, b)))


def _markers_note(a: set[str], b: set[str]) -> str:
    keys = {marker.partition("-")[0] for marker in (*a, *b)}
    return "changed (redacted)" if len(keys) < 2 else "redacted under another key: cannot be told"


def _ratio(a: JSON, b: JSON) -> float | None:
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, int | float) and isinstance(b, int | float) and a and b:
        return float(b / a)
    return None


def _mappings(
    a: Mapping[str, JSON],
    b: Mapping[str, JSON],
    *,
    text: Callable[[JSON], str] = _text,
    prefix: str = "",
) -> Iterator[Entry]:
    """An entry for each key that only one has, or whose forms differ; lists are gone into item by item."""
    for key in dict.fromkeys([*a, *b]):
        name = prefix + key
        if key not in b:
            yield Entry(key=name, change="removed", left=a[key], left_text=text(a[key]))
        elif key not in a:
            yield Entry(key=name, change="added", right=b[key], right_text=text(b[key]))
        else:
            yield from _inside(name, a[key], b[key], text)


def _inside(name: str, a: JSON, b: JSON, text: Callable[[JSON], str]) -> Iterator[Entry]:
    left, right = _items(a), _items(b)
    if left and right and codec.tag_of(a) == codec.tag_of(b):
        sides = [{f"[{i}]": item for i, item in enumerate(items)} for items in (left, right)]
        yield from _mappings(*sides, text=text, prefix=name)
    else:
        yield from _value(name, a, b, text=text)


def _items(form: JSON) -> list[JSON] | None:
    """The items of a list or tuple, None for anything else."""
    if codec.tag_of(form) == "$tuple":
        form = form["$tuple"]
    return form if isinstance(form, list) else None


# The sections


def _experiment(a: Record, b: Record) -> Iterator[Entry]:
    yield from _value("name", a.experiment, b.experiment)
    for key in ("module", "qualname", "signature", "file"):
        yield from _value(key, getattr(a.function, key), getattr(b.function, key))


def _code(a: Record, b: Record, files: Files | None) -> Iterator[Entry]:
    """The experiment's own source apart from the rest of the files."""
    yield from _value(
        "source",
        a.function.source,
        b.function.source,
        text=_short,
        note="the experiment's code changed",
    )
    if a.code is None or b.code is None:
        return
    for key in ("commit", "branch", "remote", "dirty"):
        text = _commit if key == "commit" else _text
        yield from _value(key, getattr(a.code, key), getattr(b.code, key), text=text)
    modules = ({f"submodule {s.path}": s.commit for s in c.submodules} for c in (a.code, b.code))
    yield from _mappings(*modules, text=_commit)
    yield from _projects(a.code, b.code, files)
    left, right = a.code.snapshot, b.code.snapshot
    if left is None or right is None or files is None:
        yield from _value("snapshot", left, right, text=_commit)
    elif left != right:
        same_source = a.function.source == b.function.source
        note = "only other files changed" if same_source else ""
        for entry in _mappings(
            files(left), files(right), text=lambda blob: str(blob)[:10], prefix="file "
        ):
            yield msgspec.structs.replace(entry, note=note)


def _projects(a: Code, b: Code, files: Files | None) -> Iterator[Entry]:
    """What the runs imported from projects outside their own: commits, and the files of those that both have."""
    left, right = ({project.name: project for project in code.projects} for code in (a, b))
    snapshots = ({f"project {n}": p.snapshot for n, p in found.items()} for found in (left, right))
    differing = list(_mappings(*snapshots, text=_commit))
    for entry in differing:
        name = entry.key.removeprefix("project ")
        if entry.change != "changed" or files is None or not (entry.left and entry.right):
            yield entry
            continue
        yield from _value(
            f"{entry.key} commit", left[name].commit, right[name].commit, text=_commit
        )
        yield from _mappings(
            files(entry.left),
            files(entry.right),
            text=lambda blob: str(blob)[:10],
            prefix=f"{entry.key} file ",
        )


def _commit(id: JSON) -> str:
    return str(id)[:12]


def _environment(a: Record, b: Record, objects: ObjectReader) -> Iterator[Entry]:
    """What was imported comes first, and is said to be."""
    left, right = facts(a, b, objects)
    for entry in _mappings(left.known, right.known):
        package = entry.key.removeprefix("packages.")
        imported = package != entry.key and package in left.imported | right.imported
        note = "imported" if imported else entry.note
        if not _follows(entry.key, left.known, right.known):
            yield msgspec.structs.replace(entry, note=note)


def _follows(key: str, a: Mapping[str, JSON], b: Mapping[str, JSON]) -> bool:
    """Whether a flag differs at the beginning as it does at the end, where it has been said."""
    end = key.replace("torch, at the beginning, ", "torch.")
    return end != key and (a.get(key), b.get(key)) == (a.get(end), b.get(end))


def _metrics(a: Record, b: Record) -> Iterator[Entry]:
    left, right = (
        {name: m.last for name, m in r.metrics.items() if not name.startswith(SAMPLED)}
        for r in (a, b)
    )
    for entry in _mappings(left, right):
        yield msgspec.structs.replace(entry, note=_describe_change(entry.left, entry.right))
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
    return f"{count} points from {_text(least)} to {_text(greatest)}"


def _describe_change(a: JSON, b: JSON) -> str:
    """``+0.012 (+1.3%)`` for numbers."""
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
        return _text(output.form)
    return f"{output.kind} of {output.size_bytes} bytes, {_short(output.digest)}"


def _result(a: Record, b: Record, objects: ObjectReader) -> Iterator[Entry]:
    """The places in which the results differ, where both have one."""
    found = codec.compare(a.result, b.result, load=objects.read)
    names = {"added": "added", "removed": "removed"}
    for difference in found.differences:
        yield Entry(
            key=difference.path or "result",
            change=names.get(difference.what, "changed"),  # type: ignore[arg-type]
            left_text=difference.left,
            right_text=difference.right,
            note=""
            if difference.count is None
            else f"{difference.count} of {difference.size} elements",
        )


def _status(a: Record, b: Record) -> Iterator[Entry]:
    yield from _value("status", a.status, b.status)
    for key in ("type", "message"):
        left, right = (getattr(r.failure, key) if r.failure is not None else None for r in (a, b))
        yield from _value(f"failure.{key}", left, right)


def _redacted(a: Record, b: Record) -> Iterator[Entry]:
    """Credentials outside the config and the variables, which show them in their places."""
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
                note=_markers_note(one, other) if change == "changed" else "",
            )


def _markers(record: Record) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in record.redacted:
        if not one.place.startswith(("config.", "variables.", "result")):
            found.setdefault(one.place, set()).add(one.marker)
    return found
