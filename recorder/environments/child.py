"""Child processes that run one of recorder's own programs."""

from __future__ import annotations

from pathlib import Path

from ..paths import PACKAGE

# The child may start in a workspace whose modules must not shadow recorder's own, so "" leaves sys.path. Where recorder
# is importable only through sys.path (a checkout), its folder is appended as a last resort.
_PROGRAM = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry != ""]
sys.path.append(sys.argv[1])
{statement}
sys.path.pop()
sys.exit(main(*sys.argv[2:]))
"""


def start_command(interpreter: str, statement: str, *args: str) -> list[str]:
    """Return the command line by which a Python interpreter runs one of recorder's programs.

    Args:
        interpreter: The path of the Python interpreter.
        statement: The import of the program's main function, ``from recorder.batch.worker import main``.
        args: The arguments of that function; its return value is the exit status.
    """
    home = str(Path(PACKAGE).resolve().parent)
    return [interpreter, "-c", _PROGRAM.format(statement=statement), home, *args]


def describe_exit(status: int) -> str:
    """Return how a process ended, from its exit status: ``was killed by signal 9``."""
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
