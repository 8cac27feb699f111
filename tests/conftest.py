"""What the tests share: projects in folders of their own, and real commands run in them."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long it takes is nobody's failure: the machine may be busy.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
# No variable of the caller's decides what a test finds.
for _name in ("RECORDER_STORE", "PYTHONHASHSEED", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
    os.environ.pop(_name, None)
# A shell without job control ignores SIGINT and SIGQUIT in background processes, and nohup ignores SIGHUP. Child
# processes inherit that, so tests that send these signals would wait forever.
if os.name != "nt" and threading.current_thread() is threading.main_thread():
    for _number, _handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(_number) is signal.SIG_IGN:
            signal.signal(_number, _handler)
# And no test makes or reads the key of whoever runs it.
_keys = tempfile.mkdtemp(prefix="recorder-key-")
atexit.register(shutil.rmtree, _keys, ignore_errors=True)
os.environ["RECORDER_KEY_FILE"] = f"{_keys}/key"


class Project:
    """A folder with experiments in it, and the commands that a person types there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": str(root.parent / "gitconfig"),
            "NO_COLOR": "1",
        }

    def write(self, name: str, text: str) -> Path:
        """A file of the project, dedented."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def git(self, *args: str) -> str:
        """A git command in the project, as a user of its own."""
        config = [
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.org",
            "-c",
            "init.defaultBranch=main",
        ]
        done = subprocess.run(
            ["git", *config, *args], cwd=self.root, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self) -> None:
        """Everything there is, committed, in a repository made if there is none."""
        if not (self.root / ".git").exists():
            self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", "a commit")

    def python(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """``python ARGS`` in the project."""
        return self._run([sys.executable, *args], **options)

    def recorder(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """``recorder ARGS`` in the project."""
        return self._run([sys.executable, "-m", "recorder", *args], **options)

    def _run(
        self,
        command: list[str],
        *,
        status: int | None = 0,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env={**self.env, **(env or {})},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if status is not None:
            assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def show(self, run: str | int) -> dict[str, Any]:
        """The record, as `recorder show --json` prints it."""
        found: dict[str, Any] = json.loads(self.recorder("show", str(run), "--json").stdout)
        return found


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs PyTorch where it is not installed: the extra `test` leaves it out."""
    marker = item.get_closest_marker("torch")
    if marker is not None and marker.kwargs.get("needed", True) and find_spec("torch") is None:
        pytest.skip("no PyTorch here")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project in a folder without a repository."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)


def wait_until(condition: Callable[[], bool], *, within_s: float = 60) -> None:
    """Wait until the condition holds, and fail if it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def wait_for_tick(folder: Path) -> None:
    """Wait until a new file in the folder gets a later time stamp than one made before.

    The kernel dates files by its timer tick, up to 10 ms apart, and a network file system by its server's clock.
    """
    probe = folder / f"tick-{os.getpid()}"

    def stamp() -> int:
        probe.touch()
        return probe.stat().st_ctime_ns

    first = stamp()
    wait_until(lambda: stamp() > first)
    probe.unlink()


def bin_folder(parent: Path) -> Path:
    """A new folder with `python` and `recorder` as a person has them on the PATH."""
    folder = parent / "bin"
    folder.mkdir()
    for name, command in (
        ("python", sys.executable),
        ("recorder", f"{sys.executable} -m recorder"),
    ):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return folder
