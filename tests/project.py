"""A project folder for tests, and the commands that a user types in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Project:
    """A folder with experiments, and the commands that a user types in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": str(root.parent / "gitconfig"),
            "NO_COLOR": "1",
        }

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project, dedented; return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def git(self, *args: str) -> str:
        """Run a git command in the project, with a test user; return what it prints."""
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
        """Commit everything, in a repository that is created if necessary."""
        if not (self.root / ".git").exists():
            self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", "a commit")

    def python(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``python ARGS`` in the project."""
        return self._run([sys.executable, *args], **options)

    def recorder(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``recorder ARGS`` in the project."""
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
        """Return the record, as `recorder show --json` prints it."""
        found: dict[str, Any] = json.loads(self.recorder("show", str(run), "--json").stdout)
        return found


def bin_folder(parent: Path) -> Path:
    """Create a folder with the commands `python` and `recorder`, to be put on the PATH; return it."""
    folder = parent / "bin"
    folder.mkdir()
    for name, command in (
        ("python", sys.executable),
        ("recorder", f"{sys.executable} -m recorder"),
    ):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return folder
