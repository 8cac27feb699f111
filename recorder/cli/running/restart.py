"""Start the command again in an interpreter that has the environment variables that a run needs."""

from __future__ import annotations

import os
import subprocess
import sys

from ...capture.seeding.determinism import fixed_variables
from .options import RunOptions


def restart(options: RunOptions) -> None:
    """Run the same command in a fresh interpreter if environment variables must be set before Python starts.

    Python and numerical libraries read variables such as PYTHONHASHSEED and OMP_NUM_THREADS only once.
    Returns if all of them are set.
    """
    variables = fixed_variables(
        os.environ, deterministic=options.deterministic, threads=options.threads
    )
    if not variables:
        return
    command = [sys.executable, *sys.orig_argv[1:]]
    environ = {**os.environ, **variables}
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # there, exec leaves the shell without its child
        sys.exit(subprocess.run(command, env=environ).returncode)
    os.execve(sys.executable, command, environ)
