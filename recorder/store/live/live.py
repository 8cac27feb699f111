"""The folder of a run in progress, and the lock that distinguishes running from lost runs.

``live/<id>/`` holds the console, the metrics and the files of a run so far. Its process holds ``live/<id>/lock`` for
as long as it runs: an operating-system lock, which is released however the process ends. A pid would not do: pids are
reused, and mean nothing on another host. Forked children do not hold the lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from pathlib import Path

from ..filesystem.disk import ProcessLock, append_all
from ..filesystem.folder_lock import FolderLock
from .spare import Spare, give_back, take

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Live:
    """The folder `path` of a run in progress, named by its id; its lock is held from `begin` to `close`."""

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
        """The file with stdout."""
        return self.path / "stdout"

    @property
    def stderr(self) -> Path:
        """The file with stderr."""
        return self.path / "stderr"

    @property
    def arrivals(self) -> Path:
        """The file with the console index, see `recorder.formats.console_index`."""
        return self.path / "arrivals"

    @property
    def series(self) -> Path:
        """The file with the points of the metrics, see `recorder.formats.points`."""
        return self.path / "series.csv"

    @property
    def outputs(self) -> Path:
        """The file that lists the outputs saved so far: on each line a CRC-32 and a JSON document."""
        return self.path / "outputs.jsonl"

    @property
    def files(self) -> Path:
        """The folder of the run, whose files become outputs."""
        return self.path / "files"

    def is_there(self) -> bool:
        """Return whether the folder exists; a link to a folder does not count."""
        return self.path.is_dir() and not self.path.is_symlink()

    def begin(self) -> None:
        """Create the folder and take its lock, reusing the folder of an ended run of this process if there is one."""
        spare = take(self.path.parent)
        if spare is not None:
            with contextlib.suppress(OSError):  # it was removed: create a new one
                spare.rename(self.path)
                # Garbage collection takes the age of a run from these times.
                for born in (self.path, self.path / "lock"):
                    os.utime(born)
                self._folder = FolderLock(self.path, held=spare.lock)
                return
            spare.drop()
        self._folder.enter()

    def resume(self) -> bool:
        """Take the lock of a dead run, creating the folder if it is gone; return False if the lock is held."""
        return self._folder.resume()

    def seize(self) -> bool:
        """Take the lock of an existing folder; return False if it is held, or the folder is gone.

        Removing a folder requires its lock: the folder of a beginning run exists for a moment before it is locked.
        """
        return self._folder.seize()

    def note_output(self, document: bytes) -> None:
        """Append a saved output to the list, in one write, since the record is written only when the run ends.

        The line begins with the CRC-32 of the document. An OSError leaves the list unchanged.
        """
        fd = os.open(self.outputs, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _O_CLOEXEC, 0o666)
        try:
            append_all(fd, b"%08x %b\n" % (zlib.crc32(document), document))
        finally:
            os.close(fd)

    def close(self, *, keep: bool = False, reuse: bool = False) -> None:
        """Release the lock and remove the folder, unless `keep`; with `reuse` the next run may take it over."""
        if self._pid != os.getpid():
            return  # a forked child does not end its parent's run
        if reuse and give_back(Spare(self.path, self._folder.lock)):
            return
        import shutil  # slow to import, and not needed for reading

        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)
        self._folder.release()
        if not keep and self.path.exists():  # the filesystem does not remove open files
            shutil.rmtree(self.path, ignore_errors=True)


def is_alive(path: Path) -> bool:
    """Return whether a process holds the lock of the live folder `path`; never of a link."""
    if path.is_symlink():
        return False
    try:
        return ProcessLock(str(path / "lock")).is_held()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):  # the lock is a link or a FIFO
            return False
        raise
