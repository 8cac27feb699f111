"""Entries of a diff, and the comparison of two mappings of forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from .. import codec
from ..records import JSON, Part

_SHOWN = 48


class Entry(Part, frozen=True):
    """A difference between two runs.

    Attributes:
        key: Dotted key of the value.
        change: ``changed``, ``added`` or ``removed``.
        left, right: Forms of both values.
        left_text, right_text: Descriptions of both values.
        ratio: right / left, for numbers.
        note: Additional information for display.
        better: True if a metric improved, False if it did not, None if that is unknown.
    """

    key: str
    change: Literal["changed", "added", "removed"]
    left: JSON = None
    right: JSON = None
    left_text: str = ""
    right_text: str = ""
    ratio: float | None = None
    note: str = ""
    better: bool | None = None


def text_of(form: JSON) -> str:
    """Return a short description of a form."""
    return codec.describe(form, width=_SHOWN)


def short(digest: JSON) -> str:
    """Return the first 12 digits of a digest."""
    return str(digest).removeprefix("blake3:")[:12]


def values(
    key: str, a: JSON, b: JSON, *, text: Callable[[JSON], str] = text_of, note: str = ""
) -> Iterator[Entry]:
    """Yield an entry if the two forms differ."""
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
    """Return a note if both values are redacted, or else ""."""
    if codec.tag_of(a) != "$redacted" or codec.tag_of(b) != "$redacted":
        return ""
    return markers_note(*({form["$redacted"]["marker"]} for form in (a, b)))


def markers_note(a: set[str], b: set[str]) -> str:
    """Return a note on two credentials with different markers, which are comparable only under the same key."""
    keys = {marker.partition("-")[0] for marker in (*a, *b)}
    return "changed (redacted)" if len(keys) < 2 else "redacted with different keys: not comparable"


def _ratio(a: JSON, b: JSON) -> float | None:
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, int | float) and isinstance(b, int | float) and a and b:
        return float(b / a)
    return None


def mappings(
    a: Mapping[str, JSON],
    b: Mapping[str, JSON],
    *,
    text: Callable[[JSON], str] = text_of,
    prefix: str = "",
) -> Iterator[Entry]:
    """Yield an entry for each key that only one mapping has or whose forms differ; lists are compared item by item."""
    for key in dict.fromkeys([*a, *b]):
        name = prefix + key
        if key not in b:
            yield Entry(key=name, change="removed", left=a[key], left_text=text(a[key]))
        elif key not in a:
            yield Entry(key=name, change="added", right=b[key], right_text=text(b[key]))
        else:
            yield from _inside(name, a[key], b[key], text)


def _inside(name: str, a: JSON, b: JSON, text: Callable[[JSON], str]) -> Iterator[Entry]:
    left, right = items(a), items(b)
    if left and right and codec.tag_of(a) == codec.tag_of(b):
        sides = [
            codec.flatten({f"{name}[{i}]": item for i, item in enumerate(side)})
            for side in (left, right)
        ]
        yield from mappings(*sides, text=text)
    else:
        yield from values(name, a, b, text=text)


def items(form: JSON) -> list[JSON] | None:
    """Return the items of a list or tuple form, or None for other forms."""
    if codec.tag_of(form) == "$tuple":
        form = form["$tuple"]
    return form if isinstance(form, list) else None
