"""Several values for a key: ``lr=0.1,0.01``, ``seed=0:10``, or the key more than once.

What a parameter takes as it stands is one value: any text where a text is wanted, however many commas are in it, and a
list in JSON. Else it is taken apart at its commas, those in brackets and quotes left out, and each part is a value, or
a range of numbers, ``FIRST:END`` or ``FIRST:END:STEP``, that ends before END as Python's do. Where neither annotation
nor default says what is wanted, numbers and other JSON between commas, and ranges, are several values, and any other
text is one.
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

# More runs than anybody means, and more values of one key: they are written out before they are run.
MOST = 100_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_CLOSING = {"[": "]", "{": "}", "(": ")"}


class Axis(NamedTuple):
    """A key, and the texts of its values; `note` says what may not have been meant."""

    key: str
    texts: tuple[str, ...]
    note: str = ""


def find_axes(settings: Settings, texts: Sequence[str], *, values: Mapping[str, Any]) -> list[Axis]:
    """Each key of the texts ``KEY=VALUE`` with all its values, in the order in which the keys came.

    `values` are the arguments that the texts are put over. Raises ConfigError for a text that can be read neither as
    one value nor as several.
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
    """Every combination, the last key's values going round first. Raises ConfigError for more than `MOST`."""
    count = math.prod(len(axis.texts) for axis in axes)
    if count > MOST:
        raise ConfigError(f"{count:,} combinations, more than {MOST:,}", key=axes[0].key)
    for texts in itertools.product(*(axis.texts for axis in axes)):
        yield tuple(Assignment(axis.key, text) for axis, text in zip(axes, texts, strict=True))


def _several(
    settings: Settings, key: str, text: str, values: Mapping[str, Any]
) -> list[str] | None:
    """The values that a text is taken apart into, None for one that is a value."""
    hint, example = settings.type_of(key, values)
    if hint in (EMPTY, Any) and (example is EMPTY or example is None):
        parts = split_alternatives(text)
        single = len(parts) == 1 and not _RANGE.fullmatch(text.strip())
        return None if single or _is_json(text) or not _are_plain(parts) else _expand(key, parts)
    try:
        settings.apply([Assignment(key, text)], values=values)
    except ConfigError as error:
        return _read_several(settings, key, text, values, error)
    return None


def _read_several(
    settings: Settings, key: str, text: str, values: Mapping[str, Any], error: ConfigError
) -> list[str]:
    """The values of a text that is none itself, as `error` says."""
    parts = split_alternatives(text)
    several = _expand(key, parts)
    wrong: list[ConfigError] = []
    for part in dict.fromkeys(several):
        try:
            settings.apply([Assignment(key, part)], values=values)
        except ConfigError as found:
            wrong.append(found)
    if wrong:  # where no part can be read, several values were hardly meant
        raise error if len(wrong) == len(set(several)) else wrong[0]
    return several


def _doubt(settings: Settings, key: str, text: str, values: Mapping[str, Any]) -> str:
    """What to say of a text with commas that is one value; "" where nobody could have meant several."""
    parts = split_alternatives(text)
    if len(parts) < 2 or not all(re.fullmatch(r"[\w.+-]+", part) for part in parts):
        return ""
    if not isinstance(settings.apply([Assignment(key, text)], values=values).get(key), str):
        return ""
    each = " ".join(f"{key}={part}" for part in parts)
    return f"{key}={text} is one text; for a run each, write {each}"


def split_alternatives(text: str) -> list[str]:
    """The parts between the commas that stand in no brackets, and in no quotes."""
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


def _expand(key: str, parts: Iterable[str]) -> list[str]:
    found: list[str] = []
    for part in parts:
        spans = _RANGE.fullmatch(part)
        found += [part] if spans is None else expand_range(key, part, *spans.groups())
    return found


def expand_range(key: str, text: str, first: str, end: str, step: str | None) -> list[str]:
    """The numbers of a range as texts, in decimal as they are written; raises ConfigError for none, or too many."""
    start, stride = Decimal(first), Decimal(step or 1)
    if stride == 0:
        raise ConfigError(f"{key}={text}: a step of 0", key=key)
    count = int(((Decimal(end) - start) / stride).to_integral_value("ROUND_CEILING"))
    if count < 1:
        raise ConfigError(f"{key}={text}: no number from {first} to before {end}", key=key)
    if count > MOST:
        raise ConfigError(f"{key}={text}: {count:,} numbers, more than {MOST:,}", key=key)
    return [str(start + stride * n) for n in range(count)]


def _are_plain(parts: Sequence[str]) -> bool:
    return all(_RANGE.fullmatch(part) or _is_json(part) for part in parts)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return text in ("True", "False", "None")
    return True
