"""Search for a Python of a version on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_VERSION = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
_TIMEOUT_S = 30


class Python(NamedTuple):
    """An interpreter: its path, and its version as ``3.11.7``."""

    path: str
    version: str


def find_python(version: str) -> Python | None:
    """Return a Python of exactly that version, or else one of the same minor version; None where there is neither.

    The minor version decides which packages can be installed. The search covers this interpreter, ``pythonX.Y`` on
    PATH, the installations of pyenv and uv, and the launcher of Windows.
    """
    near: Python | None = None
    for path in _candidates(_minor(version)):
        # Isolated: this process's import path must not become that of another Python.
        found = next(_first_line([path, "-I", "-S", "-c", _VERSION]), None)
        if found == version:
            return Python(path, found)
        if near is None and found is not None and _minor(found) == _minor(version):
            near = Python(path, found)
    return near


def find_uv() -> list[str] | None:
    """Return the command that runs uv, None where uv is not installed."""
    from importlib.util import find_spec

    path = shutil.which("uv")
    if path is not None:
        return [path]
    return [sys.executable, "-m", "uv"] if find_spec("uv") is not None else None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _candidates(minor: str) -> Iterator[str]:
    base = getattr(sys, "_base_executable", sys.executable)
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == minor:
        yield base
    found = shutil.which(f"python{minor}")
    if found is not None:
        yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted((root / "versions").glob(f"{minor}.*"), reverse=True):
        yield str(folder / "bin" / "python")
    uv = find_uv()
    if uv is not None:
        yield from _first_line([*uv, "python", "find", "--no-python-downloads", minor])
    if os.name == "nt":
        yield from _first_line(["py", f"-{minor}", "-c", "import sys; print(sys.executable)"])


def _first_line(command: list[str]) -> Iterator[str]:
    """Yield the first line that a command prints, nothing where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return
    lines = done.stdout.split("\n")
    if done.returncode == 0 and lines[0]:
        yield lines[0].strip()
