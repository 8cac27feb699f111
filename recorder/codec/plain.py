"""Values of built-in and standard library types: numbers, strings, containers, times, paths.

Encoders are looked up by the exact type, because a subclass (numpy.float64 of float, IntEnum of int) must never
silently become its base class.
"""

from __future__ import annotations

import base64
import collections
import datetime as dt
import decimal
import fractions
import math
import pathlib
import re
import uuid
from collections.abc import Callable
from typing import Any

from ..digest import canonical_json
from ..records import JSON
from .forms import canonical, tag_of

# The largest integer that JSON readers with doubles (jq, JavaScript, DuckDB) represent exactly.
_EXACT_INT = 2**53
_PATHS = (
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
)

Encode = Callable[[Any, str], JSON]
Decode = Callable[[JSON], Any]


# Encoding: each function takes the value, its dotted path, and the encoder for nested values.


def _float(value: float, path: str, inner: Encode) -> JSON:
    return value if math.isfinite(value) else {"$float": str(value)}


def _int(value: int, path: str, inner: Encode) -> JSON:
    return (
        value
        if -_EXACT_INT <= value <= _EXACT_INT
        else {"$int": str(value) if _short(value) else hex(value)}
    )


def _short(value: int) -> bool:
    return value.bit_length() < 10_000  # below sys.get_int_max_str_digits()


def _str(value: str, path: str, inner: Encode) -> JSON:
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$str": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    return value


def _list(value: list[Any], path: str, inner: Encode) -> JSON:
    return [inner(item, f"{path}[{i}]") for i, item in enumerate(value)]


def _tuple(value: tuple[Any, ...], path: str, inner: Encode) -> JSON:
    return {"$tuple": [inner(item, f"{path}[{i}]") for i, item in enumerate(value)]}


def _set(value: set[Any] | frozenset[Any], path: str, inner: Encode) -> JSON:
    forms = [inner(item, f"{path}{{}}") for item in value]
    return {
        f"${type(value).__name__}": sorted(forms, key=lambda form: canonical_json(canonical(form)))
    }


def _dict(value: dict[Any, Any], path: str, inner: Encode) -> JSON:
    plain = all(type(key) is str and not key.startswith("$") and _is_utf8(key) for key in value)
    if plain:
        return {key: inner(item, f"{path}.{key}" if path else key) for key, item in value.items()}
    return {
        "$dict": [
            [inner(k, f"{path} key"), inner(v, f"{path}[{k!r:.40}]")] for k, v in value.items()
        ]
    }


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _datetime(value: dt.datetime, path: str, inner: Encode) -> JSON:
    content: dict[str, JSON] = {"text": value.isoformat()}
    if value.fold:
        content["fold"] = 1
    if value.tzinfo is not None:
        key = getattr(value.tzinfo, "key", None)
        if key is None and type(value.tzinfo) is not dt.timezone:
            raise TypeError("a time zone of another kind")
        if key is not None:
            content["zone"] = key
    return {"$datetime": content}


def _time(value: dt.time, path: str, inner: Encode) -> JSON:
    if value.tzinfo is not None and type(value.tzinfo) is not dt.timezone:
        raise TypeError("a time zone of another kind")
    return {"$time": {"text": value.isoformat(), "fold": value.fold}}


def _collection(value: Any, path: str, inner: Encode) -> JSON:
    kind = type(value).__name__
    content: dict[str, JSON] = {"type": kind}
    if kind == "deque":
        content["items"] = [inner(item, f"{path}[{i}]") for i, item in enumerate(value)]
        content["maxlen"] = value.maxlen
    else:
        content["items"] = [
            [inner(k, f"{path} key"), inner(v, f"{path}[{k!r:.40}]")] for k, v in value.items()
        ]
    if kind == "defaultdict":
        content["factory"] = inner(value.default_factory, f"{path}.default_factory")
    return {"$collection": content}


def _path(value: pathlib.PurePath, path: str, inner: Encode) -> JSON:
    kind = "Path" if isinstance(value, pathlib.Path) else type(value).__name__
    return {"$path": {"type": kind, "text": value.as_posix()}}


def _pattern(value: re.Pattern[Any], path: str, inner: Encode) -> JSON:
    return {"$pattern": [inner(value.pattern, path), value.flags]}


