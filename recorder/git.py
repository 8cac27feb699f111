"""git as a subprocess and through GitPython. No other module uses either.

Commands run without the ``GIT_*`` variables that git sets for hooks: with them, a program started from a hook would
work on the hook's repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import SnapshotError

# Variables that configure git, as opposed to those that select a repository.
_KEPT = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES"}
)


def run_git(
    args: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
    inherited: tuple[int, ...] = (),
) -> bytes:
    """Run ``git ARGS`` in `cwd` and return its standard output.

    `stdin` is its standard input, `variables` are added to its environment, and the descriptors `inherited` stay open
    in it. Raises SnapshotError with git's message for a nonzero exit status, and if git is not installed.
    """
    import subprocess

    try:
        # GitPython can do this, but importing it takes 130 ms, as long as everything else after an edit.
        done = subprocess.run(
            ["git", *args],
            cwd=cwd,
            env={**_environment(), **(variables or {})},
            input=stdin,
            capture_output=True,
            pass_fds=inherited,
            check=False,
        )
    except FileNotFoundError as error:
        reason = "git is not installed or not on PATH" if cwd.is_dir() else f"no folder {cwd}"
        raise SnapshotError(reason, root=cwd) from error
    except OSError as error:
        raise SnapshotError(f"git could not be started: {error}", root=cwd) from error
    if done.returncode:
        complaint = done.stderr.decode(errors="replace")
        reason = _reason(complaint) or f"git {args[0]} ended with status {done.returncode}"
        raise SnapshotError(reason, root=cwd)
    return done.stdout


def _environment() -> dict[str, str]:
    """Return this process's environment without redirections of git, set for English messages."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(("GIT_TRACE", "GIT_SSL"))
    }
    added = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **added}


def _reason(complaint: str) -> str:
    """Return the first fatal or error line of git's standard error, or its last line."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (errors or lines[-1:] or [""])[0]


def remote_url(root: Path) -> str | None:
    """Return the configured URL of the remote ``origin``, or of the first remote by name, or None."""
    try:
        import git
    except ImportError:  # raised by GitPython if it finds no git
        return None
    try:
        remotes = {remote.name: remote for remote in git.Repo(root).remotes}
        names = ["origin"] if "origin" in remotes else sorted(remotes)
        return str(remotes[names[0]].config_reader.get("url")) if names else None
    except (git.GitError, ValueError, OSError, KeyError):
        return None
