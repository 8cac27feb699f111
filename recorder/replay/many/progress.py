"""What of many replays is done: a folder of the store, so that they go on where they were interrupted.

::

    .recorder/replays/<digest of what was asked for>/
      lock         held while they are in progress
      begun        when they began
      <run id>     what came of that run's replay: a `Done`, written after its verdict is in the store

It is removed when all of them are done: what one asks for anew is replayed anew. What is found there was asked for in
the same way (see `open_batch`), from the same interpreter with the same packages on the same machine, and no longer
ago than a day. It is a cache; the replays themselves are runs of the store.
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

# What was interrupted longer ago is done again: nobody remembers what was different then.
_GOOD_FOR = timedelta(days=1)
# What of a request does not decide what comes out: secrets must be the recorded values.
_OF_NO_ACCOUNT = ("secrets", "keep")


class Done(Part, frozen=True):
    """What came of the replay of the run `original` (its id): the replay's id and number, and its verification."""

    original: str
    replay: str
    number: int
    verification: Verification | None = None


def open_batch(
    store: RunStore, request: Request, *, chosen: Mapping[str, JSON], afresh: bool = False
) -> Batch:
    """The batch that replays so, and `chosen`: these runs, with this interpreter on this machine.

    Nothing that was done is taken over with `afresh`, nor where a replay reads what may have changed since.
    Raises ReplayError where there is no interpreter.
    """
    here = describe_interpreter(request.interpreter, cache=store.path / "envs")
    said: dict[str, Any] = msgspec.to_builtins(request)
    asked = {name: value for name, value in said.items() if name not in _OF_NO_ACCOUNT}
    environment = msgspec.to_builtins(here.environment)
    key = digest_json("replays", [repr(asked), dict(chosen), environment, platform.node()])
    afresh = afresh or request.live_inputs or request.here
    return Batch(store, key.rpartition(":")[2][:20], afresh=afresh)


class Batch:
    """The folder of a batch in progress; `taken_over` are what an interrupted one had done, by the runs' ids.

    A context manager, which holds the lock. Raises ReplayError where another process holds it.
    """

    def __init__(self, store: RunStore, key: str, *, afresh: bool = False) -> None:
        self.path = store.path / "replays" / key
        self.taken_over: dict[str, Done] = {}
        self.begun = datetime.now(timezone.utc)
        self._store = store
        self._afresh = afresh
        self._folder = FolderLock(self.path)
        self._whole = False

    def __enter__(self) -> Batch:
        if not self._folder.resume():
            raise ReplayError("another process is replaying the same runs: wait for its end")
        begun = self._read_begun()
        if begun is not None and not self._afresh and self.begun - begun < _GOOD_FOR:
            self.begun = begun
            self.taken_over = self._find_done()
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
        """What came of the run's replay, None where it is not done."""
        return _read(self.path / record.id)

    def close(self) -> None:
        """All of it is done: the folder goes with the lock."""
        self._whole = True

    def _read_begun(self) -> datetime | None:
        try:
            return datetime.fromisoformat((self.path / "begun").read_text())
        except (FileNotFoundError, ValueError):  # killed before it was whole
            return None

    def _find_done(self) -> dict[str, Done]:
        """What was done and is still there: its run has not been removed since."""
        found = (_read(path) for path in self.path.iterdir() if path.name not in _OWN)
        return {one.original: one for one in found if one is not None and self._is_there(one)}

    def _is_there(self, done: Done) -> bool:
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
    """Write down, in the batch's folder, what came of a replay; who reads sees all of it or nothing."""
    staged = folder / f"{done.original}.new"
    staged.write_bytes(msgspec.json.encode(done))
    os.replace(staged, folder / done.original)  # noqa: PTH105


def _read(path: Path) -> Done | None:
    if path.suffix == ".new":
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Done)
    except (FileNotFoundError, msgspec.MsgspecError):  # none, or a later version's
        return None
