"""What the standard library leaves out of writing durably, and a lock among processes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# From so many files on, syncing the whole filesystem takes less time than each by itself.
_MANY = 32

# The locks held at this moment, and descriptors kept for the next one, so that a forked child can drop its copies.
_held_fds: set[int] = set()
_idle_fds: set[int] = set()


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data`: a single write may take less. Raises OSError, some of it having been written."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def append_all(fd: int, data: bytes) -> None:
    """Append all of `data`, which nobody else does meanwhile. After an OSError the file is as before."""
    size = os.fstat(fd).st_size
    try:
        write_all(fd, data)
    except BaseException:
        os.ftruncate(fd, size)
        raise


def write_durably(path: Path, data: bytes) -> None:
    """Make or overwrite the file; its bytes are on the disk, its name is not."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: str | Path) -> None:
    """Make the names in a folder durable."""
    if os.name != "nt":  # a folder cannot be opened there, and NTFS journals its names
        sync_file(path)


def sync_file(path: str | Path) -> None:
    """Make what is in a file durable."""
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
    from shutil import rmtree  # with what unpacks archives: few commands remove anything

    with contextlib.suppress(OSError):
        path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder) / name
            with contextlib.suppress(FileNotFoundError):
                if not inner.is_symlink():
                    inner.chmod(0o700)
    while path.exists():
        with contextlib.suppress(FileNotFoundError):  # somebody else removes it too
            rmtree(path)


def sync_files(paths: Collection[str]) -> None:
    """Make durable what is in these files, all of one filesystem: many at once where the system can."""
    if len(paths) >= _MANY and _sync_filesystem(next(iter(paths))):
        return
    for path in paths:
        sync_file(path)


def _sync_filesystem(path: str) -> bool:
    """Linux's syncfs(2); False where there is none, or it failed: then each file says what is wrong with it."""
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
    """Whether a lock is one on an open file, which may be renamed while it is held."""
    return fcntl is not None


class ProcessLock:
    """A lock among processes, on the file at `path`, which stays. Not re-entrant, and not for threads.

    The same lock as filelock's on the same file, but the waiting are woken rather than polling every 50 ms, it
    takes 5 us instead of 120, and a fork while it is held neither breaks it nor prolongs it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._other: Any = None

    def acquire(self, *, shared: bool = False) -> None:
        """Wait for the lock, if `shared` together with others. Raises OSError where the file cannot be made.

        (On Windows it cannot be shared: everybody has it alone.)
        """
        if fcntl is None:
            self._acquire_other()
        else:
            self._lock(fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it; whether it was taken. Raises OSError where the file cannot be made."""
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
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
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
        """What a child process is to inherit so that, should this one be killed, the lock lasts until it ends."""
        return (self._fd,) if fcntl is not None else ()

    def release(self) -> None:
        """Let go of the lock."""
        if fcntl is None:
            self._other.release()
            return
        fd, self._fd = self._fd, -1
        if fd not in _held_fds:
            return  # a child that was forked under the lock; its parent has it
        # Unlocked by name: closing alone leaves it locked while a forked child has a copy of the descriptor.
        fcntl.flock(fd, fcntl.LOCK_UN)
        _held_fds.discard(fd)
        os.close(fd)

    def is_held(self) -> bool:
        """Whether somebody holds the lock; two who ask at once do not see each other. Raises OSError."""
        if fcntl is None:
            return self._is_other_held()
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def is_at(self, path: str) -> bool:
        """Whether the file of the lock, which is held, stands at `path` now. Raises OSError."""
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
    """Many may pass at once, or one alone: a lock among processes and threads on the file at `path`, which stays.

    Whoever adds to the store passes `shared`; who removes from it does so `alone`, in short turns. On Windows,
    where a lock cannot be shared, everybody passes alone. Not re-entrant.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Descriptors by which nobody holds the lock now, and the process that opened them.
        self._idle: list[tuple[int, int]] = []

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """With others who share it, and nobody alone."""
        with self._pass(alone=False):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody else."""
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
            if fd in _held_fds:  # else this is a child that was forked inside
                fcntl.flock(fd, fcntl.LOCK_UN)
                _idle_fds.add(fd)
                _held_fds.discard(fd)
                self._idle.append((os.getpid(), fd))

    def _open(self) -> int:
        """A descriptor of the file for this thread alone: one from before, unless the file has been removed since."""
        while self._idle:
            try:
                pid, fd = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if pid == os.getpid():  # else it was closed when this process was forked
                _held_fds.add(fd)  # in one of the two at every moment: a fork may come
                _idle_fds.discard(fd)
                if os.fstat(fd).st_nlink:
                    return fd
                _held_fds.discard(fd)
                os.close(fd)
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def __del__(self) -> None:
        for pid, fd in self._idle:
            if pid == os.getpid():
                _idle_fds.discard(fd)
                os.close(fd)


def _drop_inherited_locks() -> None:
    # Closed, not unlocked: unlocking would take the lock from the parent; keeping the copy would hold it for as
    # long as the child lives, should the parent be killed.
    for fd in _held_fds | _idle_fds:
        os.close(fd)
    _held_fds.clear()
    _idle_fds.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited_locks)
