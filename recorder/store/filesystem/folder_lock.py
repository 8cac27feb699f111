"""Folders with a lock that their users hold, and that must be taken to remove them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ...records import new_id
from .disk import ProcessLock, has_process_locks, remove_all


class FolderLock:
    """The lock of the folder `path`, on the file ``lock`` in it; removing the folder requires it, exclusively."""

    def __init__(self, path: Path, *, held: ProcessLock | None = None) -> None:
        self.path = path
        self.lock = held or ProcessLock(str(path / "lock"))

    def is_there(self) -> bool:
        """Return whether the lock file exists: whether the lock was ever taken."""
        return (self.path / "lock").exists()

    def enter(self) -> None:
        """Create the folder and wait for its lock. Raises OSError."""
        while not self._enter(self._wait):
            pass

    def share(self) -> bool:
        """Wait for the shared lock; return False if the folder does not exist."""
        return self._take(self._wait_shared)

    def resume(self) -> bool:
        """Take the lock, creating the folder if it does not exist; return False if another process holds it."""
        return self._enter(self.lock.try_acquire)

    def seize(self) -> bool:
        """Take the lock of an existing folder; return False if another process holds it or the folder is gone."""
        return self._take(self.lock.try_acquire)

    def release(self) -> None:
        """Release the lock."""
        self.lock.release()

    def remove(self) -> None:
        """Remove the folder, whose lock must be held exclusively, and release the lock. Raises OSError."""
        if has_process_locks():
            remove_folder(self.path)
            self.release()
        else:  # Windows cannot remove an open file
            self.release()
            remove_all(self.path)

    def _enter(self, acquire: Callable[[], bool]) -> bool:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            return False  # it was removed between the two system calls of mkdir
        return self._take(acquire)

    def _wait(self) -> bool:
        self.lock.acquire()
        return True

    def _wait_shared(self) -> bool:
        self.lock.acquire(shared=True)
        return True

    def _take(self, acquire: Callable[[], bool]) -> bool:
        """Take the lock; return False if it is held, or if the folder was removed meanwhile."""
        try:
            if not acquire():
                return False
            if not has_process_locks() or self.lock.is_at(f"{self.path}{os.sep}lock"):
                return True  # on Windows an open file cannot be removed
        except FileNotFoundError:
            pass
        self.lock.release()
        return False


def remove_folder(path: Path) -> None:
    """Remove a folder whose lock the caller holds exclusively. Raises OSError.

    The folder is renamed first, so that it can be created again meanwhile. If the caller is killed, an unlocked folder
    is left, which garbage collection removes.
    """
    aside = path.with_name(f"{path.name}.{new_id()}")
    with contextlib.suppress(OSError):  # not every system can rename a folder with open files
        path.rename(aside)
        path = aside
    remove_all(path)
