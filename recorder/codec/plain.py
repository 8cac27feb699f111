"""Values of Python's own types: numbers, text, containers, times, paths, enums, dataclasses, pydantic models.

Each type has its encoder under the exact type: a subclass (numpy.float64 is a float, an IntEnum an int) must
never silently become its base.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
import pathlib
import re
import sys
import uuid
from collections.abc import Callable
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from ..digest import canonical_json
from ..errors import DecodeError
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


def type_name(kind: type) -> str:
    """``module:QualName`` of a class."""
    return f"{kind.__module__}:{kind.__qualname__}"


def find_named(name: str) -> Any:
    """What ``module:QualName`` names, its module imported. Raises DecodeError."""
    module, _, qualname = name.partition(":")
    try:
        found: Any = sys.modules.get(module) or import_module(module)
        for part in qualname.split(".") if qualname else ():
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise DecodeError(f"{name} is not to be found here: {error}") from error
    return found


def is_named(value: Any, name: str) -> bool:
    """Whether ``module:QualName`` names `value` in the modules that are loaded."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split(".") if qualname else ():
        found = getattr(found, part, None)
    return found is not None and found is value


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


def encode_other(value: Any, path: str, inner: Encode) -> JSON | None:
    """The form of pydantic's SecretStr and its like, an enum's member, a dataclass, a named tuple, a pydantic model,
    or of something that a module holds by name; None for anything else.
    """
    kind = type(value)
    if isinstance(value, FunctionType | BuiltinFunctionType | type | ModuleType):
        return _by_name(value)
    if callable(getattr(kind, "get_secret_value", None)):
        said = {"type": type_name(kind), "value": inner(value.get_secret_value(), path)}
        return {"$secret": said}
    if not is_named(kind, type_name(kind)):
        return None
    if isinstance(value, enum.Enum):
        return _enum(value, path, inner)
    fields = _field_values(value)
    if fields is None:
        return None
    tag, values = fields
    forms = {name: inner(item, f"{path}.{name}" if path else name) for name, item in values.items()}
    return {tag: {"type": type_name(kind), "fields": forms}}


# What a class has that makes more, or other things, of its instances than their attributes.
_STATEFUL = (
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__", "__new__",
    "__setattr__",
)  # fmt: skip


def encode_instance(value: Any, path: str, inner: Encode) -> JSON | None:
    """The form of an instance of a named class whose attributes, in its ``__dict__``, are all that it is, else None."""
    kind = type(value)
    if not is_named(kind, type_name(kind)) or not hasattr(value, "__dict__"):
        return None
    if any(hasattr(kind, name) and _is_own(kind, name) for name in _STATEFUL):
        return None
    if any("__slots__" in vars(base) and vars(base)["__slots__"] for base in kind.__mro__):
        return None
    fields = {name: inner(v, f"{path}.{name}" if path else name) for name, v in vars(value).items()}
    return {"$instance": {"type": type_name(kind), "fields": fields}}


def _is_own(kind: type, name: str) -> bool:
    return getattr(kind, name) is not getattr(object, name, None)


def _enum(value: enum.Enum, path: str, inner: Encode) -> JSON | None:
    if value.name is None or value.name not in type(value).__members__:
        return None  # a combination of flags
    said = {"type": type_name(type(value)), "name": value.name, "value": inner(value.value, path)}
    return {"$enum": said}


def _by_name(value: Any) -> JSON | None:
    is_module = isinstance(value, ModuleType)
    name = f"{value.__name__}:" if is_module else f"{value.__module__}:{value.__qualname__}"
    return {"$name": name} if is_named(value, name) else None


def _field_values(value: Any) -> tuple[str, dict[str, Any]] | None:
    kind = type(value)
    if dataclasses.is_dataclass(value) and not issubclass(
        kind, tuple | list | dict | set | str | int | float
    ):
        names = [field.name for field in dataclasses.fields(value)]
        if set(getattr(value, "__dict__", {})) <= set(names) and all(
            hasattr(value, n) for n in names
        ):
            return "$dataclass", {name: getattr(value, name) for name in names}
    if isinstance(value, tuple) and hasattr(kind, "_fields") and kind.__mro__[1] is tuple:
        return "$namedtuple", {name: getattr(value, name) for name in kind._fields}
    pydantic = sys.modules.get("pydantic")
    if (
        pydantic is not None
        and hasattr(pydantic, "BaseModel")
        and isinstance(value, pydantic.BaseModel)
    ):
        if value.__pydantic_private__ or value.__pydantic_extra__:
            return None
        return "$model", {name: getattr(value, name) for name in kind.model_fields}
    return None


# Decoding: each function takes what stands under the tag, and the decoder for what is inside it.


def _decode_datetime(said: Any, inner: Decode) -> dt.datetime:
    value = dt.datetime.fromisoformat(said["text"])
    if "zone" in said:
        from zoneinfo import ZoneInfo

        value = value.replace(tzinfo=ZoneInfo(said["zone"]))
    return value.replace(fold=said.get("fold", 0))


def _decode_enum(said: Any, inner: Decode) -> Any:
    kind = _class(said["type"])
    if not issubclass(kind, enum.Enum):
        raise DecodeError(f"{said['type']} is no Enum")
    return kind[said["name"]]


def _decode_dataclass(said: Any, inner: Decode) -> Any:
    """Without __init__, which may check, count or open things: the fields are what was recorded."""
    kind = _class(said["type"])
    if not dataclasses.is_dataclass(kind):
        raise DecodeError(f"{said['type']} is no dataclass")
    value: Any = object.__new__(kind)
    for name, form in said["fields"].items():
        object.__setattr__(value, name, inner(form))
    return value


def _decode_instance(said: Any, inner: Decode) -> Any:
    """Without __init__, as pickle does it: the attributes are what was recorded."""
    value: Any = object.__new__(_class(said["type"]))
    vars(value).update({name: inner(form) for name, form in said["fields"].items()})
    return value


def _decode_namedtuple(said: Any, inner: Decode) -> Any:
    kind = _class(said["type"])
    if not issubclass(kind, tuple) or not hasattr(kind, "_fields"):
        raise DecodeError(f"{said['type']} is no named tuple")
    return tuple.__new__(kind, [inner(form) for form in said["fields"].values()])


def _decode_model(said: Any, inner: Decode) -> Any:
    """Without validation, which may change what was recorded."""
    kind: Any = _class(said["type"])
    if not hasattr(kind, "model_construct"):
        raise DecodeError(f"{said['type']} is no pydantic model")
    return kind.model_construct(**{name: inner(form) for name, form in said["fields"].items()})


def _decode_secret(said: Any, inner: Decode) -> Any:
    return _class(said["type"])(inner(said["value"]))


def _class(name: str) -> type:
    kind = find_named(name)
    if not isinstance(kind, type):
        raise DecodeError(f"{name} is no class")
    return kind


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
    "$enum": _decode_enum,
    "$dataclass": _decode_dataclass,
    "$instance": _decode_instance,
    "$namedtuple": _decode_namedtuple,
    "$model": _decode_model,
    "$collection": _decode_collection,
    "$secret": _decode_secret,
    "$name": lambda said, inner: find_named(said),
}


def decode_plain(form: JSON, inner: Decode) -> Any:
    """The value of a form without a tag."""
    if isinstance(form, list):
        return [inner(item) for item in form]
    if isinstance(form, dict) and tag_of(form) is None:
        return {key: inner(value) for key, value in form.items()}
    return form
