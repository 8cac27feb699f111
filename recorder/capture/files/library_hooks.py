"""Hooks for libraries that open files in C, which Python's audit events do not report.

Each library function that opens a file is wrapped once the library is loaded, before or after the first run of the
process. A library that is not loaded costs nothing. The wrapper notes the path and calls the original: name,
signature, and result stay the same.
"""

# ruff: noqa: PTH110, PTH111, PTH112, PTH207
# Paths are strings here, as in `recorder.capture.files.audit_hook`.

from __future__ import annotations

import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from .audit_hook import is_watching, note, see_through

see_through(__file__)


class Opener(NamedTuple):
    """A function that opens a file: its dotted name in the module, and its path parameter.

    `position` is the position of the path among the arguments. `mode` is True if a mode follows it. `also` are
    modules that import the function by name.
    """

    name: str
    parameter: str
    position: int = 0
    mode: bool = False
    also: tuple[str, ...] = ()


_POLARS = (
    "read_avro", "read_csv", "read_excel", "read_ipc", "read_ipc_stream", "read_json", "read_ndjson", "read_parquet",
    "scan_csv", "scan_ipc", "scan_ndjson", "scan_parquet",
)  # fmt: skip
OPENERS: dict[str, tuple[Opener, ...]] = {
    "pyarrow": (Opener("memory_map", "path", mode=True),),
    "pyarrow.parquet.core": (
        Opener("ParquetFile.__init__", "source", position=1),
        Opener("ParquetDataset.__init__", "path_or_paths", position=1),
        Opener("read_metadata", "where", also=("pyarrow.parquet",)),
        Opener("read_schema", "where", also=("pyarrow.parquet",)),
    ),
    "pyarrow.dataset": (Opener("dataset", "source"),),
    "pyarrow.feather": (Opener("read_table", "source"),),
    "pyarrow.csv": (Opener("read_csv", "input_file"), Opener("open_csv", "input_file")),
    "pyarrow.json": (Opener("read_json", "input_file"),),
    "pyarrow.orc": (
        Opener("ORCFile.__init__", "source", position=1),
        Opener("read_table", "source"),
    ),
    "h5py._hl.files": (Opener("File.__init__", "name", position=1, mode=True),),
    "safetensors": (
        Opener("safe_open", "filename", also=("safetensors.torch", "safetensors.numpy")),
    ),
    "netCDF4": (Opener("Dataset", "filename", mode=True),),
    "polars": tuple(Opener(name, "source") for name in _POLARS),
}


def attach() -> None:
    """Wrap the functions of loaded libraries now, and those of others when they are loaded."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        for name in OPENERS:
            module = sys.modules.get(name)
            if module is not None:
                _wrap_all(module)


def lead(find: Callable[[str], str]) -> None:
    """Make the libraries read from ``find(path)`` in place of each path. Used by replays."""
    global _find
    _find = find


_find: Callable[[str], str] | None = None


class _Finder:
    """An import finder that wraps a library's functions once its module has been executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in OPENERS:
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    _wrap_after(spec)
                    return spec
        return None


_finder = _Finder()


def _wrap_after(spec: importlib.machinery.ModuleSpec) -> None:
    # The loader object is kept, because sources and resources are requested from it.
    loader: Any = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _wrap_all(module)

    loader.exec_module = exec_module


def _wrap_all(module: ModuleType) -> None:
    for opener in OPENERS[module.__name__]:
        holder, _, name = opener.name.rpartition(".")
        owner: Any = getattr(module, holder, None) if holder else module
        original = getattr(owner, name, None)
        if original is None or hasattr(original, "__recorder__"):
            continue
        is_class = isinstance(original, type) and opener.mode
        wrapped: Any = _derive(original, opener) if is_class else _wrap(original, opener)
        setattr(owner, name, wrapped)
        for other in opener.also:
            if getattr(sys.modules.get(other), name, None) is original:
                setattr(sys.modules[other], name, wrapped)


def _wrap(original: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @functools.wraps(original, updated=() if isinstance(original, type) else ("__dict__",))
    def opened(*args: Any, **kwargs: Any) -> Any:
        args = _lead(opener, args, kwargs)
        if is_watching():
            _note(opener, args, kwargs)
        return original(*args, **kwargs)

    opened.__recorder__ = True  # type: ignore[attr-defined]
    return opened


def _derive(original: Any, opener: Opener) -> Any:
    """Return a subclass, so that inheritance from the class and `isinstance` keep working."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        args = _lead(opener, args, kwargs)
        if is_watching():
            _note(opener, args, kwargs)
        original.__init__(self, *args, **kwargs)

    names = {"__init__": __init__, "__doc__": original.__doc__, "__recorder__": True}
    derived = type(original)(original.__name__, (original,), names)
    derived.__module__ = original.__module__
    derived.__qualname__ = original.__qualname__
    return derived


def _lead(opener: Opener, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments with the path redirected. In `kwargs` it is replaced in place."""
    if _find is None or not _mode(opener, args, kwargs).startswith("r"):
        return args
    place = opener.position
    if len(args) > place:
        return (*args[:place], _led(args[place]), *args[place + 1 :])
    if opener.parameter in kwargs:
        kwargs[opener.parameter] = _led(kwargs[opener.parameter])
    return args


def _led(given: Any) -> Any:
    if isinstance(given, list | tuple):
        return type(given)(map(_led, given))
    if _find is not None and isinstance(given, str | os.PathLike):
        text = os.fsdecode(given)
        found = _find(text)
        return given if found is text else found
    return given


def _mode(opener: Opener, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    if not opener.mode:
        return "r"
    after = opener.position + 1
    mode = args[after] if len(args) > after else kwargs.get("mode")
    return mode if isinstance(mode, str) else "r"


def _note(opener: Opener, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    place = opener.position
    given = args[place] if len(args) > place else kwargs.get(opener.parameter)
    mode = _mode(opener, args, kwargs)
    reads = mode[:1] in ("r", "a")
    writes = mode not in ("r", "rb", "rs")
    for path in _paths(given):
        note(path, reads=reads, writes=writes)


def _paths(given: Any) -> Iterator[str]:
    """Yield the files that the argument names: a path, several, a folder, or a pattern, but not URLs and open files."""
    import glob

    if isinstance(given, list | tuple):
        for item in given:
            yield from _paths(item)
    elif isinstance(given, str | bytes | os.PathLike):
        path = os.path.expanduser(os.fsdecode(given))
        path = path[7:] if path.startswith("file://") else path
        if os.path.isdir(path):
            yield from _below(path)
        elif glob.has_magic(path) and not os.path.exists(path):
            yield from sorted(filter(os.path.isfile, glob.glob(path, recursive=True)))
        elif "://" not in path:
            yield path


def _below(folder: str) -> Iterator[str]:
    for inside, folders, names in os.walk(folder):
        folders.sort()
        yield from (f"{inside}{os.sep}{name}" for name in sorted(names))
