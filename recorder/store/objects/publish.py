"""Publish staged objects under their names, durably."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...digest import PREFIX
from ..filesystem.disk import Gate, sync_file, sync_files, sync_folder

# After this time the system has written unsynced data back: systems do so every 5 to 35 s.
_SETTLED_S = 60.0
_REMEMBERED = 10_000
# So many are synced and renamed together: a killed process leaves that many staged files.
_BATCH = 1_000


def object_path(root: Path, digest: str) -> Path:
    """Return the path of the object of that digest below `root`."""
    hexes = digest[len(PREFIX) :]
    return root / hexes[:2] / hexes[2:]


def touch(path: str | Path) -> os.stat_result | None:
    """Set the ctime of the file to now; return its earlier status, None if it does not exist or is another user's."""
    try:
        status = os.stat(path)  # noqa: PTH116
        # The mtime stays: it is the time at which the bytes were written.
        os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
    except (FileNotFoundError, PermissionError):
        return (
            None  # the caller stores another user's object again, which also gives it a new ctime
        )
    return status


class Placing:
    """A publisher of staged objects: durable or not, one by one or `together`.

    `durable` holds the digests, and the states of the root folder, that this process knows to be on the disk.
    """

    def __init__(
        self, root: Path, *, gate: Gate, sync: bool, durable: set[str], together: bool = False
    ) -> None:
        self._root = root
        self._gate = gate
        self._sync = sync
        self._together = together
        self._durable = durable
        # By digest: staged files not yet renamed, and the folders of renamed ones not yet synced.
        self._staged: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        # Objects of other processes, which may not have synced them yet.
        self._unsynced: list[str] = []

    @contextlib.contextmanager
    def finished(self) -> Iterator[None]:
        """Publish everything that was put inside the context at its end; after an error remove the staged files."""
        try:
            yield
            self._name_staged()
            self._finish()
        except BaseException:
            for staged in self._staged.values():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(staged)  # noqa: PTH108
            raise

    def is_kept(self, digest: str, size: int | None = None) -> bool:
        """Return whether the object exists with that size (a truncated one is stored again), after making it durable.

        Its ctime is then now: garbage collection keeps what is younger than the oldest run in progress, since that run
        may rely on it before its record refers to it.
        """
        if digest in self._staged:
            return True
        path = self._place(digest)
        with self._gate.shared():
            status = touch(path)
        if status is None or (size is not None and status.st_size != size):
            return False
        is_fresh = time.time() - status.st_mtime < _SETTLED_S
        if self._sync and is_fresh and digest not in self._durable:
            # Its writer may not have synced it yet, or did not ask for a sync.
            if self._together:
                self._unsynced.append(path)
            else:
                sync_file(path)
            self._sync_name(digest, path)
        return True

    def put(self, file: IO[bytes], staged: str, digest: str) -> None:
        """Rename the staged file to its name, or queue it if objects are published together."""
        os.chmod(file.fileno() if os.chmod in os.supports_fd else staged, 0o444)  # noqa: PTH101
        if self._together:
            self._staged[digest] = staged
            if len(self._staged) >= _BATCH:
                self._name_staged()
            return
        if self._sync:
            os.fsync(file.fileno())
        self._name(staged, digest)

    def _name_staged(self) -> None:
        if self._sync:
            sync_files(self._staged.values())
        for digest in list(self._staged):
            self._name(self._staged[digest], digest)
            del self._staged[digest]

    def _name(self, staged: str, digest: str) -> None:
        path = self._place(digest)
        with self._gate.shared():
            try:
                os.replace(staged, path)  # noqa: PTH105 - a Path costs more than the call, here and below
            except FileNotFoundError:
                self._make_folders()
                os.replace(staged, path)  # noqa: PTH105
        if self._sync:
            self._sync_name(digest, path)

    def _make_folders(self) -> None:
        """Create all 256 folders: created one by one, each would cost a sync of the root."""
        self._root.mkdir(exist_ok=True)
        for number in range(256):
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self._root}{os.sep}{number:02x}")  # noqa: PTH102

    def _place(self, digest: str) -> str:
        """Return `object_path` as a string."""
        at = len(PREFIX)
        return f"{self._root}{os.sep}{digest[at : at + 2]}{os.sep}{digest[at + 2 :]}"

    def _sync_name(self, digest: str, path: str) -> None:
        self._waiting[digest] = path[: path.rindex(os.sep)]
        if not self._together:
            self._finish()

    def _finish(self) -> None:
        sync_files(self._unsynced)
        self._unsynced.clear()
        if os.name != "nt":  # Windows cannot open a folder, and NTFS journals names
            sync_files(set(self._waiting.values()))
        self._sync_folders()
        if len(self._durable) > _REMEMBERED:
            self._durable.clear()
        self._durable.update(self._waiting)
        self._waiting.clear()

    def _sync_folders(self) -> None:
        """Make the names of the folders durable: a process that created one may have been killed before its sync."""
        status = self._root.stat()
        state = f"{status.st_ino}:{status.st_nlink}:{status.st_mtime_ns}"  # changes when a folder is created
        if state not in self._durable:
            if time.time() - status.st_mtime < _SETTLED_S:
                sync_folder(self._root)
            self._durable.add(state)
