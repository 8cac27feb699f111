"""The environment of a run: interpreter, platform, packages, variables, and locale.

It is the same for every run of a process, and for most runs of a machine. It is plain JSON, stored once under its
digest. The part that a run loads, and its settings, belong to the runtime (see `.runtime`).
"""

from __future__ import annotations

import locale
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ... import codec
from ...records import JSON, Redacted
from ...secrets.names import kind_of, promises_secret
from ...secrets.register import format_of, marker_of
from .attempt import attempt
from .hardware import describe_platform
from .packages import Packages, find_packages, folders_key

# Variables that affect a run, according to their documentation. All others stay out of the record.
_ALLOWED_PREFIXES = (
    "PYTHON", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "NUMEXPR_", "VECLIB_", "NPY_", "LC_",
    "CUDA_", "CUBLAS_",
    "CUDNN_", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "TF_", "XLA_", "JAX_", "ATEN_", "TOKENIZERS_PARALLELISM",
)  # fmt: skip
_ALLOWED = frozenset({"TZ", "LANG", "LANGUAGE"})
# They affect how this process was started or debugged, not its results.
_OF_ONE_PROCESS = frozenset(
    {"PYTHONHASHSEED", "PYTHONSTARTUP", "PYTHONBREAKPOINT", "PYTHONINSPECT"}
)
# These belong to one job, or state what a container image requires of its host.
_NOT_ALLOWED = ("TORCHELASTIC_", "NVIDIA_REQUIRE_")


def allowed_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for a record: those of an allow-list that do not look like credentials."""
    return {name: value for name, value in _listed(environ) if not _is_secret(name, value)}


def redacted_variables(environment: Mapping[str, Any]) -> tuple[Redacted, ...]:
    """Return the redacted variables of an environment object."""
    return tuple(
        Redacted(
            place=f"variables.{name}",
            marker=value["$redacted"]["marker"],
            reason=f"the name {name}" if kind_of(name) else "its value has a known format",
        )
        for name, value in (environment.get("variables") or {}).items()
        if isinstance(value, dict)
    )


def _listed(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    # Filter by name first: os.environ decodes each value on access.
    return [(name, environ[name]) for name in sorted(filter(_is_listed, environ))]


@lru_cache(maxsize=1000)
def _is_listed(name: str) -> bool:
    listed = name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)
    return listed and name not in _OF_ONE_PROCESS and not name.startswith(_NOT_ALLOWED)


@lru_cache(maxsize=1000)
def _is_secret(name: str, value: str) -> bool:
    return promises_secret(kind_of(name), value) or bool(format_of(value))


def _describe_variables(environ: Mapping[str, str]) -> dict[str, JSON]:
    """Return the listed variables by name, with a redacted form for values that look like credentials."""
    return {
        name: codec.redacted(marker_of(value), type="str") if _is_secret(name, value) else value
        for name, value in _listed(environ)
    }


class Environment(NamedTuple):
    """The environment object, `described`, with its packages. `problems` are warnings about missing parts."""

    described: dict[str, JSON]
    packages: Packages
    problems: tuple[str, ...] = ()


_LOOK_EVERY_S = 0.1
_last_look: tuple[tuple[str, ...], float, object] | None = None
_known: tuple[object, Environment] | None = None


def describe_environment(*, cache: Path | None = None) -> Environment:
    """Describe the current environment. The same object is returned while nothing has changed in this process.

    Keys: python, platform, packages (name to version and, unless it is a package index, source), variables, locale.
    `cache` is a folder for the results of package scans.
    """
    global _known
    key = _state()
    if _known is None or _known[0] != key:
        found = _describe(cache)
        # A change can be irrelevant, and then the environment object stays the same.
        same = _known is not None and _known[1] == found
        _known = key, _known[1] if _known is not None and same else found
    return _known[1]


def _state() -> object:
    """Return a value that changes whenever the environment may have changed."""
    # os.environ decodes every variable on iteration; its underlying data serves as well.
    variables = getattr(os.environ, "_data", os.environ)
    return _folders(), dict(variables), locale.setlocale(locale.LC_ALL), time.tzname


def _folders() -> object:
    """Return the state of sys.path's folders, checked at intervals: installations take longer than that."""
    global _last_look
    path, now = tuple(sys.path), time.monotonic()
    if _last_look is None or _last_look[0] != path or now - _last_look[1] > _LOOK_EVERY_S:
        _last_look = path, now, folders_key()
    return _last_look[2]


def _describe(cache: Path | None) -> Environment:
    problems: list[str] = []
    packages = attempt(
        lambda: find_packages(cache=cache), "environment's packages", problems.append
    )
    parts: dict[str, Callable[[], JSON]] = {
        "python": _describe_python,
        "platform": describe_platform,
        "packages": (packages or Packages()).describe,
        "variables": lambda: _describe_variables(os.environ),
        "locale": _describe_locale,
    }
    described = {
        name: attempt(describe, f"environment's {name}", problems.append)
        for name, describe in parts.items()
    }
    return Environment(described, packages or Packages(), tuple(problems))


def _describe_python() -> dict[str, JSON]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "prefix": sys.prefix,
        "virtual_environment": sys.prefix != sys.base_prefix,
        "optimize": sys.flags.optimize,
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    }


def _describe_locale() -> dict[str, JSON]:
    return {
        "encoding": locale.getpreferredencoding(False),
        "filesystem_encoding": sys.getfilesystemencoding(),
        "categories": locale.setlocale(locale.LC_ALL),
        "numeric": locale.setlocale(locale.LC_NUMERIC),
        "timezone": list(time.tzname),
    }
