"""``key=value`` from a command line, typed by the experiment's annotations.

A value is read by its parameter's annotation, else by the type of its default (or recorded value), else as
JSON, else as text. A dotted key sets one entry of a dict, or one field of a dataclass or pydantic model.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import inspect
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import msgspec

from ..capture.function import signature_text
from ..errors import ConfigError

_EMPTY = inspect.Parameter.empty


def split_settings(texts: Sequence[str]) -> dict[str, str]:
    """``["lr=0.2", "epochs=10"]`` as a mapping; raises ConfigError where one has no ``=``."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{text!r} is no setting: write KEY=VALUE", key=text)
        found[key.strip()] = value
    return found


def apply_settings(
    function: Callable[..., Any], settings: Mapping[str, str], *, values: Mapping[str, Any]
) -> dict[str, Any]:
    """`values` (arguments by parameter) with the settings put in, typed.

    Nothing in `values` is changed in place. Raises ConfigError, with the signature, for an unknown key or a
    value of the wrong type.
    """
    return Settings(function).apply(settings, values)


class Settings:
    """What a function's parameters take from a command line."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__name__
        self._signature = inspect.signature(function)
        self._text = f"{function.__name__}{signature_text(function)}"
        self._hints = _hints(function)

    def apply(self, settings: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
        """See `apply_settings`."""
        result = dict(values)
        for key, text in settings.items():
            name, _, rest = key.partition(".")
            parameter = self._signature.parameters.get(name)
            if parameter is None or parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._set_extra(result, key, text)
            elif rest:
                result[name] = self._set_inside(
                    key, self._base(parameter, result), rest.split("."), text
                )
            else:
                result[name] = self._read_argument(parameter, result, text)
        return result

    def _error(self, message: str, key: str) -> ConfigError:
        return ConfigError(f"{message}: {self._text}", key=key, signature=self._text)

    def _set_extra(self, result: dict[str, Any], key: str, text: str) -> None:
        """A key that no parameter has: for ``**kwargs``, where the function takes them."""
        extra = [
            p
            for p in self._signature.parameters.values()
            if p.kind is inspect.Parameter.VAR_KEYWORD
        ]
        if not extra:
            near = difflib.get_close_matches(key, list(self._signature.parameters), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise self._error(f"{self._name} takes no {key!r}{hint}", key)
        name = extra[0].name
        old = dict(result.get(name) or {})
        old[key] = self._read(key, text, _EMPTY, old.get(key, _EMPTY))
        result[name] = old

    def _base(self, parameter: inspect.Parameter, result: Mapping[str, Any]) -> Any:
        value = result.get(parameter.name, parameter.default)
        return {} if value is _EMPTY or value is None else copy.deepcopy(value)

    def _read_argument(
        self, parameter: inspect.Parameter, result: Mapping[str, Any], text: str
    ) -> Any:
        hint = self._hints.get(parameter.name, _EMPTY)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            hint = _EMPTY if hint is _EMPTY else tuple[hint, ...]  # type: ignore[valid-type]
        example = result.get(parameter.name, parameter.default)
        value = self._read(parameter.name, text, hint, example)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and not isinstance(value, tuple):
            value = tuple(value) if isinstance(value, list) else (value,)
        return value

    def _set_inside(self, key: str, base: Any, path: list[str], text: str) -> Any:
        """`base` with the entry at the dotted `path` set; `base` is a copy, changed in place."""
        step, rest = path[0], path[1:]
        inner = _get(base, step)
        if inner is _EMPTY and not isinstance(base, dict):
            raise self._error(f"{key!r}: {type(base).__name__} has no field {step!r}", key)
        if rest:
            value = self._set_inside(key, {} if inner is _EMPTY else inner, rest, text)
        else:
            value = self._read(key, text, _field_hint(base, step), inner)
        return _put(base, step, value)

    def _read(self, key: str, text: str, hint: Any, example: Any) -> Any:
        if hint is _EMPTY or hint is Any:
            return self._read_like(key, text, example)
        try:
            return _convert(text, hint)
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise self._error(f"{key}={text!r} is no {_type_name(hint)}", key) from error

    def _read_like(self, key: str, text: str, example: Any) -> Any:
        """Without an annotation: by the example's type, where it has a plain one."""
        kind = type(example)
        if kind in (int, float):
            value = _literal(text)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value) if kind is float else value
            raise self._error(f"{key}={text!r} is no {kind.__name__}", key)
        if kind is bool or isinstance(example, PurePath | Enum):
            try:
                return _convert(text, Path if isinstance(example, PurePath) else kind)
            except (msgspec.ValidationError, ValueError) as error:
                raise self._error(f"{key}={text!r} is no {kind.__name__}", key) from error
        if kind is str:
            return text
        value = _literal(text)
        return tuple(value) if kind is tuple and isinstance(value, list) else value


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations, resolved; one that cannot be resolved leaves its parameter without."""
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):
        raw = inspect.signature(function).parameters
        return {name: p.annotation for name, p in raw.items() if isinstance(p.annotation, type)}


def _convert(text: str, hint: Any) -> Any:
    """`text` as a value of the type `hint`; msgspec.ValidationError, ValueError or TypeError."""
    if hint is str:
        return text
    if isinstance(hint, type) and issubclass(hint, Enum) and text in hint.__members__:
        return hint[text]
    candidates = [_literal(text), text]
    error: Exception | None = None
    for candidate in candidates:
        if isinstance(candidate, bool) and not _admits_bool(hint):
            continue
        try:
            return msgspec.convert(candidate, hint, strict=False, dec_hook=_decode_other)
        except (msgspec.ValidationError, NotImplementedError, TypeError) as failed:
            error = failed
    raise TypeError(str(error))


def _admits_bool(hint: Any) -> bool:
    return hint is bool or bool in typing.get_args(hint) or not isinstance(hint, type)


def _decode_other(kind: type, value: Any) -> Any:
    """What msgspec does not know: paths."""
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise NotImplementedError(f"{kind.__name__} cannot be written on a command line")


def _literal(text: str) -> Any:
    """JSON where it is JSON, Python's True, False and None, else the text."""
    plain = {"True": True, "False": False, "None": None}
    if text in plain:
        return plain[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _get(base: Any, name: str) -> Any:
    if isinstance(base, dict):
        return base.get(name, _EMPTY)
    if isinstance(base, list | tuple) and name.isdecimal() and int(name) < len(base):
        return base[int(name)]
    return getattr(base, name, _EMPTY)


def _put(base: Any, name: str, value: Any) -> Any:
    """`base` with that entry set: a new object where it is frozen."""
    if isinstance(base, dict):
        base[name] = value
        return base
    if isinstance(base, list | tuple):
        items = [value if i == int(name) else item for i, item in enumerate(base)]
        return type(base)(items)
    if dataclasses.is_dataclass(base) and not isinstance(base, type):
        return dataclasses.replace(base, **{name: value})
    if hasattr(base, "model_copy"):
        return base.model_copy(update={name: value})
    setattr(base, name, value)
    return base


def _field_hint(base: Any, name: str) -> Any:
    if isinstance(base, dict | list | tuple):
        return _EMPTY
    return _hints_of_class(type(base)).get(name, _EMPTY)


def _hints_of_class(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except (NameError, TypeError):
        return {}


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
