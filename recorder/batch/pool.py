"""A pool of processes, each a fresh interpreter that carries out one job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Any, Protocol

import msgspec

from ..environments.child import describe_exit, start_command
from .report import Ended, ProcessReport

_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
# The time that an interrupted run has to write its record, in seconds.
_GRACE_S = 15.0
_POLL_S = 0.02


class Job(Protocol):
    """A description of the work, sent as JSON to a process's standard input; `report` is the path of its report."""

    @property
    def report(self) -> str: ...  # noqa: D102


class Worker:
    """The process of a job.

    Attributes:
        place: The job's index in the batch.
        report: The last report of the process.
        started: The start of the process on the monotonic clock, in seconds.
    """

    def __init__(self, place: int, job: Job, log: Path, *, statement: str) -> None:
        self.place = place
        self.report = ProcessReport()
        self.started = monotonic()
        self._file = job.report
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                start_command(sys.executable, statement),
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # this process receives the terminal's Ctrl-C and forwards it
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(job))
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # the process has ended already, which `look` reports

    @property
    def duration_s(self) -> float:
        """Seconds since the start of the process."""
        return monotonic() - self.started

    def look(self) -> bool:
        """Update the report; return whether the process has ended."""
        status = self._process.poll()
        report = ProcessReport.read(self._file)
        if report is not None:
            self.report = report
        if status is not None and self.report.status == "running":
            self.report = msgspec.structs.replace(
                self.report, status="lost", error=self._describe_loss(status), exit_status=3
            )
        return status is not None

    def stop(self, *, kill: bool = False) -> None:
        """Interrupt the process and its children as a terminal would, or kill them."""
        if self._process.poll() is not None:
            return
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL if kill else signal.SIGINT)
        else:
            self._process.kill() if kill else self._process.send_signal(signal.SIGINT)

    def clear(self) -> None:
        """Remove the report and the console output, which the run's record keeps."""
        self._log.unlink()
        Path(self._file).unlink(missing_ok=True)

    def _describe_loss(self, status: int) -> str:
        error = f"its process {describe_exit(status)}"
        if self.report.number is not None:
            return error  # the record has the console output
        printed = self._log.read_text(errors="replace").strip().splitlines()
        return error + (f": {printed[-1]}" if printed else "")


class Pool:
    """Runs jobs in a limited number of processes at a time.

    Args:
        processes: The number of processes at a time.
        statement: The import of the main function that carries out a job,
            ``from recorder.batch.worker import main``.

    Attributes:
        workers: The running workers.
        waiting: The number of jobs that have not begun.
        interrupted: Whether Ctrl-C, SIGTERM, or SIGHUP stopped the pool.
    """

    def __init__(self, processes: int, *, statement: str) -> None:
        self._processes = processes
        self._statement = statement
        self.workers: list[Worker] = []
        self.waiting = 0
        self.interrupted = False

    def run(
        self, jobs: Sequence[tuple[int, Callable[[str], Job]]], *, tick: Callable[[Pool], None]
    ) -> Iterator[Ended]:
        """Run all jobs, and yield each one when it has ended.

        Ctrl-C, SIGTERM, or SIGHUP interrupts the running jobs and begins no other; a second one kills them.

        Args:
            jobs: The index of each job, and a function that makes the job from the path of its report. The function is
                called when the job begins.
            tick: A function that is called several times a second.
        """
        self.waiting = len(jobs)
        with tempfile.TemporaryDirectory(prefix="recorder-") as folder, _stopping(self._stop):
            while self.workers or (self.waiting and not self.interrupted):
                while self.waiting and len(self.workers) < self._processes and not self.interrupted:
                    self._begin(*jobs[len(jobs) - self.waiting], Path(folder))
                ended = [worker for worker in self.workers if worker.look()]
                self.workers = [worker for worker in self.workers if worker not in ended]
                for worker in ended:
                    worker.clear()
                    yield Ended(worker.place, worker.report, worker.duration_s)
                if self.interrupted and monotonic() > self._kill_at:
                    for worker in self.workers:
                        worker.stop(kill=True)
                tick(self)
                sleep(0 if ended else _POLL_S)

    def _begin(self, place: int, make: Callable[[str], Job], folder: Path) -> None:
        job = make(str(folder / f"{place}.json"))
        self.waiting -= 1
        worker = Worker(place, job, folder / f"{place}.txt", statement=self._statement)
        self.workers.append(worker)
        if self.interrupted:  # a signal came while the process was being started
            worker.stop()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        for worker in self.workers:
            worker.stop(kill=self.interrupted)
        self.interrupted = True
        self._kill_at = monotonic() + _GRACE_S


@contextmanager
def _stopping(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    former: dict[int, Any] = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in former.items():
            signal.signal(number, one)
