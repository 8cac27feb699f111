"""A recorded environment, built again: a virtual environment with the recorded Python and packages.

::

    .recorder/envs/<key>/
      lock     held by whoever builds it, alone, and by whoever uses it, together
      env/     the virtual environment
      done     written last: without it what is there is half of one

It is installed by uv where that can be had, else by pip, each as its user has configured it; what uv cannot get is
asked of pip. Nothing but what was recorded is resolved: every requirement is pinned, and installed without its own.
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

# How pip and uv name what no index has.
_LACKING = (
    re.compile(r"No matching distribution found for ([^\s()]+)"),
    re.compile(r"Because (\S+) was not found in the package registry"),
    re.compile(r"there is no version of (\S+)"),
)
_SAID = re.compile(
    r"\s*(Collecting|Downloading|Building wheel|Installing|Prepared|Resolved|Installed)\b"
)
# So many missing packages are named; each costs another question to the index.
_MOST_NAMED = 20


class Rebuilt(NamedTuple):
    """An environment that is there: its interpreter, and descriptors that keep it from being collected."""

    interpreter: str
    held: tuple[int, ...] = ()


def describe_rebuilt(store: RunStore, blueprint: Blueprint) -> Interpreter:
    """What will run in the environment: as it is, where it has been built, else as it is to be."""
    folder = _folder(store, blueprint)
    if (folder / "done").is_file():
        return describe_interpreter(str(_python_in(folder / "env")), cache=store.path / "envs")
    # What of the machine is the same in each is this process's.
    now = describe_interpreter(sys.executable, cache=store.path / "envs")
    said = blueprint.environment
    python = {**(said.get("python") or {}), "version": blueprint.version}
    environment = {**now.environment, "python": python, "packages": said.get("packages")}
    return Interpreter(path=blueprint.python, version=blueprint.version, environment=environment)


@contextlib.contextmanager
def rebuilt(
    store: RunStore, record: Record, blueprint: Blueprint, *, say: Say = lambda line: None
) -> Iterator[Rebuilt]:
    """The environment, built where it is not there yet, and kept while the ``with`` block lasts.

    Raises ReplayError where something cannot be had; nothing is left of the environment then.
    """
    folder = FolderLock(_folder(store, blueprint))
    while not (_share(folder) and (folder.path / "done").is_file()):
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


def _share(folder: FolderLock) -> bool:
    return folder.path.is_dir() and folder.share()


def _folder(store: RunStore, blueprint: Blueprint) -> Path:
    return store.path / "envs" / blueprint.key


def _python_in(env: Path) -> Path:
    return env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _build(folder: Path, record: Record, blueprint: Blueprint, say: Say) -> None:
    """Build it in the folder, whose lock is held alone; what a build that was killed has left is removed first."""
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
            f" {len(blueprint.lines)} packages, by {by}; it is kept for the next time"
        )
        self._make()
        pinned = self._env / "requirements.txt"
        pinned.write_text("\n".join(blueprint.lines) + "\n", encoding="utf-8")
        self._install("--no-deps", "-r", str(pinned), lines=blueprint.lines)
        if blueprint.added:
            # What recorder needs beside: its own requirements too, but nothing recorded in another version.
            self._install("-c", str(pinned), *blueprint.added, lines=blueprint.added)

    def _make(self) -> None:
        """An empty environment, with a pip of its own only where none outside can be pointed at it."""
        python = self._blueprint.python
        said = self._call([python, "-m", "pip", "--version"], quiet=True).stdout
        version = re.match(r"pip (\d+)\.(\d+)", said)
        # (`--python` is there from 22.3 on. ensurepip takes as long as the rest: 5 s.)
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
            self._say("uv could not get everything: asking pip")
            self._uv = None
            if self._pip_command is None:
                ensure = [str(self._python), "-m", "ensurepip", "--default-pip"]
                self._check(self._call(ensure), "pip cannot be had there")
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

    def _find_lacking(self, said: str, args: Sequence[str], lines: Sequence[str]) -> list[str]:
        """All that no index has: pip stops at the first, so it is asked again without that, and installs nothing."""
        lacking: list[str] = []
        rest, fewer = list(lines), self._env / "fewer.txt"
        while (name := lacking_in(said)) and name not in lacking and len(lacking) < _MOST_NAMED:
            lacking.append(name)
            rest = [line for line in rest if not line.startswith(name)]
            fewer.write_text("\n".join(rest) + "\n", encoding="utf-8")
            asked = ("--dry-run", "--no-deps", "--ignore-installed", "-r", str(fewer))
            said = self._call(self._pip(*asked), quiet=True).stdout
        return lacking

    def _error(self, said: str, lacking: Sequence[str]) -> ReplayError:
        if lacking:
            what = f"no index has {', '.join(lacking)}"
            do = "give pip an index or a folder that has it (pip config, PIP_FIND_LINKS), or replay with --env PATH"
        else:
            lines = [line for line in said.splitlines() if line.strip()]
            errors = [line for line in lines if line.lower().lstrip().startswith("error")]
            what = (errors or lines or ["it said nothing"])[-1].strip()
            do = "make the environment yourself, and replay with --env PATH"
        message = f"the environment of run {self._run} cannot be rebuilt: {what}; {do}"
        return ReplayError(message, run=self._run)

    def _check(self, done: subprocess.CompletedProcess[str], what: str) -> None:
        if done.returncode:
            last = (done.stdout.strip().splitlines() or [f"status {done.returncode}"])[-1]
            message = f"the environment of run {self._run} cannot be rebuilt: {what} ({last})"
            raise ReplayError(message, run=self._run)

    def _call(
        self, command: Sequence[str], *, quiet: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, saying what it is about; all that it printed is in stdout."""
        # (What this process imports from, or is itself installed in, is nothing to the new environment.)
        env = {
            k: v
            for k, v in os.environ.items()
            if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        }
        said: list[str] = []
        with subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env=env,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if not quiet and _SAID.match(line):
                    self._say(f"  {line.strip()}")
        return subprocess.CompletedProcess(list(command), process.returncode, "".join(said), "")


def lacking_in(said: str) -> str | None:
    """What no index has, as pip or uv said; None where they said nothing of the kind."""
    found = (pattern.search(said) for pattern in _LACKING)
    return next((match[1].rstrip(",;") for match in found if match), None)
