"""A folder that those who use it hold the lock of, and that nobody removes without."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ...records import new_id
from .disk import ProcessLock, has_process_locks, remove_all


class FolderLock:
    """The lock in the folder `path`, on its file ``lock``: whoever removes the folder takes it first, alone."""

    def __init__(self, path: Path, *, held: ProcessLock | None = None) -> None:
        self.path = path
        self.lock = held or ProcessLock(str(path / "lock"))

    def is_there(self) -> bool:
        """Whether anybody has ever held it: whether it has a file."""
        return (self.path / "lock").exists()

    def enter(self) -> None:
        """Make the folder and take its lock, waiting for it. Raises OSError where it cannot be made."""
        while not self._enter(self._wait):
            pass

    def share(self) -> bool:
        """Wait for the lock together with others who share it; False where the folder is not there."""
        return self._take(self._wait_shared)

    def resume(self) -> bool:
        """Take the lock of a folder, made anew where it is gone; False where somebody holds it."""
        return self._enter(self.lock.try_acquire)

    def seize(self) -> bool:
        """The same, of one that is there: False where it is gone."""
        return self._take(self.lock.try_acquire)

    def release(self) -> None:
        """Let go of it."""
        self.lock.release()

    def remove(self) -> None:
        """Remove the folder, whose lock is held alone, and let go of it. Raises OSError."""
        if has_process_locks():
            remove_folder(self.path)
            self.release()
        else:  # what is open cannot be removed there
            self.release()
            remove_all(self.path)

    def _enter(self, acquire: Callable[[], bool]) -> bool:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            return False  # it went between the two looks that mkdir takes
        return self._take(acquire)

    def _wait(self) -> bool:
        self.lock.acquire()
        return True

    def _wait_shared(self) -> bool:
        self.lock.acquire(shared=True)
        return True

    def _take(self, acquire: Callable[[], bool]) -> bool:
        """Take the lock; False where that is held, or somebody has tidied the folder up meanwhile."""
        try:
            if not acquire():
                return False
            if not has_process_locks() or self.lock.is_at(f"{self.path}{os.sep}lock"):
                return True  # (On Windows nobody removes what is open.)
        except FileNotFoundError:
            pass
        self.lock.release()
        return False


def remove_folder(path: Path) -> None:
    """Remove the folder, whose lock the caller holds alone: under another name, so that it may be made anew meanwhile.

    What is left of it should the caller be killed is a folder that nobody holds. Raises OSError.
    """
    aside = path.with_name(f"{path.name}.{new_id()}")
    with contextlib.suppress(OSError):  # what is open cannot be renamed everywhere
        path.rename(aside)
        path = aside
    remove_all(path)
