"""The main function that all processes of a batch share: read a job, carry it out, and write a report."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ..capture.failure import own_traceback
from ..errors import RecorderError
from .pool import Job
from .report import INTERRUPTED, ProcessReport

J = TypeVar("J", bound=Job)


def run_job(kind: type[J], carry_out: Callable[[J], ProcessReport]) -> int:
    """Read a job from standard input, carry it out, and write its report.

    Args:
        kind: The class of the job, a msgspec struct.
        carry_out: The function that does the work.

    Returns:
        The exit status of the process.
    """
    # A shell starts background processes with SIGINT ignored, and their children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
    _close_stdin()
    try:
        report = carry_out(job)
    except RecorderError as error:
        report = ProcessReport(status="failed", error=str(error), exit_status=error.exit_status)
    except KeyboardInterrupt:
        report = ProcessReport(status="interrupted", exit_status=INTERRUPTED)
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything while it is imported
        sys.stderr.write(own_traceback(error))
        message = f"{type(error).__name__}: {error}"
        report = ProcessReport(
            status="failed", error=message, exit_status=RecorderError.exit_status
        )
    report.write(job.report)
    return report.exit_status


def _close_stdin() -> None:
    """Point standard input to the null device, so that an experiment that asks for input gets none."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open for the life of the process
