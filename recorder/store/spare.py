"""Live folders of ended runs, kept for the next runs of the process.

To make a folder with a few empty files, and to remove them again, takes a third of a millisecond, as long as two
syncs. So the folder of a run that has ended moves to ``staging/`` with its lock still held, its files emptied, and
becomes the next run's by its name. What a killed process leaves there, its lock let go, is collected.
"""

from __future__ import annotations

import atexit
import os
import shutil
import threading
from pathlib import Path

from .disk import ProcessLock, has_process_locks

_AT_MOST = 4
_EMPTIED = ("stdout", "stderr", "series.csv", "outputs.jsonl")


class Spare:
    """The folder `path` of a run that has ended, and its `lock`, which this process holds."""

    def __init__(self, path: Path, lock: ProcessLock) -> None:
        self.path = path
        self.lock = lock
        self.live = path.parent

    def rename(self, path: Path) -> None:
        """Give the folder another name. Raises OSError where it is not there any more, or not whole."""
        os.rename(self.path, path)  # noqa: PTH104 - half of what a Path's costs is the Path
        self.path = path
        if not self.lock.is_at(f"{path}/lock"):
            raise FileNotFoundError(f"{path}/lock")

    def empty(self) -> None:
        """Leave nothing in it but its lock and empty files. Raises OSError."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name in _EMPTIED and entry.is_file(follow_symlinks=False):
                    if entry.stat().st_size:
                        os.truncate(entry.path, 0)
                elif entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                elif entry.name != "lock":
                    os.unlink(entry.path)  # noqa: PTH108

    def drop(self) -> None:
        """Remove the folder, and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


_spares: list[Spare] = []
_using = threading.Lock()


def take(live: Path) -> Spare | None:
    """A folder for a new run in the folder `live`; None where there is none."""
    with _using:
        for spare in reversed(_spares):
            if spare.live == live:
                _spares.remove(spare)
                return spare
    return None


def give_back(spare: Spare) -> bool:
    """Keep the folder of a run that has ended; False where it is to be removed instead."""
    if not has_process_locks() or len(_spares) >= _AT_MOST:
        return False
    try:
        spare.empty()
        spare.rename(spare.live.parent / "staging" / spare.path.name)
    except OSError:
        return False
    with _using:
        _spares.append(spare)
    return True


def _drop_all() -> None:
    while _spares:
        _spares.pop().drop()


def _forget() -> None:
    """In a forked child: they are its parent's."""
    global _using
    _spares.clear()
    _using = threading.Lock()


atexit.register(_drop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
