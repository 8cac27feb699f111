"""Rebuild a recorded environment: a virtual environment with the recorded Python and packages.

::

    .recorder/envs/<key>/
      lock     held exclusively while the environment is built, shared while it is used
      env/     the virtual environment
      done     written last: without it the environment is incomplete

uv installs the packages where it is available, or else pip, each with its user's configuration; pip is tried where uv
fails. No dependency is resolved: every requirement is pinned and installed without its own requirements.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import ReplayError
from ..records import Record
from ..store.filesystem.disk import remove_all, write_durably
from ..store.filesystem.folder_lock import FolderLock
from ..store.store import RunStore
from .blueprint import Blueprint
from .interpreter import Interpreter, describe_interpreter
from .pythons import find_uv

Say = Callable[[str], None]

# How pip and uv name a package that no index has.
_LACKING = (
    re.compile(r"No matching distribution found for ([^\s()]+)"),
    re.compile(r"Because (\S+) was not found in the package registry"),
    re.compile(r"there is no version of (\S+)"),
)
_PROGRESS = re.compile(
    r"\s*(Collecting|Downloading|Building wheel|Installing|Prepared|Resolved|Installed)\b"
)
# Each missing package that a message names costs another request to the index.
_MOST_NAMED = 20


class Rebuilt(NamedTuple):
    """An environment in use: its interpreter, and the descriptors that keep garbage collection away from it."""

    interpreter: str
    held: tuple[int, ...] = ()


def describe_rebuilt(store: RunStore, blueprint: Blueprint) -> Interpreter:
    """Return the interpreter of the environment: the built one, or else the one that a build will give."""
    folder = _folder(store, blueprint)
    if (folder / "done").is_file():
        return describe_interpreter(str(_python_in(folder / "env")), cache=store.path / "envs")
    # The facts of the machine are those of this process.
    now = describe_interpreter(sys.executable, cache=store.path / "envs")
    recorded = blueprint.environment
    python = {**(recorded.get("python") or {}), "version": blueprint.version}
    environment = {**now.environment, "python": python, "packages": recorded.get("packages")}
    return Interpreter(path=blueprint.python, version=blueprint.version, environment=environment)


@contextlib.contextmanager
def rebuilt(
    store: RunStore, record: Record, blueprint: Blueprint, *, say: Say = lambda line: None
) -> Iterator[Rebuilt]:
    """Provide the environment for the duration of the ``with`` block, and build it first where necessary.

    Raises:
        ReplayError: A package is unavailable or the build fails; nothing is left of the environment then.
    """
    folder = FolderLock(_folder(store, blueprint))
    while not (folder.path.is_dir() and folder.share() and (folder.path / "done").is_file()):
        folder.release()
        folder.enter()
        try:
            if not (folder.path / "done").is_file():
                _build(folder.path, record, blueprint, say)
        finally:
            folder.release()
    try:
        interpreter = str(_python_in(folder.path / "env"))
        problem = describe_interpreter(interpreter, cache=store.path / "envs").problem
        if problem:
            raise ReplayError(problem, run=record.number)
        yield Rebuilt(interpreter, folder.lock.fds)
    finally:
        folder.release()


def _folder(store: RunStore, blueprint: Blueprint) -> Path:
    return store.path / "envs" / blueprint.key


def _python_in(env: Path) -> Path:
    return env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _build(folder: Path, record: Record, blueprint: Blueprint, say: Say) -> None:
    """Build the environment in the folder, whose lock is held exclusively; first remove the rest of a killed build."""
    env = folder / "env"
    if env.exists():
        remove_all(env)
    try:
        _Builder(env, record, blueprint, say).build()
        write_durably(folder / "done", b"")
    except BaseException:
        if env.exists():
            remove_all(env)
        raise


class _Builder:
    def __init__(self, env: Path, record: Record, blueprint: Blueprint, say: Say) -> None:
        self._env = env
        self._run = record.number
        self._blueprint = blueprint
        self._say = say
        self._uv = find_uv()
        self._pip_command: list[str] | None = None

    def build(self) -> None:
        blueprint = self._blueprint
        by = "uv" if self._uv else "pip"
        self._say(
            f"building the environment of run {self._run}: Python {blueprint.version} with"
            f" {len(blueprint.lines)} packages, using {by}; later replays use it again"
        )
        self._make()
        pinned = self._env / "requirements.txt"
        pinned.write_text("\n".join(blueprint.lines) + "\n", encoding="utf-8")
        self._install("--no-deps", "-r", str(pinned), lines=blueprint.lines)
        if blueprint.added:
            # With their dependencies, but no recorded package in another version.
            self._install("-c", str(pinned), *blueprint.added, lines=blueprint.added)

    def _make(self) -> None:
        """Create an empty environment, and install pip in it only where no pip outside can serve it."""
        python = self._blueprint.python
        printed = self._call([python, "-m", "pip", "--version"], quiet=True).stdout
        version = re.match(r"pip (\d+)\.(\d+)", printed)
        # pip has `--python` since 22.3. ensurepip would take as long as everything else: 5 s.
        if version and (int(version[1]), int(version[2])) >= (22, 3):
            self._pip_command = [python, "-m", "pip", "--python", str(self._python)]
        make = [python, "-m", "venv", str(self._env)]
        if self._uv or self._pip_command:
            make.insert(-1, "--without-pip")
        else:
            self._pip_command = [str(self._python), "-m", "pip"]
        self._check(self._call(make), f"{python} cannot make a virtual environment")

    def _install(self, *args: str, lines: Sequence[str]) -> None:
        if not lines:
            return
        if self._uv:
            done = self._call([*self._uv, "pip", "install", "--python", str(self._python), *args])
            if done.returncode == 0:
                return
            self._say("uv could not install everything; trying pip")
            self._uv = None
            if self._pip_command is None:
                ensure = [str(self._python), "-m", "ensurepip", "--default-pip"]
                self._check(self._call(ensure), "pip could not be installed there")
                self._pip_command = [str(self._python), "-m", "pip"]
        done = self._call(self._pip(*args))
        if done.returncode:
            lacking = self._find_lacking(done.stdout, args, lines)
            raise self._error(done.stdout, lacking)

    @property
    def _python(self) -> Path:
        return _python_in(self._env)

    def _pip(self, *args: str) -> list[str]:
        quiet = ("--no-input", "--disable-pip-version-check")
        assert self._pip_command is not None
        return [*self._pip_command, "install", *quiet, *args]

    def _find_lacking(self, printed: str, args: Sequence[str], lines: Sequence[str]) -> list[str]:
        """Return all packages that no index has: pip stops at the first, so dry runs without it find the others."""
        lacking: list[str] = []
        rest, fewer = list(lines), self._env / "fewer.txt"
        while (name := lacking_in(printed)) and name not in lacking and len(lacking) < _MOST_NAMED:
            lacking.append(name)
            rest = [line for line in rest if not line.startswith(name)]
            fewer.write_text("\n".join(rest) + "\n", encoding="utf-8")
            asked = ("--dry-run", "--no-deps", "--ignore-installed", "-r", str(fewer))
            printed = self._call(self._pip(*asked), quiet=True).stdout
        return lacking

    def _error(self, printed: str, lacking: Sequence[str]) -> ReplayError:
        if lacking:
            reason = f"no index has {', '.join(lacking)}"
            cure = "give pip an index or a folder that has it (pip config, PIP_FIND_LINKS), or use --env PATH"
        else:
            lines = [line for line in printed.splitlines() if line.strip()]
            errors = [line for line in lines if line.lower().lstrip().startswith("error")]
            reason = (errors or lines or ["the installer printed nothing"])[-1].strip()
            cure = "create the environment yourself, and use --env PATH"
        message = f"the environment of run {self._run} cannot be rebuilt: {reason}; {cure}"
        return ReplayError(message, run=self._run)

    def _check(self, done: subprocess.CompletedProcess[str], reason: str) -> None:
        if done.returncode:
            last = (done.stdout.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            message = f"the environment of run {self._run} cannot be rebuilt: {reason} ({last}); try: --env PATH"
            raise ReplayError(message, run=self._run)

    def _call(
        self, command: Sequence[str], *, quiet: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, report its progress, and return its exit status and everything that it printed."""
        # This process's import path and environment must not reach the new environment.
        env = {
            k: v
            for k, v in os.environ.items()
            if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        }
        printed: list[str] = []
        with subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env=env,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line)
                if not quiet and _PROGRESS.match(line):
                    self._say(f"  {line.strip()}")
        return subprocess.CompletedProcess(list(command), process.returncode, "".join(printed), "")


def lacking_in(printed: str) -> str | None:
    """Return the package that no index has according to the output of pip or uv, None where it names none."""
    found = (pattern.search(printed) for pattern in _LACKING)
    return next((match[1].rstrip(",;") for match in found if match), None)
