"""git, run through GitPython: the only owner of it.

The commands see none of the ``GIT_*`` variables that a hook sets: a program that is started from a hook would
else be pointed at the hook's repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    git = _gitpython()
    from tempfile import TemporaryFile

    with TemporaryFile() as stdin:
        stdin.write(said)
        stdin.seek(0)
        status, out, err = git.Git(str(cwd)).execute(
            [*_without_hook_variables(), "git", *args],
            istream=stdin,
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            pass_fds=inherited,
            env={"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **(variables or {})},
        )
    if status:
        text = err.decode(errors="replace") if isinstance(err, bytes) else str(err)
        raise SnapshotError(_reason(text) or f"git {args[0]} ended with status {status}", root=cwd)
    return bytes(out)


def _gitpython() -> Any:
    try:
        import git
    except ImportError as error:  # GitPython's own, when it finds no git
        raise SnapshotError("git is not installed, or not on the PATH") from error
    return git


def _without_hook_variables() -> list[str]:
    """GitPython can add to the environment but leave nothing out; env(1) can."""
    names = [name for name in os.environ if name.startswith("GIT_") and name not in _KEPT]
    names = [name for name in names if not name.startswith(("GIT_TRACE", "GIT_SSL", "GIT_PYTHON"))]
    return (
        ["env", *(part for name in names for part in ("-u", name))]
        if names and os.name != "nt"
        else []
    )


def _reason(text: str) -> str:
    """The line of git's complaint that says what is wrong: its first fatal or error, else its last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (said or lines[-1:] or [""])[0]


def remote_url(root: Path) -> str | None:
    """The URL of the repository's origin, else of its first remote, as its configuration has it."""
    git = _gitpython()
    try:
        remotes = {remote.name: remote for remote in git.Repo(root).remotes}
        names = ["origin"] if "origin" in remotes else sorted(remotes)
        return str(remotes[names[0]].config_reader.get("url")) if names else None
    except (git.GitError, ValueError, OSError, KeyError):
        return None
