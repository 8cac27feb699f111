"""Live folders of ended runs, reused by the next runs of the process.

Creating a folder with a few empty files and removing them takes a third of a millisecond, as long as two syncs, and on
a busy disk as long as ten. So the folder of an ended run moves to ``spare/`` with its lock still held; a thread
empties its files, and a rename makes it the folder of the next run. Garbage collection removes folders that a killed
process left there unlocked.
"""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

from ..filesystem.disk import ProcessLock, has_process_locks

FOLDER = "spare"
_AT_MOST = 4
_EMPTIED = ("stdout", "stderr", "arrivals", "series.csv", "outputs.jsonl")
# The thread ends if it has had nothing to empty for this long.
_LINGER_S = 0.5


class Spare:
    """The folder `path` of an ended run, and its `lock`, which this process holds."""

    def __init__(self, path: Path, lock: ProcessLock) -> None:
        self.path = path
        self.lock = lock
        self.live = path.parent

    def rename(self, path: Path) -> None:
        """Rename the folder. Raises OSError if it or its lock file is gone."""
        os.rename(self.path, path)  # noqa: PTH104 - twice as fast as Path.rename
        self.path = path
        if not self.lock.is_at(f"{path}/lock"):
            raise FileNotFoundError(f"{path}/lock")

    def empty(self) -> None:
        """Remove or truncate everything in the folder except its lock. Raises OSError."""
        from shutil import rmtree

        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name in _EMPTIED and entry.is_file(follow_symlinks=False):
                    if entry.stat().st_size:
                        os.truncate(entry.path, 0)
                elif entry.is_dir(follow_symlinks=False):
                    rmtree(entry.path)
                elif entry.name != "lock":
                    os.unlink(entry.path)  # noqa: PTH108

    def drop(self) -> None:
        """Remove the folder and release the lock."""
        from shutil import rmtree

        rmtree(self.path, ignore_errors=True)
        self.lock.release()


# Emptied folders, and a queue of those that the thread will empty; None ends the thread.
_spares: list[Spare] = []
_used: SimpleQueue[Spare | None] = SimpleQueue()
_thread: threading.Thread | None = None
_using = threading.Lock()


def take(live: Path) -> Spare | None:
    """Take a folder for a new run in the folder `live`; return None if there is none."""
    with _using:
        for spare in reversed(_spares):
            if spare.live == live:
                _spares.remove(spare)
                return spare
    return None


def give_back(spare: Spare) -> bool:
    """Keep the folder of an ended run, or remove it; return False if the caller must remove it."""
    if not has_process_locks() or _used.qsize() >= _AT_MOST:
        return False
    try:
        folder = spare.live.parent / FOLDER
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
        spare.rename(folder / spare.path.name)
        _wake()
    except (OSError, RuntimeError):  # no more threads, or the interpreter is shutting down
        spare.drop()
    else:
        _used.put(spare)
    return True


def _wake() -> None:
    global _thread
    with _using:
        if _thread is None:
            thread = threading.Thread(target=_empty_often, name="recorder-spare", daemon=True)
            thread.start()
            _thread = thread


def _empty_often() -> None:
    global _thread
    while True:
        try:
            spare = _used.get(timeout=_LINGER_S)
        except Empty:
            spare = None
        with _using:
            if spare is None and _used.empty():
                _thread = None
                return
        if spare is not None:
            _empty(spare)


def _empty(spare: Spare) -> None:
    try:
        spare.empty()
    except OSError:
        spare.drop()
        return
    with _using:
        _spares.append(spare)
        oldest = _spares.pop(0) if len(_spares) > _AT_MOST else None
    if oldest is not None:  # perhaps of another store
        oldest.drop()


def _drop_all() -> None:
    thread = _thread
    if thread is not None:
        _used.put(None)
        thread.join(_LINGER_S)
    while not _used.empty():
        _spares.extend(spare for spare in [_used.get()] if spare is not None)
    while _spares:
        _spares.pop().drop()


def _forget() -> None:
    """Forget the folders in a forked child: they belong to its parent."""
    global _using, _used, _thread
    _spares.clear()
    _using, _used, _thread = threading.Lock(), SimpleQueue(), None


atexit.register(_drop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
