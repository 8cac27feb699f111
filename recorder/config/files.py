"""Values from files: TOML, JSON or YAML, a table whose keys are the experiment's."""

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
    """What the file says, one assignment for each of its keys, which may be dotted.

    Raises ConfigError for a file that is not there, cannot be read, or is no table, and where reading it needs a
    package that is not installed.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise _error(path, f"no .toml, .json or .yaml: {path.suffix or 'no suffix'}")
    try:
        found = read(path.read_text("utf-8"))
    except OSError as error:
        raise _error(path, error.strerror or str(error)) from error
    except ImportError as error:
        raise _error(path, f"reading it takes {error.name}: {_EXTRA}") from error
    except _syntax_errors() as error:
        raise _error(path, " ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise _error(path, f"it holds no table of values by key, but a {type(found).__name__}")
    return [Assignment(str(key), value, "data", path.name) for key, value in found.items()]


def _error(path: Path, what: str) -> ConfigError:
    return ConfigError(f"--config {path}: {what}", key=str(path))


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
