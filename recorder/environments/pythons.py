"""The Pythons of this machine, by version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_VERSION = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
_WITHIN_S = 30


class Python(NamedTuple):
    """An interpreter by its `path`, and its version, as ``3.11.7``."""

    path: str
    version: str


def find_python(version: str) -> Python | None:
    """One of that version, else of the same minor one, since that decides what can be installed; None without either.

    Looked for: this one, ``pythonX.Y`` on PATH, what pyenv and uv have installed, and Windows's launcher.
    """
    near: Python | None = None
    for path in _candidates(_minor(version)):
        found = _ask(path)
        if found == version:
            return Python(path, found)
        if near is None and found is not None and _minor(found) == _minor(version):
            near = Python(path, found)
    return near


def find_uv() -> list[str] | None:
    """The command that is uv, where it can be had."""
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
        yield from _said([*uv, "python", "find", "--no-python-downloads", minor])
    if os.name == "nt":
        yield from _said(["py", f"-{minor}", "-c", "import sys; print(sys.executable)"])


def _said(command: list[str]) -> Iterator[str]:
    """The first line that a command prints, where it succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S)
    except (OSError, subprocess.SubprocessError):
        return
    lines = done.stdout.split("\n")
    if done.returncode == 0 and lines[0]:
        yield lines[0].strip()


def _ask(path: str) -> str | None:
    """The version of the interpreter at `path`; None where there is none that starts."""
    # (Isolated: what this process imports from is not what another Python does.)
    return next(_said([path, "-I", "-S", "-c", _VERSION]), None)
