"""The function behind an experiment: its location, and how another process can find it."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from ... import codec
from ...records import Function, Redacted
from ...secrets.redaction import redact_encoded
from ...secrets.register import Secrets
from ...secrets.scrub import REDACTED
from .source import describe_source


class Place(NamedTuple):
    """The location of a function.

    `module` is its importable name, or the stem of a script. `file` is None for a function of a notebook or a REPL,
    and for one that is `installed` (in site-packages), whose code belongs to the environment. `importable` is True
    if its module contains it under its qualified name.
    """

    module: str
    file: Path | None
    script: bool
    installed: bool
    importable: bool


# The limit on values searched for classes. The atoms cannot contain any.
_MOST_VALUES = 10_000
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type, ModuleType})
# The names of a script's module: in the program itself, and in workers that multiprocessing spawns.
_MAINS = ("__main__", "__mp_main__")


def locate(function: Callable[..., Any], *, code_file: Path) -> Place:
    """Locate the function. `code_file` is the absolute path of its source file at the time of its definition."""
    module = function.__module__ or "__main__"
    script = module in _MAINS
    importable = is_importable(function)
    if script:
        spec = getattr(sys.modules.get(module), "__spec__", None)
        module = spec.name if spec is not None else code_file.stem
    if not code_file.is_file():
        return Place(module if not script else "__main__", None, False, False, importable)
    if any(code_file.is_relative_to(folder) for folder in _installed_folders()):
        return Place(module, None, False, True, importable)
    module = module.removesuffix(".__main__") if script else module
    return Place(module, code_file, script, False, importable)


def locate_code(module: str | None, *, code_file: Path) -> Place:
    """Locate module-level code by the name and file of its module."""
    module = module or "__main__"
    script = module in _MAINS
    if not code_file.is_file():
        return Place(module, None, False, False, False)
    if script:
        spec = getattr(sys.modules.get(module), "__spec__", None)
        module = (spec.name if spec is not None else code_file.stem).removesuffix(".__main__")
    return Place(module, code_file, script, False, False)


@lru_cache(maxsize=1)
def _installed_folders() -> tuple[Path, ...]:
    names = ("purelib", "platlib", "stdlib", "platstdlib")
    return tuple({Path(sysconfig.get_path(name)) for name in names})


class Described(NamedTuple):
    """The record of a function, the payloads that it refers to, warnings, and what was redacted."""

    function: Function
    objects: dict[str, bytes]
    warnings: tuple[str, ...]
    redacted: tuple[Redacted, ...]


def describe(
    function: Callable[..., Any],
    *,
    place: Place,
    root: Path | None,
    seed_parameter: str | None,
    secrets: Secrets | None = None,
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> Described:
    """Describe the function for the record, by value if another process cannot import it.

    A function by value includes the classes of ``__main__`` that its arguments are instances of, because another
    process cannot import these either. Defaults in its signature that are credentials are redacted.
    """
    secrets = Secrets() if secrets is None else secrets
    source, _ = describe_source(function)
    part = Function(
        module=place.module,
        qualname=function.__qualname__,
        signature=signature_text(function, secrets=secrets),
        file=_relative(place.file, root),
        script=place.script,
        source=source,
        seed_parameter=seed_parameter,
    )
    if place.importable:
        return Described(part, {}, (), secrets.found)
    encoded = codec.encode_function(function, classes=own_classes(dict(arguments)))
    return _by_value(encoded, part, secrets)


def _by_value(encoded: codec.Encoded, part: Function, secrets: Secrets) -> Described:
    clean = redact_encoded(encoded, secrets, place="function")
    if codec.has_tag(clean.form, "$redacted"):
        warning = (
            f"{part.qualname} contains a credential ({secrets.found[-1].reason}), so it was not stored and the run"
            " cannot be replayed: pass the credential as an argument, or define the function in a file"
        )
        return Described(part, {}, (warning,), secrets.found)
    if encoded.opaque:
        warning = (
            f"{part.qualname} can be neither imported nor pickled, so the run cannot be replayed: define it at the top"
            " level of a file"
        )
        return Described(part, {}, (warning,), secrets.found)
    values = {name: getattr(part, name) for name in part.__struct_fields__}
    return Described(
        Function(**{**values, "pickled": encoded.form}), encoded.objects, (), secrets.found
    )


def own_classes(value: Any) -> tuple[type, ...]:
    """Return the classes of ``__main__`` that the value, or anything in its containers and attributes, belongs to."""
    classes: dict[type, None] = {}
    seen: set[int] = set()
    waiting = [value]
    for _ in range(_MOST_VALUES):
        if not waiting:
            break
        item = waiting.pop()
        kind = type(item)
        if kind in _ATOMS or id(item) in seen:
            continue
        seen.add(id(item))
        is_own = kind.__module__ in _MAINS and "." not in kind.__qualname__
        classes |= {kind: None} if is_own else {}
        waiting += islice(_held(item, is_own=is_own), _MOST_VALUES)
    return tuple(classes)


def _held(value: Any, *, is_own: bool) -> Iterator[Any]:
    """Yield the items of a container, ignoring overridden methods, and the attributes if its class `is_own`."""
    if isinstance(value, dict):
        yield from dict.keys(value)
        yield from dict.values(value)
    kind: Any
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            yield from kind.__iter__(value)
    if is_own:
        yield from getattr(value, "__dict__", {}).values()


def is_importable(function: Callable[..., Any]) -> bool:
    """Return True if the module contains the function (decorated or not) under its qualified name, in a file."""
    module = sys.modules.get(function.__module__)
    if module is None or not hasattr(module, "__file__") or not _has_file(function):
        return False
    found: Any = module
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
        if found is None:
            return False
    found = getattr(found, "__func__", found)
    return inspect.unwrap(found) is inspect.unwrap(function)


def find_receiver(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """Return the parameter that holds the instance if the call is a method call on a class with that name."""
    owner = function.__qualname__.rpartition(".")[0]
    if not owner or owner.endswith("<locals>"):
        return None
    first = next(iter(arguments), None)
    if first is None or isinstance(arguments[first], type):
        return None
    classes = [kind.__qualname__ for kind in type(arguments[first]).__mro__]
    return first if owner in classes else None


def _has_file(function: Callable[..., Any]) -> bool:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and not code.co_filename.startswith("<")


def signature_text(function: Callable[..., Any], *, secrets: Secrets | None = None) -> str:
    """Return the function's signature with defaults, without memory addresses and credentials."""
    signature = inspect.signature(function)
    secrets = Secrets() if secrets is None else secrets
    clean = [_without_credential(p, secrets) for p in signature.parameters.values()]
    return secrets.scrub(" ".join(str(signature.replace(parameters=clean)).split()), "signature")


class _Left(str):
    """A placeholder in a signature for a redacted default."""

    def __repr__(self) -> str:
        return REDACTED.decode()


def _without_credential(parameter: inspect.Parameter, secrets: Secrets) -> inspect.Parameter:
    default = parameter.default
    if default is inspect.Parameter.empty or default is None:
        return parameter
    encoded = codec.encode(default, inline_limit=None)
    clean = redact_encoded(encoded, secrets, place="signature", path=parameter.name)
    if codec.has_tag(clean.form, "$redacted"):
        return parameter.replace(default=_Left())
    return parameter


def _relative(file: Path | None, root: Path | None) -> str | None:
    if file is None or root is None:
        return None
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else None
