"""The progress of many replays, kept in a folder of the store, so that an interrupted command can continue.

::

    .recorder/replays/<digest of the request>/
      lock         held while the replays are in progress
      begun        the time at which they began
      <run id>     the finished replay of that run, a `Done`, written after its verdict is in the store

The folder is removed when all replays are done, so the next command replays everything again. It serves only the same
request (see `open_batch`), with the same interpreter and packages on the same machine, for a day. It is a cache: the
replays themselves are runs of the store.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from ...compare.items import Verification
from ...digest import digest_json
from ...environments.interpreter import describe_interpreter
from ...errors import ReplayError, RunNotFoundError
from ...records import JSON, Part, Record
from ...store.filesystem.disk import remove_all
from ...store.filesystem.folder_lock import FolderLock
from ...store.store import RunStore
from ..request import Request

# Older progress is ignored: the machine may have changed since in ways that recorder does not see.
_GOOD_FOR = timedelta(days=1)
# Options that do not affect the result. (Secrets must be the recorded values.)
_WITHOUT_EFFECT = ("secrets", "keep_workspace")


class Done(Part, frozen=True):
    """A finished replay: the id of the original run, the replay's id and number, and the verification."""

    original: str
    replay: str
    number: int
    verification: Verification | None = None


def open_batch(
    store: RunStore, request: Request, *, chosen: Mapping[str, JSON], restart: bool = False
) -> Batch:
    """Return the batch for a request and a selection of runs, with this interpreter on this machine.

    No earlier progress is used where the replays read current code or inputs, which may have changed.

    Args:
        store: The store of the runs.
        request: The options of the replays.
        chosen: The selection of runs.
        restart: Whether to ignore earlier progress.

    Raises:
        ReplayError: There is no such interpreter.
    """
    here = describe_interpreter(request.interpreter, cache=store.path / "envs")
    options: dict[str, Any] = msgspec.to_builtins(request)
    asked = {name: value for name, value in options.items() if name not in _WITHOUT_EFFECT}
    environment = msgspec.to_builtins(here.environment)
    key = digest_json("replays", [repr(asked), dict(chosen), environment, platform.node()])
    restart = restart or request.current_inputs or request.current_code
    return Batch(store, key.rpartition(":")[2][:20], restart=restart)


class Batch:
    """The folder of a batch in progress, a context manager that holds its lock.

    Attributes:
        path: The folder.
        taken_over: The replays that an interrupted command had finished, by the ids of the runs.
        begun: The time at which the batch began, UTC.

    Raises:
        ReplayError: Another process holds the lock.
    """

    def __init__(self, store: RunStore, key: str, *, restart: bool = False) -> None:
        self.path = store.path / "replays" / key
        self.taken_over: dict[str, Done] = {}
        self.begun = datetime.now(timezone.utc)
        self._store = store
        self._restart = restart
        self._folder = FolderLock(self.path)
        self._whole = False

    def __enter__(self) -> Batch:
        if not self._folder.resume():
            raise ReplayError("another process is replaying the same runs; wait until it ends")
        begun = self._read_begun()
        if begun is not None and not self._restart and self.begun - begun < _GOOD_FOR:
            self.begun = begun
            done = (_read(path) for path in self.path.iterdir() if path.name not in _OWN)
            self.taken_over = {
                one.original: one for one in done if one is not None and self._is_there(one)
            }
        else:
            self._clear()
            (self.path / "begun").write_text(self.begun.isoformat())
        return self

    def __exit__(self, *_: object) -> None:
        if self._whole:
            self._folder.remove()
        else:
            self._folder.release()

    def read(self, record: Record) -> Done | None:
        """Return the finished replay of a run, None where it is not finished."""
        return _read(self.path / record.id)

    def close(self) -> None:
        """Remove the folder with the lock: all replays are done."""
        self._whole = True

    def _read_begun(self) -> datetime | None:
        try:
            return datetime.fromisoformat((self.path / "begun").read_text())
        except (FileNotFoundError, ValueError):  # killed before or while it was written
            return None

    def _is_there(self, done: Done) -> bool:
        """Return whether the run of the finished replay has not been removed."""
        try:
            return self._store.get(done.number).id == done.replay
        except RunNotFoundError:
            return False

    def _clear(self) -> None:
        for path in self.path.iterdir():
            if path.name != "lock":
                remove_all(path)


_OWN = ("lock", "begun")


def note_done(folder: Path, done: Done) -> None:
    """Write a finished replay to the batch's folder atomically."""
    staged = folder / f"{done.original}.new"
    staged.write_bytes(msgspec.json.encode(done))
    os.replace(staged, folder / done.original)  # noqa: PTH105


def _read(path: Path) -> Done | None:
    if path.suffix == ".new":
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Done)
    except (FileNotFoundError, msgspec.MsgspecError):  # absent, or written by a later version
        return None
