"""JSON, JSON lines, YAML, TOML and notebooks, compared by value in any order of keys."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from ...codec import Difference, Numbers, same_number
from ...codec.comparing import steady_keys
from ...codec.differences import ONLY_NOISE, PLACE, excerpts, white_space_note
from .pair import Budget, ByteSource, Pair, UnreadableError
from .trackers import without_clock

_SHOWN = 60
_NUMBERS = (int, float, complex)


def compare_json(pair: Pair) -> Iterable[Difference]:
    """Compare two JSON documents."""
    return compare_loaded(pair, lambda side: without_clock(pair.name, json.loads(side.text())))


def compare_json_lines(pair: Pair) -> Iterable[Difference]:
    """Compare two files with one JSON document per line."""
    return compare_loaded(
        pair, lambda side: [json.loads(line) for line in side.text().splitlines() if line.strip()]
    )


def compare_yaml(pair: Pair) -> Iterable[Difference]:
    """Compare YAML documents with PyYAML's safe loader, which creates only plain values."""
    if find_spec("yaml") is None:
        raise UnreadableError("PyYAML is not installed")
    import yaml

    return compare_loaded(pair, lambda side: list(yaml.safe_load_all(side.text())))


def compare_toml(pair: Pair) -> Iterable[Difference]:
    """Compare TOML documents with tomllib or tomli."""
    if sys.version_info >= (3, 11):
        import tomllib
    elif find_spec("tomli") is not None:
        import tomli as tomllib
    else:
        raise UnreadableError("reading TOML needs Python 3.11 or the package tomli")
    return compare_loaded(pair, lambda side: tomllib.loads(side.text()))


def compare_notebook(pair: Pair) -> Iterable[Difference]:
    """Compare Jupyter notebooks, ignoring the ids and execution times of cells."""
    return compare_loaded(pair, lambda side: _without_ids(json.loads(side.text())))


def _without_ids(document: Any) -> Any:
    cells = document.get("cells", []) if isinstance(document, dict) else []
    for cell in cells:
        cell.pop("id", None)
        cell.get("metadata", {}).pop("execution", None)
    return document


def compare_loaded(pair: Pair, load: Callable[[ByteSource], Any]) -> Iterator[Difference]:
    """Compare the plain values that `load` reads from both sides."""
    walk = _ValueWalk(pair)
    yield from walk.walk(load(pair.a), load(pair.b), "")
    if walk.measurements and not walk.contents:
        yield Difference(path=pair.path, what="opaque", note=ONLY_NOISE)


def compare_values(pair: Pair, a: Any, b: Any, path: str = "") -> Iterator[Difference]:
    """Compare two plain values, nested in lists and dicts, at the place `path`."""
    return _ValueWalk(pair).walk(a, b, path)


class _ValueWalk:
    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._budget: Budget = pair.budget
        self._numbers: Numbers = pair.numbers
        self.contents = self.measurements = 0

    def walk(self, a: Any, b: Any, path: str) -> Iterator[Difference]:
        self._budget.take_values()  # aliases let a few lines of YAML expand to billions of values
        if isinstance(a, dict) and isinstance(b, dict):
            yield from self._walk_dicts(a, b, path)
            return
        if isinstance(a, list | tuple) and type(a) is type(b):
            yield from self._walk_lists(a, b, path)
            return
        self.contents += 1
        if type(a) in _NUMBERS and type(b) is type(a):
            if not same_number(a, b):
                yield self._measured(a, b, path) or self._number(a, b, path)
        elif type(a) is not type(b):
            yield self._changed(a, b, path, what="type")
        elif isinstance(a, str) and a != b:
            if self._numbers.same_text(a, b):
                yield self._changed(a, b, path, equal=True, note=PLACE)
            else:
                yield self._measured(a, b, path) or self._changed(a, b, path)
        elif a != b:
            yield self._changed(a, b, path)

    def _measured(self, a: Any, b: Any, path: str) -> Difference | None:
        """Return the difference of two durations or rates, or None if the values are content."""
        kind = self._numbers.measure(path, a, b)
        if not kind:
            return None
        self.contents -= 1
        self.measurements += 1
        return self._changed(a, b, path, equal=True, note=kind)

    def _number(self, a: Any, b: Any, path: str) -> Difference:
        abs_error, rel_error, close = self._numbers.at(path).errors(a, b)
        return self._changed(a, b, path, abs_error=abs_error, rel_error=rel_error, close=close)

    def _changed(self, a: Any, b: Any, path: str, **more: Any) -> Difference:
        left, right = _text(a), _text(b)
        if isinstance(a, str) and isinstance(b, str):
            left, right = excerpts(repr(a), repr(b), width=_SHOWN)
            more.setdefault("note", white_space_note(a, b))
        return Difference(path=self._pair.place(path), left=left, right=right, **more)

    def _walk_dicts(self, a: Any, b: Any, path: str) -> Iterator[Difference]:
        a, b = (steady_keys(self._numbers, side, i) for i, side in enumerate((a, b)))
        for key in a:
            place = _key_place(path, key)
            if key in b:
                yield from self.walk(a[key], b[key], place)
            else:
                yield self._gone(place, a[key])
        for key in b:
            if key not in a:
                yield self._new(_key_place(path, key), b[key])

    def _walk_lists(self, a: Any, b: Any, path: str) -> Iterator[Difference]:
        for i, (left, right) in enumerate(zip(a, b, strict=False)):
            yield from self.walk(left, right, f"{path}[{i}]")
        for i in range(len(b), len(a)):
            yield self._gone(f"{path}[{i}]", a[i])
        for i in range(len(a), len(b)):
            yield self._new(f"{path}[{i}]", b[i])

    def _gone(self, path: str, value: Any) -> Difference:
        return Difference(path=self._pair.place(path), what="removed", left=_text(value))

    def _new(self, path: str, value: Any) -> Difference:
        return Difference(path=self._pair.place(path), what="added", right=_text(value))


def _key_place(path: str, key: Any) -> str:
    text = key if isinstance(key, str) else f"[{key!r}]"
    return f"{path}.{text}" if path else text


def _text(value: Any) -> str:
    """Return a short description of a value; a container is only counted."""
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, str):
        value = value[: _SHOWN + 1]
    text = str(value) if isinstance(value, dt.date | dt.time) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
