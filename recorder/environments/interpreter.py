"""The Python that a replay runs with: how it is started, and what is installed there."""

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
from ..paths import PACKAGE
from ..records import JSON, Part

# It may be started in a workspace, whose modules must not pass for recorder's own; and where recorder is importable
# here only by sys.path (a checkout), it is found there as a last resort.
_START = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry != ""]
sys.path.append(sys.argv[1])
from importlib import import_module
main = import_module(sys.argv[2]).main
sys.path.pop()
sys.exit(main(*sys.argv[3:]))
"""
_VERSION = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
_WITHIN_S = 60


class Interpreter(Part, frozen=True):
    """A Python by its `path`: its version, and its environment object.

    `problem` says why recorder cannot work there, where it cannot; `environment` is then empty.
    """

    path: str
    version: str
    environment: Mapping[str, JSON] = {}
    problem: str = ""

    @property
    def minor(self) -> str:
        """Its version without the last part: what a pickle by value is tied to."""
        return ".".join(self.version.split(".")[:2])


def find_interpreter(text: str) -> str:
    """The Python that a person means: ``same``, an interpreter's path, or the folder of a virtual environment.

    Raises ReplayError where there is none.
    """
    if text == "same":
        return sys.executable
    path = (
        Path(text).expanduser().absolute()
    )  # (Not resolved: a virtual environment is known by its link.)
    if not path.is_dir() and path.exists():
        return str(path)
    for name in ("bin/python", "Scripts/python.exe"):
        if (path / name).exists():
            return str(path / name)
    raise ReplayError(
        f"there is no Python at {text}: name an interpreter or the folder of a virtual environment (for a folder"
        " called same: ./same)"
    )


def choose_python(environment: str) -> dict[str, Any]:
    """The fields of a `Request` for ``rebuild``, or what `find_interpreter` finds. Raises ReplayError."""
    if environment == "rebuild":
        return {"rebuild": True}
    return {"interpreter": find_interpreter(environment)}


def start_command(interpreter: str, module: str, *args: str) -> list[str]:
    """The command line by which `interpreter` calls the ``main`` of a module of recorder's with the arguments."""
    home = str(Path(PACKAGE).resolve().parent)
    return [interpreter, "-c", _START, home, module, *args]


def describe_interpreter(path: str, *, cache: Path) -> Interpreter:
    """What the Python at `path` is; `cache` is a folder for the scan of its packages.

    Raises ReplayError where there is none.
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
        raise ReplayError(f"{path} is no Python that could be started: {error}") from error
    done = _run(start_command(path, __name__, cache), check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        problem = f"recorder cannot work in {path} ({last}): `{path} -m pip install run-recorder`"
        return Interpreter(path=path, version=version, problem=problem)
    found: dict[str, Any] = json.loads(done.stdout)
    return Interpreter(path=path, version=version, environment=found)


def _run(command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    # (What this process imports from is not what another Python does.)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        command, check=check, capture_output=True, text=True, timeout=_WITHIN_S, env=env
    )


def main(cache: str) -> int:
    """Print the environment object of this process."""
    described = describe_environment(cache=Path(cache)).described
    sys.stdout.write(msgspec.json.encode(described).decode())
    return 0
