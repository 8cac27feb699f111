"""git, as a process and through GitPython: the only owner of both.

The commands see none of the ``GIT_*`` variables that a hook sets: a program that is started from a hook would
else be pointed at the hook's repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import SnapshotError

# Variables that say how git is to be configured, not on what it works.
_KEPT = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES"}
)


def run_git(
    args: Sequence[str],
    *,
    cwd: Path,
    said: bytes = b"",
    variables: Mapping[str, str] | None = None,
    inherited: tuple[int, ...] = (),
) -> bytes:
    """What ``git ARGS`` prints when it is run in `cwd` and told `said`; it has the descriptors `inherited` open too.

    Raises SnapshotError, with what git says, for any exit status but 0, and where there is no git.
    """
    import subprocess

    try:
        # GitPython would do it too, but takes 130 ms to be imported: as long as all else that is done after an edit.
        done = subprocess.run(
            ["git", *args],
            cwd=cwd,
            env={**_environment(), **(variables or {})},
            input=said,
            capture_output=True,
            pass_fds=inherited,
            check=False,
        )
    except FileNotFoundError as error:
        what = "git is not installed, or not on the PATH" if cwd.is_dir() else f"no folder {cwd}"
        raise SnapshotError(what, root=cwd) from error
    except OSError as error:
        raise SnapshotError(f"git could not be started: {error}", root=cwd) from error
    if done.returncode:
        text = done.stderr.decode(errors="replace")
        reason = _reason(text) or f"git {args[0]} ended with status {done.returncode}"
        raise SnapshotError(reason, root=cwd)
    return done.stdout


def _environment() -> dict[str, str]:
    """This process's, without what would have git work on something else, and with messages in English."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("GIT_") or _is_kept(n)}
    said = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **said}


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith(("GIT_TRACE", "GIT_SSL"))


def _reason(text: str) -> str:
    """The line of git's complaint that says what is wrong: its first fatal or error, else its last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (said or lines[-1:] or [""])[0]


def remote_url(root: Path) -> str | None:
    """The URL of the repository's origin, else of its first remote, as its configuration has it."""
    try:
        import git
    except ImportError:  # GitPython's own, when it finds no git
        return None
    try:
        remotes = {remote.name: remote for remote in git.Repo(root).remotes}
        names = ["origin"] if "origin" in remotes else sorted(remotes)
        return str(remotes[names[0]].config_reader.get("url")) if names else None
    except (git.GitError, ValueError, OSError, KeyError):
        return None
