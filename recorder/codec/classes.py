"""Objects that a module defines by name, and instances of its classes.

The classes are enums, dataclasses, named tuples, pydantic models, and plain classes whose attributes are their state.
Decoding imports the user's modules.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Callable
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from ..errors import DecodeError
from ..records import JSON
from .moved import present_name
from .plain import Decode, Encode


def type_name(kind: type) -> str:
    """Return ``module:QualName`` of a class."""
    return f"{kind.__module__}:{kind.__qualname__}"


def find_named(name: str) -> Any:
    """Import the module of ``module:QualName`` and return the object; raise DecodeError if there is no such object."""
    module, _, qualname = name.partition(":")
    module, qualname = present_name(module, qualname)
    try:
        found: Any = sys.modules.get(module) or import_module(module)
        for part in qualname.split(".") if qualname else ():
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise DecodeError(f"cannot import {name}: {error}") from error
    return found


def is_named(value: Any, name: str) -> bool:
    """Return True if ``module:QualName`` refers to `value` in the loaded modules."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split(".") if qualname else ():
        found = getattr(found, part, None)
    return found is not None and found is value


def encode_other(value: Any, path: str, inner: Encode) -> JSON | None:
    """Return the form of an enum member, a dataclass, a named tuple, a pydantic model, a secret (pydantic's SecretStr
    and similar), or an object that a module defines by name; return None for anything else.
    """
    kind = type(value)
    if isinstance(value, FunctionType | BuiltinFunctionType | type | ModuleType):
        return _by_name(value)
    if callable(getattr(kind, "get_secret_value", None)):
        content = {"type": type_name(kind), "value": inner(value.get_secret_value(), path)}
        return {"$secret": content}
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


# Methods with which a class can give its instances state other than their attributes.
_STATEFUL = (
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__", "__new__",
    "__setattr__",
)  # fmt: skip


def encode_instance(value: Any, path: str, inner: Encode) -> JSON | None:
    """Return the form of an instance whose ``__dict__`` is its entire state, or None."""
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
    content = {
        "type": type_name(type(value)),
        "name": value.name,
        "value": inner(value.value, path),
    }
    return {"$enum": content}


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


# Decoding: each function takes the content under the tag and the decoder for nested forms.


def _decode_enum(content: Any, inner: Decode) -> Any:
    kind = _class(content["type"])
    if not issubclass(kind, enum.Enum):
        raise DecodeError(f"{content['type']} is not an Enum")
    return kind[content["name"]]


def _decode_dataclass(content: Any, inner: Decode) -> Any:
    """Restore the recorded fields without calling __init__, which could have side effects."""
    kind = _class(content["type"])
    if not dataclasses.is_dataclass(kind):
        raise DecodeError(f"{content['type']} is not a dataclass")
    value: Any = object.__new__(kind)
    for name, form in content["fields"].items():
        object.__setattr__(value, name, inner(form))
    return value


def _decode_instance(content: Any, inner: Decode) -> Any:
    """Restore the recorded attributes without calling __init__, as pickle does."""
    value: Any = object.__new__(_class(content["type"]))
    vars(value).update({name: inner(form) for name, form in content["fields"].items()})
    return value


def _decode_namedtuple(content: Any, inner: Decode) -> Any:
    kind = _class(content["type"])
    if not issubclass(kind, tuple) or not hasattr(kind, "_fields"):
        raise DecodeError(f"{content['type']} is not a named tuple")
    return tuple.__new__(kind, [inner(form) for form in content["fields"].values()])


def _decode_model(content: Any, inner: Decode) -> Any:
    """Restore the recorded fields without validation, which could change them."""
    kind: Any = _class(content["type"])
    if not hasattr(kind, "model_construct"):
        raise DecodeError(f"{content['type']} is not a pydantic model")
    return kind.model_construct(**{name: inner(form) for name, form in content["fields"].items()})


def _decode_secret(content: Any, inner: Decode) -> Any:
    return _class(content["type"])(inner(content["value"]))


def _class(name: str) -> type:
    kind = find_named(name)
    if not isinstance(kind, type):
        raise DecodeError(f"{name} is not a class")
    return kind


DECODERS: dict[str, Callable[[Any, Decode], Any]] = {
    "$enum": _decode_enum,
    "$dataclass": _decode_dataclass,
    "$instance": _decode_instance,
    "$namedtuple": _decode_namedtuple,
    "$model": _decode_model,
    "$secret": _decode_secret,
    "$name": lambda content, inner: find_named(content),
}
