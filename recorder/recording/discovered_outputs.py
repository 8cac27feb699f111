"""Find the outputs that a run did not save: files that it wrote below the project's root or the working directory.

There are two sources: the audit hook for files that Python opened, and a scan of the folders after the run for files
that child processes and C libraries wrote. The scan cannot tell one writer from another, so it counts only if no
other run was in progress, and it leaves out files that people edit.
"""

# ruff: noqa: PTH111, PTH116, PTH118
# Paths are strings here, as in `recorder.capture.files.scan`.

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ..capture.environment.process import working_directory
from ..capture.files.audit_hook import Reading, Watch
from ..capture.files.scan import (
    MAX_SCANNED,
    TooManyError,
    is_edited,
    is_junk,
    open_files,
    scan,
    stamp,
)
from ..digest import digest_file
from ..paths import is_within
from ..records import Output, Record
from ..secrets.filenames import is_secret_file
from ..store.live.live import is_alive
from ..store.store import RunStore

# The most found files that a record lists.
MAX_FOUND = 5_000

_too_large: set[str] = set()


class Finder:
    """Finds the files that a run wrote, after its end; made when the run begins.

    `live` is the run's live folder, `root` the root of the project. `report` gets a message about anything that was
    not scanned or not kept. `unlisted` has the names of files that may belong to another run.
    """

    def __init__(
        self, store: RunStore, live: Path, *, root: Path | None, report: Callable[[str], None]
    ) -> None:
        self.unlisted: tuple[str, ...] = ()
        self._store = store
        self._live = live
        self._report = report
        self._since_ns = stamp(live / "lock")
        self._open = open_files()
        self._others = self._other_live_folders()
        self._cwd = os.path.realpath(working_directory() or live)
        self._root = None if root is None else os.path.realpath(root)
        self._folders = [f for f in (self._root, self._cwd) if f is not None]
        if self._root is not None and is_within(self._cwd, self._root):
            self._folders.pop()

    def find(
        self,
        watch: Watch,
        *,
        number: int,
        held: Collection[str],
        saved: Collection[str],
        readings: Collection[Reading],
    ) -> list[str]:
        """Return the absolute paths of the files, sorted, with links resolved.

        `held` are the files of the snapshot, relative to the root; `saved` the absolute paths of files and folders
        that the run saved.
        """
        found = {path for path in watch.written if self._was_written(path)}
        unseen = {
            path
            for path in self._scanned(watch, held, readings)
            if path not in found and not self._is_left_out(path)
        }
        if unseen and (not watch.is_alone or self._had_company(number)):
            self._report(
                f"{len(unseen)} files, such as {min(unseen)}, may have been written by another run in progress, and are"
                " not listed as outputs: save() the ones that matter"
            )
            self.unlisted = tuple(map(self._name, sorted(unseen)[:MAX_FOUND]))
            unseen = set()
        kept = [
            path
            for path in sorted(found | unseen)
            if not any(is_within(path, place) for place in saved)
        ]
        if len(kept) > MAX_FOUND:
            self._report(
                f"the run wrote {len(kept)} files; only the first {MAX_FOUND} are listed: save() the folder"
            )
        return kept[:MAX_FOUND]

    def keep(self, path: str, *, limit_bytes: int) -> Output:
        """Return the output; its file is in the store unless it exceeds the limit. Raises OSError."""
        place, name = os.path.relpath(path, self._cwd), self._name(path)
        size = os.stat(path).st_size
        stored = size <= limit_bytes
        if stored:
            digest, size = self._store.objects.put_file(Path(path))
        else:
            digest = digest_file(Path(path))
            self._report(
                f"only the digest of output {name} is kept: it has {size} bytes, more than keep_bytes={limit_bytes};"
                " call save(), or raise @record(keep_bytes=...)"
            )
        return Output(
            name=name,
            kind="file",
            digest=digest,
            size_bytes=size,
            path=place.replace(os.sep, "/"),
            found=True,
            stored=stored,
        )

    def _name(self, path: str) -> str:
        folder = next(f for f in (self._cwd, *self._folders) if is_within(path, f))
        return os.path.relpath(path, folder).replace(os.sep, "/")

    def _was_written(self, path: str) -> bool:
        try:
            status = os.stat(path)
        except OSError:
            return False  # a temporary file, gone by now
        changed = stat.S_ISREG(status.st_mode) and status.st_ctime_ns >= self._since_ns
        return changed and self._is_ours(path, status) and not self._is_left_out(path)

    def _is_ours(self, path: str, status: os.stat_result) -> bool:
        """Return whether the file is in the folders and was not open before the run, like a log that a shell writes."""
        inside = any(is_within(path, folder) for folder in self._folders)
        return inside and (status.st_dev, status.st_ino) not in self._open

    def _is_left_out(self, path: str) -> bool:
        folder = next(folder for folder in self._folders if is_within(path, folder))
        place = path[len(folder) + 1 :].replace(os.sep, "/")
        store = str(self._store.path)
        in_store = is_within(path, store) and not is_within(folder, store)
        return in_store or is_junk(place) or is_secret_file(place)

    def _scanned(
        self, watch: Watch, held: Collection[str], readings: Collection[Reading]
    ) -> Iterator[str]:
        """Yield the files written by any process; a file that the run read and did not write was only touched."""
        # Only a child process could write to the project's source files unseen.
        texts = () if watch.has_children else held
        read = {reading.path: reading.mtime_ns for reading in readings}
        for folder in self._folders:
            for place, status in self._scan(folder, texts if folder == self._root else ()):
                path = os.path.join(folder, place)
                known = place in held if folder == self._root else False
                if known and is_edited(place):
                    continue
                if status.st_mtime_ns <= self._since_ns and (known or path in read):
                    continue
                if read.get(path) != status.st_mtime_ns and self._is_ours(path, status):
                    yield path

    def _scan(self, folder: str, unread: Collection[str]) -> list[tuple[str, os.stat_result]]:
        if folder in _shared_folders():
            return []
        if folder not in _too_large:
            exclude = (str(self._store.path), os.path.realpath(self._store.path))
            try:
                return list(scan(folder, since_ns=self._since_ns, exclude=exclude, unread=unread))
            except TooManyError:
                _too_large.add(folder)
        self._report(
            f"{folder} has more than {MAX_SCANNED} files, so outputs of child processes and C libraries are not found:"
            " save() the ones that matter"
        )
        return []

    def _other_live_folders(self) -> set[str]:
        try:
            return set(os.listdir(self._live.parent)) - {self._live.name}  # noqa: PTH208
        except OSError:
            return set()

    def _had_company(self, number: int) -> bool:
        """Return whether a run of another process that could write here was in progress in the meantime."""
        workspaces = os.path.realpath(self._store.path / "workspaces")
        if all(is_within(folder, workspaces) for folder in self._folders):
            return self._is_joined(number)
        now = self._other_live_folders()
        if (self._others - now) or any(is_alive(self._live.parent / name) for name in now):
            return True
        last = self._store.newest(with_replays=True) or 0
        return last > number and _is_of_another(self._store.get(last))

    def _is_joined(self, number: int) -> bool:
        """Return whether another process recorded in this replay's workspace, which no other run shares."""
        later = self._store.runs(last=(self._store.newest(with_replays=True) or 0) - number)
        return any(
            _is_of_another(run) and run.process and self._is_inside(run.process.cwd)
            for run in later
        )

    def _is_inside(self, path: str) -> bool:
        return any(is_within(os.path.realpath(path), folder) for folder in self._folders)


def _is_of_another(run: Record) -> bool:
    return run.process is not None and run.process.pid != os.getpid()


def _shared_folders() -> tuple[str, ...]:
    """Return folders in which other programs write as well."""
    import tempfile

    home = os.path.realpath(os.path.expanduser("~"))
    return (os.sep, home, os.path.dirname(home), os.path.realpath(tempfile.gettempdir()))  # noqa: PTH120
