"""Config values from TOML, JSON and YAML files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .settings import Assignment

_EXTRA = "pip install 'run-recorder[config]'"


def read_config(path: Path) -> list[Assignment]:
    """Return one assignment for each top-level key of a file; keys can be dotted.

    Raises ConfigError if the file is missing, unreadable or not a table, or if a package for reading it is not
    installed.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        suffix = path.suffix or "no suffix"
        raise _error(path, f"expected a .toml, .json or .yaml file, not {suffix}")
    try:
        found = read(path.read_text("utf-8"))
    except OSError as error:
        raise _error(path, error.strerror or str(error)) from error
    except ImportError as error:
        raise _error(path, f"reading this file needs {error.name}: {_EXTRA}") from error
    except _syntax_errors() as error:
        raise _error(path, " ".join(str(error).split())) from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise _error(path, f"expected a table of values by key, but the file contains a {kind}")
    return [Assignment(str(key), value, "data", path.name) for key, value in found.items()]


def _error(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"--config {path}: {problem}", key=str(path))


def _read_toml(text: str) -> Any:
    try:
        module = import_module("tomllib")
    except ImportError:  # Python 3.10
        module = import_module("tomli")
    return module.loads(text)


def _read_yaml(text: str) -> Any:
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise ImportError(name="PyYAML") from error
    found = yaml.safe_load(text)
    return {} if found is None else found  # a file of comments only


def _syntax_errors() -> tuple[type[Exception], ...]:
    yaml = sys.modules.get("yaml")
    return (ValueError,) if yaml is None else (ValueError, yaml.YAMLError)


_READERS: dict[str, Callable[[str], Any]] = {
    ".toml": _read_toml,
    ".json": json.loads,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}
