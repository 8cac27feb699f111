"""A cache of checked-out snapshots, from which each replay copies its files: three times as fast as a git checkout.

::

    .recorder/workspaces/<snapshot>/
      tree/   the files of the snapshot
      whole   created after all files were written

A replay may write to any file of its tree, so it gets copies, never links; they share extents where the file system
supports that. If another program has touched the cached tree, a file or folder has a later change time (ctime) than
``whole``. No program can set a change time, so the tree is then written again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...store.filesystem.disk import remove_all, write_all
from ...store.filesystem.folder_lock import FolderLock
from ...store.objects.copying import clone
from ...store.store import RunStore

# The number of cached snapshots; the oldest are removed first. `gc` removes all.
_MOST_CACHED = 16
_CHUNK_BYTES = 1 << 24
_O_BINARY = getattr(os, "O_BINARY", 0)


class _TouchedError(Exception):
    """The cached tree was modified."""


def lay_out(store: RunStore, snapshot: str, dest: Path) -> list[bytes]:
    """Write the files of a snapshot into the new folder `dest`, and return their paths relative to it.

    Raises:
        SnapshotError: The store does not have the snapshot.
        OSError: A file cannot be written.
    """
    kept = store.path / "workspaces" / snapshot
    dest.parent.mkdir(parents=True, exist_ok=True)
    while (files := _copy_kept(kept, dest)) is None:
        _make(store, snapshot, kept)
    start = len(os.fsencode(dest)) + 1
    return [os.fsencode(file)[start:] for file in files]


def _copy_kept(kept: Path, dest: Path) -> list[str] | None:
    """Copy the cached tree and return the paths of the copies; None where the tree must be written first."""
    folder = FolderLock(kept)
    if not folder.share():
        return None
    try:
        whole = kept / "whole"
        if not whole.exists():
            return None
        copy = _Copy(until_ns=whole.stat().st_ctime_ns)
        copy.copy_folder(str(kept / "tree"), str(dest))
    except _TouchedError:
        remove_all(dest)
        whole.unlink(missing_ok=True)
        return None
    finally:
        folder.release()
    return copy.files


def _make(store: RunStore, snapshot: str, kept: Path) -> None:
    folder = FolderLock(kept)
    folder.enter()
    try:
        if not (
            kept / "whole"
        ).exists():  # no other process wrote it while this one waited for the lock
            remove_all(kept / "tree")
            store.snapshots.lay_out(snapshot, kept / "tree")
            (kept / "whole").touch()
    finally:
        folder.release()
    _drop_oldest(kept.parent)


def _drop_oldest(workspaces: Path) -> None:
    found = sorted(workspaces.glob("*/whole"), key=lambda whole: whole.lstat().st_mtime_ns)
    for whole in found[:-_MOST_CACHED]:
        folder = FolderLock(whole.parent)
        if folder.seize():
            folder.remove()


class _Copy:
    """Copies a tree, and raises _TouchedError where a file or folder changed after `until_ns`.

    It uses strings for paths and descriptors for files, which halves the time for a small file.

    Attributes:
        files: The paths of the copies.
    """

    def __init__(self, *, until_ns: int) -> None:
        self.files: list[str] = []
        self._until_ns = until_ns
        self._shares = True

    def copy_folder(self, source: str, dest: str) -> None:
        """Copy the folder `source` to the new folder `dest`."""
        self._check(os.stat(source))  # noqa: PTH116
        os.mkdir(dest)  # noqa: PTH102
        with os.scandir(source) as entries:
            for entry in entries:
                target = f"{dest}{os.sep}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    self.copy_folder(entry.path, target)
                    continue
                self.files.append(target)
                if entry.is_symlink():
                    self._check(entry.stat(follow_symlinks=False))
                    os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211
                else:
                    self._copy_file(entry.path, target)

    def _check(self, status: os.stat_result) -> None:
        if status.st_ctime_ns > self._until_ns:
            raise _TouchedError

    def _copy_file(self, source: str, dest: str) -> None:
        old = os.open(source, os.O_RDONLY | _O_BINARY)
        try:
            status = os.fstat(old)
            self._check(status)
            mode = stat.S_IMODE(status.st_mode)
            new = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, mode)
            try:
                self._shares = self._shares and clone(old, new)
                left = 0 if self._shares else status.st_size
                while left and (data := os.read(old, min(left, _CHUNK_BYTES))):
                    write_all(new, data)
                    left -= len(data)
            finally:
                os.close(new)
        finally:
            os.close(old)
