"""The files of a snapshot, laid out once and copied for each replay: a third of what git takes to check them out.

::

    .recorder/workspaces/<snapshot>/
      tree/   the files as the snapshot has them
      whole   made when they were all there

A replay writes into its tree, and may write into any file of it in place: so it gets copies, which share their
extents where the filesystem can, and never links. Should somebody else have touched the tree that is kept, its files
and folders are younger than ``whole``, by a time that no program can set: it is then made again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..store.copying import share_extents
from ..store.disk import remove_all, write_all
from ..store.folder_lock import FolderLock
from ..store.store import Store

# So many snapshots keep their trees; the oldest go first. `gc` removes them all.
_KEPT = 16
_CHUNK_BYTES = 1 << 24
_O_BINARY = getattr(os, "O_BINARY", 0)


class _TouchedError(Exception):
    """The tree that is kept is not as it was made."""


def lay_out(store: Store, snapshot: str, dest: Path) -> None:
    """Write the files of the snapshot into the new folder `dest`. Raises SnapshotError, OSError."""
    kept = store.path / "workspaces" / snapshot
    dest.parent.mkdir(parents=True, exist_ok=True)
    while not _copy_kept(kept, dest):
        _make(store, snapshot, kept)


def _copy_kept(kept: Path, dest: Path) -> bool:
    """Copy the tree that is kept; False where it has to be made first."""
    folder = FolderLock(kept)
    if not folder.share():
        return False
    try:
        whole = kept / "whole"
        if not whole.exists():
            return False
        _Copy(until_ns=whole.stat().st_ctime_ns).copy_folder(str(kept / "tree"), str(dest))
    except _TouchedError:
        remove_all(dest)
        whole.unlink(missing_ok=True)
        return False
    finally:
        folder.release()
    return True


def _make(store: Store, snapshot: str, kept: Path) -> None:
    folder = FolderLock(kept)
    folder.enter()
    try:
        if not (kept / "whole").exists():  # nobody else has made it while this one waited
            remove_all(kept / "tree")
            store.snapshots.lay_out(snapshot, kept / "tree")
            (kept / "whole").touch()
    finally:
        folder.release()
    _drop_oldest(kept.parent)


def _drop_oldest(workspaces: Path) -> None:
    found = sorted(workspaces.glob("*/whole"), key=lambda whole: whole.lstat().st_mtime_ns)
    for whole in found[:-_KEPT]:
        folder = FolderLock(whole.parent)
        if folder.seize():
            folder.remove()


class _Copy:
    """Copies a tree none of whose files and folders was touched after `until_ns`. Raises _TouchedError."""

    def __init__(self, *, until_ns: int) -> None:
        self._until_ns = until_ns
        self._shares = True

    def copy_folder(self, source: str, dest: str) -> None:
        """Make the folder `dest` a copy of `source`."""
        self._check(os.stat(source))  # noqa: PTH116 - paths are text here: a Path costs as much as a small file
        os.mkdir(dest)  # noqa: PTH102
        with os.scandir(source) as entries:
            for entry in entries:
                target = f"{dest}{os.sep}{entry.name}"
                if entry.is_symlink():
                    self._check(entry.stat(follow_symlinks=False))
                    os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211
                elif entry.is_dir():
                    self.copy_folder(entry.path, target)
                else:
                    self._copy_file(entry.path, target)

    def _check(self, status: os.stat_result) -> None:
        if status.st_ctime_ns > self._until_ns:
            raise _TouchedError

    def _copy_file(self, source: str, dest: str) -> None:
        with open(source, "rb", buffering=0) as old:  # noqa: PTH123
            status = os.fstat(old.fileno())
            self._check(status)
            mode = stat.S_IMODE(status.st_mode)
            fd = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, mode)
            with open(fd, "wb", buffering=0) as new:  # noqa: PTH123
                self._shares = self._shares and share_extents(old, new)
                if not self._shares:
                    while data := os.read(old.fileno(), _CHUNK_BYTES):
                        write_all(fd, data)
