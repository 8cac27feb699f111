"""Several values for a key: ``lr=0.1,0.01``, ``seed=0:10``, or the key given more than once.

A string that the type of the parameter accepts is one value: any string for a str parameter, with or without commas,
and a JSON list for a list parameter. Any other string is split at the commas outside brackets and quotes. Each part is
a value or a range of numbers, ``FIRST:END`` or ``FIRST:END:STEP``, which ends before END as in Python. For a parameter
without annotation and default, comma-separated JSON and ranges are several values, and any other string is one value.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ..errors import ConfigError
from .conversion import EMPTY
from .settings import Assignment, Settings, split_setting

# Limit for the values of a key and for the runs of a sweep, which are held in memory before the first run.
MOST = 100_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_INTEGER = re.compile(r"[+-]?\d+")
_CLOSING = {"[": "]", "{": "}", "(": ")"}


class Axis(NamedTuple):
    """A key with the strings of its values; `note` is a remark on a possible misunderstanding, or ""."""

    key: str
    texts: tuple[str, ...]
    note: str = ""


def find_axes(settings: Settings, texts: Sequence[str], *, values: Mapping[str, Any]) -> list[Axis]:
    """Return each key of the settings ``KEY=VALUE`` with all its values, in the order of the first occurrence.

    `values` are the arguments before the settings are applied. Raises ConfigError for a string that is neither one
    value nor several.
    """
    found: dict[str, list[str]] = {}
    notes: dict[str, str] = {}
    for text in texts:
        key, value = split_setting(text)
        several = _several(settings, key, value, values)
        if several is None and not notes.get(key):
            notes[key] = _doubt(settings, key, value, values)
        found.setdefault(key, []).extend([value] if several is None else several)
    return [Axis(key, tuple(several), notes.get(key, "")) for key, several in found.items()]


def cross(axes: Sequence[Axis]) -> Iterator[tuple[Assignment, ...]]:
    """Yield every combination; the values of the last key vary fastest. Raises ConfigError for more than `MOST`."""
    count = math.prod(len(axis.texts) for axis in axes)
    if count > MOST:
        message = f"{count:,} combinations are more than {MOST:,}: give fewer values"
        raise ConfigError(message, key=axes[0].key)
    for texts in itertools.product(*(axis.texts for axis in axes)):
        yield tuple(Assignment(axis.key, text) for axis, text in zip(axes, texts, strict=True))


def _several(
    settings: Settings, key: str, text: str, values: Mapping[str, Any]
) -> list[str] | None:
    """Return the values of a string that is several values, or None if it is one value."""
    hint, example = settings.type_of(key, values)
    if hint in (EMPTY, Any) and (example is EMPTY or example is None):
        parts = split_alternatives(text)
        single = len(parts) == 1 and not _RANGE.fullmatch(text.strip())
        is_one = single or _is_json(text) or not _are_plain(parts)
        return None if is_one else _expand(key, parts, is_float=False)
    try:
        settings.apply([Assignment(key, text)], values=values)
    except ConfigError as error:
        return _read_several(settings, key, text, values, error)
    return None


def _read_several(
    settings: Settings, key: str, text: str, values: Mapping[str, Any], error: ConfigError
) -> list[str]:
    """Return the values of a string that is not one value of the parameter's type, because of `error`."""
    parts = split_alternatives(text)
    hint, example = settings.type_of(key, values)
    several = _expand(key, parts, is_float=hint is float or type(example) is float)
    wrong: list[ConfigError] = []
    for part in dict.fromkeys(several):
        try:
            settings.apply([Assignment(key, part)], values=values)
        except ConfigError as found:
            wrong.append(found)
    if wrong:  # if no part is valid, the string was hardly meant as several values
        raise error if len(wrong) == len(set(several)) else wrong[0]
    return several


def _doubt(settings: Settings, key: str, text: str, values: Mapping[str, Any]) -> str:
    """Return a note on a string with commas that is one value, or "" if several values cannot have been meant."""
    parts = split_alternatives(text)
    if len(parts) < 2 or not all(re.fullmatch(r"[\w.+-]+", part) for part in parts):
        return ""
    if not isinstance(settings.apply([Assignment(key, text)], values=values).get(key), str):
        return ""
    each = " ".join(f"{key}={part}" for part in parts)
    return f"{key}={text} is one string; for one run per value, write {each}"


def split_alternatives(text: str) -> list[str]:
    """Split a string at the commas outside brackets and quotes."""
    parts, start = [], 0
    closing: list[str] = []
    quoted = escaped = False
    for at, char in enumerate(text):
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in _CLOSING:
            closing.append(_CLOSING[char])
        elif closing and char == closing[-1]:
            closing.pop()
        elif char == "," and not closing:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _expand(key: str, parts: Iterable[str], *, is_float: bool) -> list[str]:
    found: list[str] = []
    for part in parts:
        spans = _RANGE.fullmatch(part)
        if spans is None:
            found.append(part)
            continue
        several = expand_range(key, part, *spans.groups())
        if is_float and spans[3] is None and len(several) == 1:
            raise _needs_step(key, part, f"the range is the single value {several[0]}")
        found += several
    return found


def expand_range(key: str, text: str, first: str, end: str, step: str | None) -> list[str]:
    """Return the numbers of a range as exact decimal strings.

    Raises ConfigError for an empty range, for more than `MOST` numbers, and for fractions without a step.
    """
    if step is None and not (_INTEGER.fullmatch(first) and _INTEGER.fullmatch(end)):
        raise _needs_step(key, text, "a range of fractions needs a step")
    try:
        start, stride = Decimal(first), Decimal(step or 1)
        if stride == 0:
            raise ConfigError(f"{key}={text}: the step must not be 0", key=key)
        steps = (Decimal(end) - start) / stride
    except ArithmeticError as error:  # beyond the exponents of decimal
        raise ConfigError(f"{key}={text}: a number is too large or too small", key=key) from error
    if steps <= 0:
        raise ConfigError(f"{key}={text}: the range from {first} to {end} is empty", key=key)
    if steps > MOST:  # before int(), which takes minutes for 1e999999
        raise ConfigError(f"{key}={text}: more than {MOST:,} numbers", key=key)
    count = int(steps.to_integral_value("ROUND_CEILING"))
    return [str(start + stride * n) for n in range(count)]


def _needs_step(key: str, text: str, problem: str) -> ConfigError:
    return ConfigError(f"{key}={text}: {problem}; write {key}={text}:STEP", key=key)


def _are_plain(parts: Sequence[str]) -> bool:
    return all(_RANGE.fullmatch(part) or _is_json(part) for part in parts)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return text in ("True", "False", "None")
    return True
