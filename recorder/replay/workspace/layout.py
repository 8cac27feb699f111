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

from ...store.filesystem.disk import remove_all, write_all
from ...store.filesystem.folder_lock import FolderLock
from ...store.objects.copying import clone
from ...store.store import RunStore

# So many snapshots keep their trees; the oldest go first. `gc` removes them all.
_KEPT = 16
_CHUNK_BYTES = 1 << 24
_O_BINARY = getattr(os, "O_BINARY", 0)


class _TouchedError(Exception):
    """The tree that is kept is not as it was made."""


def lay_out(store: RunStore, snapshot: str, dest: Path) -> list[bytes]:
    """Write the files of the snapshot into the new folder `dest`; their paths there. Raises SnapshotError, OSError."""
    kept = store.path / "workspaces" / snapshot
    dest.parent.mkdir(parents=True, exist_ok=True)
    while (files := _copy_kept(kept, dest)) is None:
        _make(store, snapshot, kept)
    start = len(os.fsencode(dest)) + 1
    return [os.fsencode(file)[start:] for file in files]


def _copy_kept(kept: Path, dest: Path) -> list[str] | None:
    """Copy the tree that is kept; the paths of the copies, None where it has to be made first."""
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
    """Copies a tree none of whose files and folders was touched after `until_ns`. Raises _TouchedError.

    `files` are the copies. Paths are text here, and files descriptors: that halves what a small file costs.
    """

    def __init__(self, *, until_ns: int) -> None:
        self.files: list[str] = []
        self._until_ns = until_ns
        self._shares = True

    def copy_folder(self, source: str, dest: str) -> None:
        """Make the folder `dest` a copy of `source`."""
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
