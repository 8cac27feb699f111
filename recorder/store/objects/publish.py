"""Giving a staged object its name, durably."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...digest import PREFIX
from ..filesystem.disk import Gate, sync_file, sync_files, sync_folder

# What was not synced is on the disk by itself after this time: systems write back every 5 to 35 s.
_SETTLED_S = 60.0
_REMEMBERED = 10_000
# So many are synced and named together: what waits is on the disk twice where a process is killed.
_BATCH = 1_000


def object_path(root: Path, digest: str) -> Path:
    """Where the object of that digest stands below `root`, or would."""
    hexes = digest[len(PREFIX) :]
    return root / hexes[:2] / hexes[2:]


def touch(path: str | Path) -> os.stat_result | None:
    """Set the file's ctime to now; its status before that, None where there is no such file, or it is another's."""
    try:
        status = os.stat(path)  # noqa: PTH116
        # Its mtime stays: it says when the bytes were written.
        os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
    except (FileNotFoundError, PermissionError):
        return None  # another user's is put anew, so that its ctime is that of now too
    return status


class Placing:
    """How what was staged gets its name: durably or not, and at once or together with what else there is.

    `durable` has the digests, and the states of the folder of folders, of which this process knows that they are on
    the disk.
    """

    def __init__(
        self, root: Path, *, gate: Gate, sync: bool, durable: set[str], together: bool = False
    ) -> None:
        self._root = root
        self._gate = gate
        self._sync = sync
        self._together = together
        self._durable = durable
        # Staged and not named yet, and the folders of those that are named, by digest.
        self._staged: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        # Named by others, who may not have come to their sync.
        self._unsynced: list[str] = []

    @contextlib.contextmanager
    def finished(self) -> Iterator[None]:
        """What is put together inside is durable and has its name afterwards; after an error nothing of it stays."""
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
        """Whether the object is there already, of that size (one that was cut short is put anew), and durable.

        Its ctime is then that of now: what is younger than the oldest run in progress is not collected, since
        that run may have counted on it though no record says so yet.
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
            # Who put it may not have come to its sync yet, or have wanted none.
            if self._together:
                self._unsynced.append(path)
            else:
                sync_file(path)
            self._sync_name(digest, path)
        return True

    def put(self, file: IO[bytes], staged: str, digest: str) -> None:
        """Rename the staged file to its name, or let it wait for the others."""
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
                os.replace(staged, path)  # noqa: PTH105 - a Path costs more than that, here and below
            except FileNotFoundError:
                self._make_folders()
                os.replace(staged, path)  # noqa: PTH105
        if self._sync:
            self._sync_name(digest, path)

    def _make_folders(self) -> None:
        """Make every folder that there can be: one by one, each would cost a sync of its own."""
        self._root.mkdir(exist_ok=True)
        for number in range(256):
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self._root}{os.sep}{number:02x}")  # noqa: PTH102

    def _place(self, digest: str) -> str:
        """`object_path` as text."""
        at = len(PREFIX)
        return f"{self._root}{os.sep}{digest[at : at + 2]}{os.sep}{digest[at + 2 :]}"

    def _sync_name(self, digest: str, path: str) -> None:
        self._waiting[digest] = path[: path.rindex(os.sep)]
        if not self._together:
            self._finish()

    def _finish(self) -> None:
        sync_files(self._unsynced)
        self._unsynced.clear()
        if os.name != "nt":  # a folder cannot be opened there, and NTFS journals its names
            sync_files(set(self._waiting.values()))
        self._sync_folders()
        if len(self._durable) > _REMEMBERED:
            self._durable.clear()
        self._durable.update(self._waiting)
        self._waiting.clear()

    def _sync_folders(self) -> None:
        """Make the folders' own names durable: whoever made one may not have come to it, or was killed before."""
        status = self._root.stat()
        state = f"{status.st_ino}:{status.st_nlink}:{status.st_mtime_ns}"  # another one when a folder has been made
        if state not in self._durable:
            if time.time() - status.st_mtime < _SETTLED_S:
                sync_folder(self._root)
            self._durable.add(state)
