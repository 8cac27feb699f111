"""The folder of a run in progress, and the lock by which the living are told from the lost.

``live/<id>/`` holds what a run has printed, logged and written so far. Its process holds ``live/<id>/lock``
for as long as it runs: an operating-system lock, which ends with the process however it ends. (A pid
says nothing: pids are reused, and mean nothing on another host. Nor do children that it forked hold the lock on.)
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..filesystem.disk import ProcessLock, append_all
from ..filesystem.folder_lock import FolderLock
from .spare import Spare, give_back, take

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Live:
    """The folder `path` of one run in progress, named by its id, its lock held from `begin` to `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = FolderLock(path)
        self._pid = os.getpid()

    @property
    def id(self) -> str:
        """The run's global id."""
        return self.path.name

    @property
    def stdout(self) -> Path:
        """Where the console's stdout goes."""
        return self.path / "stdout"

    @property
    def stderr(self) -> Path:
        """Where the console's stderr goes."""
        return self.path / "stderr"

    @property
    def arrivals(self) -> Path:
        """Where it is written when what of the two came, see `recorder.formats.console_index`."""
        return self.path / "arrivals"

    @property
    def series(self) -> Path:
        """Where the metrics' points go."""
        return self.path / "series.csv"

    @property
    def outputs(self) -> Path:
        """Where the outputs that were saved so far are noted, a JSON document a line."""
        return self.path / "outputs.jsonl"

    @property
    def files(self) -> Path:
        """The run's own folder, whose files become outputs."""
        return self.path / "files"

    def begin(self) -> None:
        """Make the folder and take its lock; that of an ended run of this process serves where there is one."""
        spare = take(self.path.parent)
        if spare is not None:
            with contextlib.suppress(OSError):  # somebody has tidied up: a new one, then
                spare.rename(self.path)
                for born in (self.path, self.path / "lock"):  # what the run puts is younger
                    os.utime(born)
                self._folder = FolderLock(self.path, held=spare.lock)
                return
            spare.drop()
        self._folder.enter()

    def resume(self) -> bool:
        """Take the lock of a folder whose process has died, made anew where it is gone; False where it is held."""
        return self._folder.resume()

    def seize(self) -> bool:
        """The same, of one that is there: False where it is gone. To remove a folder takes its lock.

        For that of a run that is about to begin is not locked at once.
        """
        return self._folder.seize()

    def note_output(self, document: bytes) -> None:
        """Note an output that was saved, in one append: its record is not written before the run ends.

        After an OSError nothing of it is there.
        """
        fd = os.open(self.outputs, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _O_CLOEXEC, 0o666)
        try:
            append_all(fd, document + b"\n")
        finally:
            os.close(fd)

    def close(self, *, keep: bool = False, reuse: bool = False) -> None:
        """Let go of the lock and remove the folder, unless `keep`; with `reuse` it may serve the process's next run."""
        if self._pid != os.getpid():
            return  # a forked child does not end its parent's run
        if reuse and give_back(Spare(self.path, self._folder.lock)):
            return
        import shutil  # with what unpacks archives: who only reads has no need of it

        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)
        self._folder.release()
        if not keep and self.path.exists():  # a filesystem that keeps what is open
            shutil.rmtree(self.path, ignore_errors=True)


def is_alive(path: Path) -> bool:
    """Whether a process holds the lock of the live folder `path`."""
    try:
        return ProcessLock(str(path / "lock")).is_held()
    except (FileNotFoundError, NotADirectoryError):
        return False
