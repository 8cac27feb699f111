"""``key=value`` settings from a command line, and values from files and presets, converted to the experiment's types.

The type of a value is the annotation of its parameter, or else the type of the default (or recorded value). Without
either, a string is parsed as JSON, or kept if it is not JSON. A dotted key sets one entry of a dict, or one field of a
dataclass or pydantic model.
"""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from ..capture.code.function import signature_text
from ..errors import ConfigError
from .conversion import (
    EMPTY,
    FAILED,
    choices_of,
    convert_data,
    convert_like,
    convert_text,
    data_like,
    find_hints,
    type_name,
)
from .entries import get_entry, has_entries, hint_of_entry, names_of_entries, put_entry

# A string from a command line, plain data from a file, or a Python value that is not converted.
Kind: TypeAlias = Literal["text", "data", "value"]

COMMAND_LINE = "command line"
_IN_JSON = ("list", "dict", "tuple", "set", "frozenset")


class Assignment(NamedTuple):
    """A value for a dotted key, and its source for display."""

    key: str
    value: Any
    kind: Kind = "text"
    source: str = COMMAND_LINE


def split_setting(text: str) -> tuple[str, str]:
    """Split ``lr=0.2`` into key and value; raise ConfigError if there is no ``=``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{text!r} is not a setting: write KEY=VALUE", key=text)
    return key.strip(), value


def split_settings(texts: Sequence[str]) -> dict[str, str]:
    """Convert ``["lr=0.2", "epochs=10"]`` to a mapping; the last value of a key wins. Raises ConfigError."""
    return dict(map(split_setting, texts))


def apply_settings(
    function: Callable[..., Any], settings: Mapping[str, str], *, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `values` (arguments by parameter) with the settings applied and converted to the types of `function`.

    `values` is not changed. Raises ConfigError, with the signature, for an unknown key or a value of the wrong type.
    """
    return Settings(function).apply([Assignment(k, v) for k, v in settings.items()], values=values)


