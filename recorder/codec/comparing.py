"""Comparison of two forms: every place at which they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ..digest import canonical_json
from ..records import JSON
from .arrays import compare_arrays
from .differences import (
    ONLY_NOISE,
    PLACE,
    Comparison,
    Difference,
    Findings,
    Number,
    Numbers,
    excerpts,
    same_number,
    white_space_note,
)
from .forms import UNORDERED, canonical, describe, tag_of
from .numpy import decode_scalar, map_array
from .pandas import compare_frames
from .torch import widening

_SHOWN = 60
_LONGEST_SHOWN = 100_000
_CONTAINERS = frozenset(
    ("$tuple", "$dict", "$collection", "$dataclass", "$instance", "$model", "$namedtuple")
)


class Comparer:
    """Compares forms; `load` returns payloads by digest, `numbers` decides which numbers are close."""

    def __init__(self, load: Callable[[str], bytes | memoryview], numbers: Numbers) -> None:
        self._load = load
        self._numbers = numbers
        self._found = Findings()
        self._contents = self._measurements = 0

    def compare(self, a: JSON, b: JSON) -> Comparison:
        """Return the verdict on two forms that are not identical."""
        self._found = Findings()
        self._walk(a, b, "")
        if self._measurements and not self._contents:
            self._found.add(Difference(path="", what="opaque", note=ONLY_NOISE))
        return self._found.conclude()

    def _note(self, path: str, a: JSON, b: JSON, what: Any = "changed", **more: Any) -> None:
        left, right = describe(a, width=_SHOWN), describe(b, width=_SHOWN)
        if left == right:  # the difference is beyond the width, or in white space
            full = repr(a) if isinstance(a, str) else describe(a, width=_LONGEST_SHOWN)
            other = repr(b) if isinstance(b, str) else describe(b, width=_LONGEST_SHOWN)
            left, right = excerpts(full, other, width=_SHOWN)
        self._found.add(Difference(path=path, what=what, left=left, right=right, **more))

    def _walk(self, a: JSON, b: JSON, path: str) -> None:
        a, b = self._inline(a), self._inline(b)
        tag, other = tag_of(a), tag_of(b)
        left, right = _number(a), _number(b)
        self._contents += not (tag in _CONTAINERS or (tag is None and isinstance(a, dict | list)))
        if left is not None and right is not None and type(left) is type(right):
            self._numbers_differ(a, b, left, right, path)
        elif tag != other or type(a) is not type(b):
            self._note(path, a, b, "type" if type(a) is not type(b) or tag or other else "changed")
        elif tag == "$path" and a[tag]["type"] == b[tag]["type"]:
            self._compare_text(a, b, a[tag]["text"], b[tag]["text"], path)
        elif tag is not None:
            self._walk_tagged(tag, a, b, path)
        elif isinstance(a, list):
            self._walk_lists(a, b, path)
        elif isinstance(a, dict):
            self._walk_keys(a, b, path, lambda key: f"{path}.{key}" if path else key)
        elif isinstance(a, str):
            self._compare_text(a, b, a, b, path)
        elif a != b:
            self._note(path, a, b)

    def _compare_text(self, a: JSON, b: JSON, left: str, right: str, path: str) -> None:
        if left == right:
            return
        kind = self._numbers.measure(path, left, right)
        if kind:
            self._note_measurement(path, a, b, kind)
        elif self._numbers.same_text(left, right):
            self._note(path, a, b, equal=True, note=PLACE)
        else:
            self._note(path, a, b, note=white_space_note(left, right))

    def _note_measurement(self, path: str, a: JSON, b: JSON, kind: str) -> None:
        self._contents -= 1
        self._measurements += 1
        self._note(path, a, b, equal=True, note=kind)

    def _inline(self, form: JSON) -> JSON:
        if tag_of(form) == "$json":
            return msgspec.json.decode(self._load(form["$json"]["object"]))
        return form

    def _numbers_differ(self, a: JSON, b: JSON, left: Number, right: Number, path: str) -> None:
        if same_number(left, right):
            return
        kind = self._numbers.measure(path, left, right)
        if kind:
            self._note_measurement(path, a, b, kind)
        else:
            abs_error, rel_error, close = self._numbers.at(path).errors(left, right)
            self._note(path, a, b, abs_error=abs_error, rel_error=rel_error, close=close)

    def _walk_lists(self, a: list[JSON], b: list[JSON], path: str) -> None:
        for i, (left, right) in enumerate(zip(a, b, strict=False)):
            self._walk(left, right, f"{path}[{i}]")
        for i, form in enumerate(a[len(b) :], start=len(b)):
            self._gone(f"{path}[{i}]", form)
        for i, form in enumerate(b[len(a) :], start=len(a)):
            self._new(f"{path}[{i}]", form)

    def _gone(self, path: str, form: JSON) -> None:
        self._found.add(Difference(path=path, what="removed", left=describe(form, width=_SHOWN)))

    def _new(self, path: str, form: JSON) -> None:
        self._found.add(Difference(path=path, what="added", right=describe(form, width=_SHOWN)))

    def _walk_keys(
        self, a: dict[str, JSON], b: dict[str, JSON], path: str, place: Callable[[str], str]
    ) -> None:
        a, b = (steady_keys(self._numbers, side, i) for i, side in enumerate((a, b)))
        for key in a:
            if key in b:
                self._walk(a[key], b[key], place(key))
            else:
                self._gone(place(key), a[key])
        for key in b:
            if key not in a:
                self._new(place(key), b[key])

    def _walk_tagged(self, tag: str, a: JSON, b: JSON, path: str) -> None:
        left, right = a[tag], b[tag]
        if tag == "$opaque":
            self._note(path, a, b, "opaque")
        elif tag == "$pickle":
            if left["object"] != right["object"]:
                self._note(path, a, b, "opaque")
        elif tag in ("$array", "$tensor", "$frame"):
            self._walk_payloads(tag, a, b, path)
        elif tag in ("$tuple", "$timedelta"):
            self._walk_lists(left, right, path)
        elif tag in UNORDERED:
            self._walk_members(left, right, path)
        elif tag == "$dict":
            self._walk_pairs(left, right, path)
        elif tag == "$collection" and left["type"] == right["type"] != "deque":
            self._walk_pairs(left["items"], right["items"], path)
        elif (
            tag in ("$dataclass", "$instance", "$model", "$namedtuple")
            and left["type"] == right["type"]
        ):
            self._walk_keys(
                left["fields"], right["fields"], path, lambda k: f"{path}.{k}" if path else k
            )
        elif canonical(a) != canonical(b):
            self._note(path, a, b)

    def _walk_members(self, a: list[JSON], b: list[JSON], path: str) -> None:
        left, right = _by_text(a), _by_text(b)
        for text in left.keys() - right.keys():
            self._gone(f"{path}{{}}", left[text])
        for text in right.keys() - left.keys():
            self._new(f"{path}{{}}", right[text])

    def _walk_pairs(self, a: list[list[JSON]], b: list[list[JSON]], path: str) -> None:
        left = {_text(key): value for key, value in a}
        right = {_text(key): value for key, value in b}
        shown = {_text(key): describe(key, width=30) for key, _ in [*a, *b]}
        self._walk_keys(left, right, path, lambda key: f"{path}[{shown[key]}]")

    def _walk_payloads(self, tag: str, a: JSON, b: JSON, path: str) -> None:
        left, right = a[tag], b[tag]
        for what in ("shape", "dtype", "type", "name", "parameter"):
            if left.get(what) != right.get(what):
                self._note(path, a, b, what if what in ("shape", "dtype") else "type")
                return
        if left["object"] == right["object"]:
            return
        data = self._load(left["object"]), self._load(right["object"])
        if tag == "$frame":
            self._found.extend(compare_frames(path, *data, self._numbers.at(path)))
            return
        first, second = map_array(data[0]), map_array(data[1])
        widen = widening(left["dtype"]) if tag == "$tensor" else None
        found = compare_arrays(path, first, second, self._numbers.at(path), widen=widen)
        kind = self._measure_arrays(path, first, second)
        if found and kind:
            self._note_measurement(path, a, b, kind)
        else:
            self._found.extend(found)

    def _measure_arrays(self, path: str, first: Any, second: Any) -> str:
        """Return the kind of measurement of two arrays of floats, judged by their least and greatest elements."""
        arrays = (first, second)
        if any(array.dtype.kind != "f" or not array.size for array in arrays):
            return ""
        bounds = [float(bound) for array in arrays for bound in (array.min(), array.max())]
        return self._numbers.measure(path, *bounds)


def steady_keys(numbers: Numbers, items: dict[Any, Any], side: int) -> dict[Any, Any]:
    """Return a dict of side 0 or 1 with its keys in the form in which they are compared."""
    if not numbers.has_places:
        return items
    steady = {
        numbers.steady(key, side) if isinstance(key, str) else key: value
        for key, value in items.items()
    }
    return steady if len(steady) == len(items) else items


def _text(form: JSON) -> str:
    return canonical_json(canonical(form)).decode()


def _by_text(forms: Iterable[JSON]) -> dict[str, JSON]:
    return {_text(form): form for form in forms}


def _number(form: JSON) -> Number | None:
    """Return the number of a plain, ``$float``, ``$int``, ``$complex`` or NumPy scalar form, or None."""
    if isinstance(form, int | float) and not isinstance(form, bool):
        return form
    tag = tag_of(form)
    if tag == "$float":
        return float(form[tag])
    if tag == "$int":
        return int(form[tag], 0)
    if tag == "$complex":
        real, imaginary = (_number(part) for part in form[tag])
        return complex(real, imaginary)  # type: ignore[arg-type]
    if tag == "$numpy" and form[tag]["dtype"].startswith(("float", "int", "uint", "complex")):
        value = decode_scalar(form[tag])
        number: Number = value.item()
        wide = (
            complex if value.dtype.kind == "c" else float
        )  # item() of a longdouble is a longdouble
        return number if isinstance(number, int | float | complex) else wide(number)
    return None
