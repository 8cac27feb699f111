"""Values that vary over several runs, by key, for ``recorder diff A B C``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from .. import codec
from ..formats.points import SAMPLED
from ..records import JSON, Part, Record
from . import ObjectReader
from .code import Files
from .diff import SECTIONS, diff
from .entries import Entry, items, text_of

# Sections that are compared leaf by leaf; the others by their differences from the first run.
_LEAVES = ("config", "metrics", "result")
_DETAILS = ("min", "max", "count")


class Row(Part, frozen=True):
    """The values of one key: a form and a description per run, in order; the description is None if a run lacks it."""

    key: str
    values: tuple[JSON, ...]
    texts: tuple[str | None, ...]


class Variation(Part, frozen=True):
    """The values that differ between the runs with the numbers `runs`: rows by section."""

    runs: tuple[int, ...]
    sections: Mapping[str, tuple[Row, ...]]

    @property
    def same(self) -> bool:
        """Return True if nothing varies."""
        return not any(self.sections.values())

    def only(self, *sections: str) -> Variation:
        """Return a copy with the given sections; raise KeyError for an unknown section."""
        return Variation(runs=self.runs, sections={name: self.sections[name] for name in sections})

    def to_json(self) -> dict[str, JSON]:
        """Return plain JSON: ``{"runs", "same", "sections": {name: [{"key", "values", "texts"}]}}``."""
        found: dict[str, JSON] = msgspec.to_builtins(self)
        return {"runs": found["runs"], "same": self.same, "sections": found["sections"]}


def compare_runs(
    records: Sequence[Record], objects: ObjectReader, *, files: Files | None = None
) -> Variation:
    """Return the values that vary over the runs: configs, metrics and results by leaf, other sections as in `diff`."""
    first, *others = records
    diffs = [diff(first, other, objects, files=files) for other in others]
    leaves = {
        "config": [_leaves(codec.flatten(record.config)) for record in records],
        "metrics": [_metrics(record) for record in records],
        "result": [_result(record, objects) for record in records],
    }
    sections = {}
    for name in SECTIONS:
        entries = [found.sections[name] for found in diffs]
        sections[name] = tuple(_varying(leaves[name]) if name in _LEAVES else _differing(entries))
    sections["metrics"] = tuple(_without_details(sections["metrics"]))
    return Variation(runs=tuple(record.number for record in records), sections=sections)


def _differing(found: Sequence[Sequence[Entry]]) -> Iterator[Row]:
    """Yield rows from the differences of each run from the first run."""
    by_key = [{entry.key: entry for entry in entries} for entries in found]
    for key in dict.fromkeys(key for entries in by_key for key in entries):
        base = next(entries[key] for entries in by_key if key in entries)
        values, texts = [base.left], [None if base.change == "added" else base.left_text]
        for entries in by_key:
            entry = entries.get(key)
            values.append(base.left if entry is None else entry.right)
            gone = entry is not None and entry.change == "removed"
            texts.append(texts[0] if entry is None else None if gone else entry.right_text)
        yield Row(key=key, values=tuple(values), texts=tuple(texts))


def _varying(sides: Sequence[Mapping[str, JSON]]) -> Iterator[Row]:
    for key in dict.fromkeys(key for side in sides for key in side):
        texts = tuple(text_of(side[key]) if key in side else None for side in sides)
        if len({codec.identity(side[key]) if key in side else None for side in sides}) > 1:
            yield Row(key=key, values=tuple(side.get(key) for side in sides), texts=texts)


def _without_details(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows without the min, max and count of metrics whose last values vary."""
    keys = {row.key for row in rows}
    for row in rows:
        name, _, part = row.key.rpartition(".")
        if part not in _DETAILS or name not in keys:
            yield row


def _leaves(forms: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the forms with each item of lists and tuples under a separate key."""
    found: dict[str, JSON] = {}
    for key, form in forms.items():
        inside = items(form)
        if inside:
            numbered = {f"{key}[{i}]": item for i, item in enumerate(inside)}
            found |= _leaves(codec.flatten(numbered))
        else:
            found[key] = form
    return found


def _metrics(record: Record) -> dict[str, JSON]:
    """Return the last values, and min, max and count to distinguish series with the same last value."""
    found: dict[str, JSON] = {}
    for name, metric in sorted(record.metrics.items()):
        if not name.startswith(SAMPLED):
            found[name] = metric.last
            if metric.count > 1:
                found |= {f"{name}.{part}": getattr(metric, part) for part in _DETAILS}
    return found


def _result(record: Record, objects: ObjectReader) -> dict[str, JSON]:
    form = codec.inline(record.result, objects.read)
    return _leaves(codec.flatten({"result": form}))