class Settings:
    """The parameters of a function, to which values from strings and data are converted."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__name__
        self._signature = inspect.signature(function)
        self._text = f"{function.__name__}{signature_text(function)}"
        self._hints = find_hints(function)
        extra = inspect.Parameter.VAR_KEYWORD
        self._extra = next(
            (p for p in self._signature.parameters.values() if p.kind is extra), None
        )

    def apply(
        self, assignments: Iterable[Assignment], *, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return `values` with the assignments applied in order; see `apply_settings`.

        A table from a file sets single entries of a dict, dataclass or model, and replaces any other value.
        """
        result = dict(values)
        for one in assignments:
            try:
                self._assign(result, one)
            except ConfigError as error:
                if one.source == COMMAND_LINE:
                    raise
                message = f"{one.source}: {error}"
                raise ConfigError(message, key=error.key, signature=self._text) from error
        return self._complete(result, values)

    def takes(self, name: str) -> bool:
        """Return True if the function has a parameter for the name."""
        return self._extra is not None or name in self._signature.parameters

    def type_of(self, key: str, values: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the annotation and the present value of a dotted key, each `EMPTY` if there is none."""
        name, *path = key.split(".")
        parameter = self._parameter(name)
        if parameter is None:
            extra = {} if self._extra is None else values.get(self._extra.name) or {}
            return EMPTY, extra.get(key, EMPTY)
        base = values.get(name, parameter.default)
        hint = self._hint(parameter)
        for step in path:
            hint, base = hint_of_entry(base, step), get_entry(base, step)
        return hint, base

    def _parameter(self, name: str) -> inspect.Parameter | None:
        found = self._signature.parameters.get(name)
        return None if found is self._extra else found

    def _hint(self, parameter: inspect.Parameter) -> Any:
        hint = self._hints.get(parameter.name, EMPTY)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and hint is not EMPTY:
            return tuple[hint, ...]  # type: ignore[valid-type]
        return hint

    def _error(self, message: str, key: str) -> ConfigError:
        return ConfigError(f"{message}: {self._text}", key=key, signature=self._text)

    def _assign(self, result: dict[str, Any], one: Assignment) -> None:
        name, *path = one.key.split(".")
        if one.kind == "data" and self._is_table(one.value, self.type_of(one.key, result)[1]):
            for key, value in one.value.items():
                self._assign(result, one._replace(key=f"{one.key}.{key}", value=value))
            return
        parameter = self._parameter(name)
        if parameter is None:
            self._set_extra(result, one)
        elif path:
            base = result.get(name, parameter.default)
            base = {} if base is EMPTY or base is None else copy.deepcopy(base)
            result[name] = self._set_inside(base, path, one)
        else:
            result[name] = self._read_argument(parameter, result, one)

    @staticmethod
    def _is_table(value: Any, there: Any) -> bool:
        return (
            isinstance(value, dict)
            and bool(value)
            and all(isinstance(key, str) for key in value)
            and has_entries(there)
        )

    def _set_extra(self, result: dict[str, Any], one: Assignment) -> None:
        """Set a key that is not a parameter in ``**kwargs``; raise ConfigError if there is no such parameter."""
        if self._extra is None:
            hint = did_you_mean(one.key, self._signature.parameters)
            raise self._error(f"{self._name} has no parameter {one.key!r}{hint}", one.key)
        old = dict(result.get(self._extra.name) or {})
        old[one.key] = self._read(one, EMPTY, old.get(one.key, EMPTY))
        result[self._extra.name] = old

    def _read_argument(
        self, parameter: inspect.Parameter, result: Mapping[str, Any], one: Assignment
    ) -> Any:
        example = result.get(parameter.name, parameter.default)
        value = self._read(one, self._hint(parameter), example)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and not isinstance(value, tuple):
            value = tuple(value) if isinstance(value, list) else (value,)
        return value

    def _set_inside(self, base: Any, path: list[str], one: Assignment) -> Any:
        """Set the entry at the dotted `path` of `base`, which is a copy, and return `base`."""
        step, *rest = path
        inner = get_entry(base, step)
        if inner is EMPTY and not isinstance(base, dict):
            hint = did_you_mean(step, names_of_entries(base))
            message = f"{one.key!r}: {type(base).__name__} has no field {step!r}{hint}"
            raise self._error(message, one.key)
        if rest:
            value = self._set_inside({} if inner is EMPTY or inner is None else inner, rest, one)
        else:
            value = self._read(one, hint_of_entry(base, step), inner)
        return put_entry(base, step, value)

    def _read(self, one: Assignment, hint: Any, example: Any) -> Any:
        if one.kind == "value":
            return one.value
        is_text = one.kind == "text"
        try:
            if hint is EMPTY or hint is Any:
                return (convert_like if is_text else data_like)(one.value, example)
            return (convert_text if is_text else convert_data)(one.value, hint)
        except (*FAILED, NotImplementedError) as error:
            wanted = type(example) if hint is EMPTY or hint is Any else hint
            kind, choices = type_name(wanted), choices_of(wanted)
            message = f"{one.key}={one.value!r} is not of type {kind}"
            if choices:
                message = f"{one.key}={one.value!r} is not one of {', '.join(choices)}"
                message += did_you_mean(str(one.value), choices)
            elif is_text and kind.startswith(_IN_JSON):
                message += ", which is written as JSON"
            raise self._error(message, one.key) from error

    def _complete(self, result: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Convert dicts to dataclasses and models that did not exist before their entries were set."""
        for name, value in result.items():
            parameter = self._signature.parameters[name]
            there = values.get(name, parameter.default)
            hint = self._hints.get(name, EMPTY)
            if isinstance(value, dict) and (there is EMPTY or there is None) and _is_exact(hint):
                try:
                    result[name] = convert_data(value, hint)
                except (*FAILED, NotImplementedError) as error:
                    message = f"{name}={value!r} is not a valid {type_name(hint)}: {error}"
                    raise self._error(message, name) from error
        return result


def _is_exact(hint: Any) -> bool:
    return hint is not EMPTY and hint is not Any


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `` (did you mean 'NAME'?)`` for the nearest of the names, or "" if none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