ENCODERS: dict[type, Callable[[Any, str, Encode], JSON]] = {
    type(None): lambda value, path, inner: None,
    bool: lambda value, path, inner: value,
    int: _int,
    float: _float,
    str: _str,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _set,
    bytes: lambda v, path, inner: {"$bytes": base64.b64encode(v).decode()},
    bytearray: lambda v, path, inner: {"$bytearray": base64.b64encode(v).decode()},
    complex: lambda v, path, inner: {"$complex": [inner(v.real, path), inner(v.imag, path)]},
    dt.datetime: _datetime,
    dt.date: lambda v, path, inner: {"$date": v.isoformat()},
    dt.time: _time,
    dt.timedelta: lambda v, path, inner: {"$timedelta": [v.days, v.seconds, v.microseconds]},
    dt.timezone: lambda v, path, inner: {
        "$timezone": [inner(v.utcoffset(None), path), v.tzname(None)]
    },
    decimal.Decimal: lambda v, path, inner: {"$decimal": str(v)},
    fractions.Fraction: lambda v, path, inner: {
        "$fraction": [str(v.numerator), str(v.denominator)]
    },
    uuid.UUID: lambda v, path, inner: {"$uuid": str(v)},
    range: lambda v, path, inner: {"$range": [inner(n, path) for n in (v.start, v.stop, v.step)]},
    slice: lambda v, path, inner: {"$slice": [inner(n, path) for n in (v.start, v.stop, v.step)]},
    type(...): lambda v, path, inner: {"$name": "builtins:Ellipsis"},
    type(NotImplemented): lambda v, path, inner: {"$name": "builtins:NotImplemented"},
    re.Pattern: _pattern,
    collections.OrderedDict: _collection,
    collections.defaultdict: _collection,
    collections.Counter: _collection,
    collections.deque: _collection,
    **dict.fromkeys(_PATHS, _path),
}


# Decoding: each function takes the content under the tag and the decoder for nested forms.


def _decode_datetime(content: Any, inner: Decode) -> dt.datetime:
    value = dt.datetime.fromisoformat(content["text"])
    if "zone" in content:
        from zoneinfo import ZoneInfo

        value = value.replace(tzinfo=ZoneInfo(content["zone"]))
    return value.replace(fold=content.get("fold", 0))


def _decode_collection(content: Any, inner: Decode) -> Any:
    if content["type"] == "deque":
        return collections.deque([inner(form) for form in content["items"]], content["maxlen"])
    pairs = [(inner(k), inner(v)) for k, v in content["items"]]
    if content["type"] == "defaultdict":
        return collections.defaultdict(inner(content["factory"]), pairs)
    kinds = {"OrderedDict": collections.OrderedDict, "Counter": collections.Counter}
    return kinds[content["type"]](dict(pairs))


def names_factory(form: JSON) -> bool:
    """Return True for a defaultdict, whose factory is imported by name."""
    return tag_of(form) == "$collection" and form["$collection"]["type"] == "defaultdict"


def _decode_int(content: Any, inner: Decode) -> int:
    return int(content, 16) if "x" in content else int(content)


def _decode_path(content: Any, inner: Decode) -> pathlib.PurePath:
    kinds = {kind.__name__: kind for kind in _PATHS}
    return kinds[content["type"]](content["text"])


def _decode_pattern(content: Any, inner: Decode) -> re.Pattern[Any]:
    pattern = inner(content[0])
    return re.compile(pattern, content[1] if isinstance(pattern, bytes) else content[1] & ~re.DEBUG)


def _decode_timezone(content: Any, inner: Decode) -> dt.timezone:
    offset, name = inner(content[0]), content[1]
    plain = dt.timezone(offset)
    return plain if plain.tzname(None) == name else dt.timezone(offset, name)


DECODERS: dict[str, Callable[[Any, Decode], Any]] = {
    "$float": lambda content, inner: float(content),
    "$int": _decode_int,
    "$str": lambda content, inner: base64.b64decode(content).decode("utf-8", "surrogatepass"),
    "$bytes": lambda content, inner: base64.b64decode(content),
    "$bytearray": lambda content, inner: bytearray(base64.b64decode(content)),
    "$complex": lambda content, inner: complex(inner(content[0]), inner(content[1])),
    "$tuple": lambda content, inner: tuple(inner(item) for item in content),
    "$set": lambda content, inner: {inner(item) for item in content},
    "$frozenset": lambda content, inner: frozenset(inner(item) for item in content),
    "$dict": lambda content, inner: {inner(k): inner(v) for k, v in content},
    "$datetime": _decode_datetime,
    "$date": lambda content, inner: dt.date.fromisoformat(content),
    "$time": lambda content, inner: dt.time.fromisoformat(content["text"]).replace(
        fold=content["fold"]
    ),
    "$timedelta": lambda content, inner: dt.timedelta(*content),
    "$timezone": _decode_timezone,
    "$decimal": lambda content, inner: decimal.Decimal(content),
    "$fraction": lambda content, inner: fractions.Fraction(int(content[0]), int(content[1])),
    "$uuid": lambda content, inner: uuid.UUID(content),
    "$range": lambda content, inner: range(*(inner(n) for n in content)),
    "$slice": lambda content, inner: slice(*(inner(n) for n in content)),
    "$path": _decode_path,
    "$pattern": _decode_pattern,
    "$collection": _decode_collection,
}


def decode_plain(form: JSON, inner: Decode) -> Any:
    """Return the value of a form without a tag."""
    if isinstance(form, list):
        return [inner(item) for item in form]
    if isinstance(form, dict) and tag_of(form) is None:
        return {key: inner(value) for key, value in form.items()}
    return form
