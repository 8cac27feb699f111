"""Durable writes, and locks between processes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# From this many files on, syncing the whole filesystem takes less time than syncing each file.
_MANY = 32

# Descriptors of locks that are held, and idle ones kept for the next lock, so that a forked child can close its copies.
_held_fds: set[int] = set()
_idle_fds: set[int] = set()


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data`, which may take several writes. Raises OSError, possibly after writing a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def append_all(fd: int, data: bytes) -> None:
    """Append all of `data` to a file that nobody else appends to. An OSError leaves the file unchanged."""
    size = os.fstat(fd).st_size
    try:
        write_all(fd, data)
    except BaseException:
        os.ftruncate(fd, size)
        raise


def open_regular(path: str | Path) -> int:
    """Open a regular file for reading; return its descriptor. Raises OSError for a link, a FIFO or a device.

    A store may come from somebody else: a link in it could lead to any file of this user, and opening a FIFO blocks.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_regular(path: str | Path, *, offset: int = 0) -> bytes:
    """Return the bytes of a regular file from `offset` on. Raises OSError for a link, a FIFO or a device."""
    with open(open_regular(path), "rb") as file:
        file.seek(offset)
        return file.read()


def is_regular(path: str | Path) -> bool:
    """Return whether there is a regular file at `path`, not following a link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def write_durably(path: Path, data: bytes) -> None:
    """Create or overwrite the file and sync its bytes, but not its name."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: str | Path) -> None:
    """Make the names in a folder durable."""
    if os.name != "nt":  # Windows cannot open a folder, and NTFS journals names
        sync_file(path)


def sync_file(path: str | Path) -> None:
    """Make the content of a file durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_all(path: Path) -> None:
    """Remove a file, or a folder with everything in it, read-only folders too."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    from shutil import rmtree  # slow to import, and few commands remove anything

    with contextlib.suppress(OSError):
        path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder) / name
            with contextlib.suppress(FileNotFoundError):
                if not inner.is_symlink():
                    inner.chmod(0o700)
    while path.exists():
        with contextlib.suppress(FileNotFoundError):  # another process removes it too
            rmtree(path)


def sync_files(paths: Collection[str]) -> None:
    """Make the content of files of one filesystem durable: all at once if they are many and the system can."""
    if len(paths) >= _MANY and _sync_filesystem(next(iter(paths))):
        return
    for path in paths:
        sync_file(path)


def _sync_filesystem(path: str) -> bool:
    """Call Linux's syncfs(2); return False if there is none, or it failed, and syncing each file reports the error."""
    import ctypes

    syncfs = getattr(ctypes.CDLL(None), "syncfs", None) if sys.platform == "linux" else None
    if syncfs is None:
        return False
    fd = os.open(path, os.O_RDONLY)
    try:
        return bool(syncfs(fd) == 0)
    finally:
        os.close(fd)


def has_process_locks() -> bool:
    """Return whether locks are flock(2) locks on open files, which may be renamed while they are locked."""
    return fcntl is not None


class ProcessLock:
    """A lock between processes on the file at `path`, which is never removed. Not re-entrant, and not for threads.

    Compatible with filelock on the same file, but waiters are woken instead of polling every 50 ms, taking it costs
    5 us instead of 120, and a fork while it is held neither breaks nor prolongs it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._other: Any = None

    def acquire(self, *, shared: bool = False) -> None:
        """Wait for the lock, exclusive or `shared` (on Windows always exclusive). Raises OSError."""
        if fcntl is None:
            self._acquire_other()
        else:
            self._lock(fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; return whether it was taken. Raises OSError."""
        if fcntl is None:
            if self._is_other_held():
                return False
            self._acquire_other()
            return True
        try:
            self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _lock(self, how: int) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            _held_fds.add(fd)
            fcntl.flock(fd, how)
        except BaseException:
            _held_fds.discard(fd)
            os.close(fd)
            raise
        self._fd = fd

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors that a child process must inherit to hold the lock until it ends, if this one is killed."""
        return (self._fd,) if fcntl is not None else ()

    def release(self) -> None:
        """Release the lock."""
        if fcntl is None:
            self._other.release()
            return
        fd, self._fd = self._fd, -1
        if fd not in _held_fds:
            return  # a child that was forked under the lock, which its parent still holds
        # Unlock explicitly: closing alone leaves it locked while a forked child has a copy of the descriptor.
        fcntl.flock(fd, fcntl.LOCK_UN)
        _held_fds.discard(fd)
        os.close(fd)

    def is_held(self) -> bool:
        """Return whether the lock is held; concurrent calls do not disturb each other. Raises OSError."""
        if fcntl is None:
            return self._is_other_held()
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def is_at(self, path: str) -> bool:
        """Return whether `path` is the file of this lock, which must be held. Raises OSError."""
        return os.path.samestat(os.fstat(self._fd), os.lstat(path))

    def _acquire_other(self) -> None:
        from filelock import FileLock

        self._other = self._other or FileLock(self.path, thread_local=False)
        self._other.acquire()

    def _is_other_held(self) -> bool:
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.path, timeout=0, thread_local=False):
                return False
        except Timeout:
            return True


class Gate:
    """A readers-writer lock between processes and threads on the file at `path`, which is never removed.

    Adding to the store takes it `shared`; removing from the store takes it `alone`, in short turns. On Windows, where
    a lock cannot be shared, it is always exclusive. Not re-entrant.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Unlocked descriptors, each with the process that opened it.
        self._idle: list[tuple[int, int]] = []

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others that share it."""
        with self._pass(alone=False):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock exclusively."""
        with self._pass(alone=True):
            yield

    @contextlib.contextmanager
    def _pass(self, *, alone: bool) -> Iterator[None]:
        if fcntl is None:
            from filelock import FileLock

            with FileLock(self.path, thread_local=False):
                yield
            return
        fd = self._open()
        _held_fds.add(fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            if fd in _held_fds:  # else this is a child that was forked inside the context
                fcntl.flock(fd, fcntl.LOCK_UN)
                _idle_fds.add(fd)
                _held_fds.discard(fd)
                self._idle.append((os.getpid(), fd))

    def _open(self) -> int:
        """Return a descriptor for this thread alone: an idle one, unless the file has been removed since."""
        while self._idle:
            try:
                pid, fd = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if pid == os.getpid():  # else it was closed when this process was forked
                _held_fds.add(fd)  # always in one of the two sets: a fork may happen at any time
                _idle_fds.discard(fd)
                if os.fstat(fd).st_nlink:
                    return fd
                _held_fds.discard(fd)
                os.close(fd)
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)

    def __del__(self) -> None:
        for pid, fd in self._idle:
            if pid == os.getpid():
                _idle_fds.discard(fd)
                os.close(fd)


def _drop_inherited_locks() -> None:
    # Close, do not unlock: unlocking would release the parent's lock, and keeping the copy would hold the lock for as
    # long as the child lives if the parent is killed.
    for fd in _held_fds | _idle_fds:
        os.close(fd)
    _held_fds.clear()
    _idle_fds.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited_locks)
