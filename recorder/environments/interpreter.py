"""The Python that runs a replay: how to find it, and its installed packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from ..capture.environment.environment import describe_environment
from ..errors import ReplayError
from ..records import JSON, Part
from .child import start_command

_DESCRIBE = "from recorder.environments.interpreter import main"
_VERSION = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
_TIMEOUT_S = 60


class Interpreter(Part, frozen=True):
    """A Python interpreter.

    Attributes:
        path: The path of the executable.
        version: The version, ``3.11.7``.
        environment: The environment object of a process that it starts; {} where recorder does not work there.
        problem: The reason why recorder does not work there, with the cure; "" where it works.
    """

    path: str
    version: str
    environment: Mapping[str, JSON] = {}
    problem: str = ""

    @property
    def minor(self) -> str:
        """The version without its last part. A pickle by value loads only in the same minor version."""
        return ".".join(self.version.split(".")[:2])


def find_interpreter(text: str) -> str:
    """Return the Python that a person names.

    Args:
        text: ``same``, the path of an interpreter, or the folder of a virtual environment.

    Raises:
        ReplayError: There is no Python at that path.
    """
    if text == "same":
        return sys.executable
    # Not resolved: Python recognizes a virtual environment by the path of its link.
    path = Path(text).expanduser().absolute()
    if not path.is_dir() and path.exists():
        return str(path)
    for name in ("bin/python", "Scripts/python.exe"):
        if (path / name).exists():
            return str(path / name)
    raise ReplayError(
        f"no Python at {text}; give an interpreter or the folder of a virtual environment (for a folder called same:"
        " ./same)"
    )


def choose_python(environment: str) -> dict[str, Any]:
    """Return the fields of a `Request` for ``rebuild`` or for any value that `find_interpreter` takes.

    Raises:
        ReplayError: There is no Python at that path.
    """
    if environment == "rebuild":
        return {"rebuild": True}
    return {"interpreter": find_interpreter(environment)}


def describe_interpreter(path: str, *, cache: Path) -> Interpreter:
    """Return the version and the environment of the Python at a path.

    Args:
        path: The path of the interpreter.
        cache: The folder that keeps the scan of its packages.

    Raises:
        ReplayError: There is no Python at that path.
    """
    if path == sys.executable:
        version = ".".join(map(str, sys.version_info[:3]))
        return Interpreter(
            path=path, version=version, environment=describe_environment(cache=cache).described
        )
    return _ask(path, str(cache))


@lru_cache(maxsize=8)
def _ask(path: str, cache: str) -> Interpreter:
    try:
        version = _run([path, "-c", _VERSION]).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise ReplayError(f"{path} could not be started as Python: {error}") from error
    done = _run(start_command(path, _DESCRIBE, cache), check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        problem = (
            f"recorder does not work in {path} ({last}); try: {path} -m pip install run-recorder"
        )
        return Interpreter(path=path, version=version, problem=problem)
    described: dict[str, Any] = json.loads(done.stdout)
    return Interpreter(path=path, version=version, environment=described)


def _run(command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    # This process's import path must not become that of another Python.
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        command, check=check, capture_output=True, text=True, timeout=_TIMEOUT_S, env=env
    )


def main(cache: str) -> int:
    """Print the environment object of this process as JSON."""
    described = describe_environment(cache=Path(cache)).described
    sys.stdout.write(msgspec.json.encode(described).decode())
    return 0
