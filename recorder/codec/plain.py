"""Values of Python's own types: numbers, text, containers, times, paths.

Each type has its encoder under the exact type: a subclass (numpy.float64 is a float, an IntEnum an int) must
never silently become its base.
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

# The largest integer up to which every JSON reader (jq, JavaScript, DuckDB's doubles) is exact.
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


# Encoding: each function takes the value, its dotted path, and the encoder for what is inside it.


def _float(value: float, path: str, inner: Encode) -> JSON:
    return value if math.isfinite(value) else {"$float": str(value)}


def _int(value: int, path: str, inner: Encode) -> JSON:
    return (
        value
        if -_EXACT_INT <= value <= _EXACT_INT
        else {"$int": str(value) if _short(value) else hex(value)}
    )


def _short(value: int) -> bool:
    return value.bit_length() < 10_000  # sys.get_int_max_str_digits refuses longer ones in decimal


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
    said: dict[str, JSON] = {"text": value.isoformat()}
    if value.fold:
        said["fold"] = 1
    if value.tzinfo is not None:
        key = getattr(value.tzinfo, "key", None)
        if key is None and type(value.tzinfo) is not dt.timezone:
            raise TypeError("a time zone of another kind")
        if key is not None:
            said["zone"] = key
    return {"$datetime": said}


def _time(value: dt.time, path: str, inner: Encode) -> JSON:
    if value.tzinfo is not None and type(value.tzinfo) is not dt.timezone:
        raise TypeError("a time zone of another kind")
    return {"$time": {"text": value.isoformat(), "fold": value.fold}}


def _collection(value: Any, path: str, inner: Encode) -> JSON:
    kind = type(value).__name__
    said: dict[str, JSON] = {"type": kind}
    if kind == "deque":
        said["items"] = [inner(item, f"{path}[{i}]") for i, item in enumerate(value)]
        said["maxlen"] = value.maxlen
    else:
        said["items"] = [
            [inner(k, f"{path} key"), inner(v, f"{path}[{k!r:.40}]")] for k, v in value.items()
        ]
    if kind == "defaultdict":
        said["factory"] = inner(value.default_factory, f"{path}.default_factory")
    return {"$collection": said}


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


# Decoding: each function takes what stands under the tag, and the decoder for what is inside it.


def _decode_datetime(said: Any, inner: Decode) -> dt.datetime:
    value = dt.datetime.fromisoformat(said["text"])
    if "zone" in said:
        from zoneinfo import ZoneInfo

        value = value.replace(tzinfo=ZoneInfo(said["zone"]))
    return value.replace(fold=said.get("fold", 0))


def _decode_collection(said: Any, inner: Decode) -> Any:
    if said["type"] == "deque":
        return collections.deque([inner(form) for form in said["items"]], said["maxlen"])
    pairs = [(inner(k), inner(v)) for k, v in said["items"]]
    if said["type"] == "defaultdict":
        return collections.defaultdict(inner(said["factory"]), pairs)
    kinds = {"OrderedDict": collections.OrderedDict, "Counter": collections.Counter}
    return kinds[said["type"]](dict(pairs))


def names_factory(form: JSON) -> bool:
    """Whether it is a defaultdict, whose factory is a function by its name."""
    return tag_of(form) == "$collection" and form["$collection"]["type"] == "defaultdict"


def _decode_int(said: Any, inner: Decode) -> int:
    return int(said, 16) if "x" in said else int(said)


def _decode_path(said: Any, inner: Decode) -> pathlib.PurePath:
    kinds = {kind.__name__: kind for kind in _PATHS}
    return kinds[said["type"]](said["text"])


def _decode_pattern(said: Any, inner: Decode) -> re.Pattern[Any]:
    pattern = inner(said[0])
    return re.compile(pattern, said[1] if isinstance(pattern, bytes) else said[1] & ~re.DEBUG)


def _decode_timezone(said: Any, inner: Decode) -> dt.timezone:
    offset, name = inner(said[0]), said[1]
    plain = dt.timezone(offset)
    return plain if plain.tzname(None) == name else dt.timezone(offset, name)


DECODERS: dict[str, Callable[[Any, Decode], Any]] = {
    "$float": lambda said, inner: float(said),
    "$int": _decode_int,
    "$str": lambda said, inner: base64.b64decode(said).decode("utf-8", "surrogatepass"),
    "$bytes": lambda said, inner: base64.b64decode(said),
    "$bytearray": lambda said, inner: bytearray(base64.b64decode(said)),
    "$complex": lambda said, inner: complex(inner(said[0]), inner(said[1])),
    "$tuple": lambda said, inner: tuple(inner(item) for item in said),
    "$set": lambda said, inner: {inner(item) for item in said},
    "$frozenset": lambda said, inner: frozenset(inner(item) for item in said),
    "$dict": lambda said, inner: {inner(k): inner(v) for k, v in said},
    "$datetime": _decode_datetime,
    "$date": lambda said, inner: dt.date.fromisoformat(said),
    "$time": lambda said, inner: dt.time.fromisoformat(said["text"]).replace(fold=said["fold"]),
    "$timedelta": lambda said, inner: dt.timedelta(*said),
    "$timezone": _decode_timezone,
    "$decimal": lambda said, inner: decimal.Decimal(said),
    "$fraction": lambda said, inner: fractions.Fraction(int(said[0]), int(said[1])),
    "$uuid": lambda said, inner: uuid.UUID(said),
    "$range": lambda said, inner: range(*(inner(n) for n in said)),
    "$slice": lambda said, inner: slice(*(inner(n) for n in said)),
    "$path": _decode_path,
    "$pattern": _decode_pattern,
    "$collection": _decode_collection,
}


def decode_plain(form: JSON, inner: Decode) -> Any:
    """The value of a form without a tag."""
    if isinstance(form, list):
        return [inner(item) for item in form]
    if isinstance(form, dict) and tag_of(form) is None:
        return {key: inner(value) for key, value in form.items()}
    return form
