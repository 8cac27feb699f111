"""Processes for many runs: one for each, some at a time, each a fresh interpreter."""

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

from ..paths import PACKAGE
from .report import Ended, ProcessReport

# Where recorder is importable here only by sys.path (a checkout), it is found there as a last resort; the working
# directory's modules must not pass for recorder's own.
_START = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry != ""]
sys.path.append(sys.argv[1])
from importlib import import_module
main = import_module(sys.argv[2]).main
sys.path.pop()
sys.exit(main())
"""
_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
# How long an interrupted run gets to write down what it has, and how often is looked whether a process has ended.
_GRACE_S = 15.0
_LOOK_S = 0.02


class Job(Protocol):
    """What a process is told, as JSON on its standard input; `report` is the file for what it tells (a
    `ProcessReport`)."""

    @property
    def report(self) -> str: ...  # noqa: D102


class Worker:
    """A job's process: `place` is the job's among them, `report` what it has told so far; `module` has its ``main``."""

    def __init__(self, place: int, job: Job, log: Path, *, module: str) -> None:
        self.place = place
        self.report = ProcessReport()
        self.started = monotonic()
        self._file = job.report
        self._log = log
        home = str(Path(PACKAGE).resolve().parent)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, home, module],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C reaches us, and we tell it
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(job))
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has died already: its exit status says so

    @property
    def duration_s(self) -> float:
        """Seconds since it was started."""
        return monotonic() - self.started

    def look(self) -> bool:
        """Read what it has told; whether it has ended."""
        status = self._process.poll()
        told = ProcessReport.read(self._file)
        if told is not None:
            self.report = told
        if status is not None and self.report.status == "running":
            self.report = msgspec.structs.replace(
                self.report, status="lost", error=self._death(status), exit_status=3
            )
        return status is not None

    def stop(self, *, kill: bool = False) -> None:
        """Interrupt it with what it has started, as a terminal would, or end them at once."""
        if self._process.poll() is not None:
            return
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL if kill else signal.SIGINT)
        else:
            self._process.kill() if kill else self._process.send_signal(signal.SIGINT)

    def clear(self) -> None:
        """Remove what it has left; what it printed is in its run's record."""
        self._log.unlink()
        Path(self._file).unlink(missing_ok=True)

    def _death(self, status: int) -> str:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if self.report.number is not None:
            return f"its process {how}"  # what it said is in the record
        said = self._log.read_text(errors="replace").strip().splitlines()
        return f"its process {how}" + (f": {said[-1]}" if said else "")


class Pool:
    """Runs jobs, `processes` at a time; `interrupted` says that it was told to stop.

    `waiting` counts the jobs that have not begun, `workers` are those that run. A process calls the ``main`` of
    `module`.
    """

    def __init__(self, processes: int, *, module: str) -> None:
        self._processes = processes
        self._module = module
        self.workers: list[Worker] = []
        self.waiting = 0
        self.interrupted = False

    def run(
        self, jobs: Sequence[tuple[int, Callable[[str], Job]]], *, tick: Callable[[Pool], None]
    ) -> Iterator[Ended]:
        """Each, a place and a job, when it has ended. A job is made when it is its turn, with the file for its report.

        `tick` is called some times a second. After Ctrl-C, SIGTERM or SIGHUP no job is begun, and those that run are
        interrupted; a second one kills them.
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
                self._kill_late()
                tick(self)
                sleep(0 if ended else _LOOK_S)

    def _begin(self, place: int, make: Callable[[str], Job], folder: Path) -> None:
        job = make(str(folder / f"{place}.json"))
        self.waiting -= 1
        worker = Worker(place, job, folder / f"{place}.txt", module=self._module)
        self.workers.append(worker)
        if self.interrupted:  # while it was being started
            worker.stop()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        for worker in self.workers:
            worker.stop(kill=self.interrupted)
        self.interrupted = True
        self._late = monotonic() + _GRACE_S

    def _kill_late(self) -> None:
        if self.interrupted and monotonic() > self._late:
            for worker in self.workers:
                worker.stop(kill=True)


@contextmanager
def _stopping(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    former: dict[int, Any] = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in former.items():
            signal.signal(number, one)
