"""The catalogue: find the records of a store's runs by number, name, id or query, and read them.

A run that is running according to the journal, but whose lock no process holds, is lost. In listings, a record that
cannot be read is skipped with a warning.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from ...digest import digest_bytes
from ...errors import DamageError, RecorderWarning, RunNotFoundError
from ...records import JSON, Record, StoredBytes
from ..filesystem.disk import is_regular, read_regular
from ..journal.table import Journal, JournalTable
from ..live.live import Live, is_alive
from .query import Query, parse_query
from .refs import LAST, LAST_REPLAY, RunNames, replay_ids, resolve, split_ref

# The journal's table of runs.
RUNS = "runs"

# A condition on the documents of runs.
Where: TypeAlias = Callable[[Mapping[str, JSON]], bool]


class Catalogue:
    """The runs of the store in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Record]:
        return self._records(self._documents())

    def __reversed__(self) -> Iterator[Record]:
        return self._records(self._documents(reverse=True))

    # Not functools.cached_property: before Python 3.12 that holds a lock while it computes, and a child that is forked
    # meanwhile by another thread would wait for the lock forever.
    @property
    def journal(self) -> Journal:
        """The TinyDB database of the records; its table "runs" has them under their numbers."""
        known: Journal | None = self.__dict__.get("journal")
        if known is None:
            known = self.__dict__.setdefault("journal", Journal(self.path / "runs.jsonl"))
        return known

    @property
    def _table(self) -> JournalTable:
        return self.journal.table(RUNS)

    def runs(self, *, last: int | None = None, where: str | Where | None = None) -> list[Record]:
        """Return all records, or the `last` ones, in the order of their numbers, filtered by `where`.

        `where` is a query string (see `recorder.store.query.query`), a TinyDB query, or any function of the document
        of a run. Raises QueryError. Records that cannot be read are skipped with a warning. Reading the last ones takes
        no longer in a large store than in a small one.
        """
        query = parse_query(where) if isinstance(where, str) else where
        records = []
        for document in self._documents() if last is None else self._last_documents(last):
            with _readable():
                if query is None or query(self._current(document)):
                    records.append(self._record(document))
        if isinstance(query, Query):
            for mismatch in query.type_mismatches():
                warnings.warn(mismatch, RecorderWarning, stacklevel=2)
        if isinstance(query, Query) and not records:
            query.check(self._documents() if last is None else self._last_documents(last))
        return records

    def _current(self, document: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """Return the document with the current status of a run in progress; other documents are not decoded."""
        if document.get("status") != "running":
            return document
        return self._record(document).to_document()

    def _last_documents(self, count: int) -> Iterator[Mapping[str, JSON]]:
        view = self.journal.view(RUNS)
        for number in sorted(view.ids())[-count:] if count > 0 else ():
            with _readable():
                yield view.read(number)

    def get(self, number: int) -> Record:
        """Return the record of that number, with the content of its live folder if lost. Raises RunNotFoundError."""
        document = self._table.get(doc_id=number)
        if document is None:
            raise self._no_run(number)
        record = self._record(document)
        live = self.live(record)
        if record.status == "lost" and live.is_there():
            from ..live.recovery import recover

            return recover(record, live, keep=_inline_file)
        return record

    def live(self, record: Record) -> Live:
        """Return the live folder of a run, which exists while the run is in progress, and after it was killed."""
        return Live(self.path / "live" / record.id)

    def _no_run(self, number: int) -> RunNotFoundError:
        return RunNotFoundError(f"no run {number} in {self.path}", ref=str(number))

    def find(self, ref: str | int) -> Record:
        """Return the record that `ref` names, see `recorder.store.query.refs`. Raises RunNotFoundError."""
        ref = str(ref).strip()
        if ref.isdecimal() and self._table.contains(doc_id=int(ref)):
            return self.get(int(ref))
        name, back = split_ref(ref)
        is_recency = not name.isdecimal() and name != LAST_REPLAY
        seen: list[RunNames] = []
        # Most names are of recent runs: do not read the whole journal.
        for entry in self._backwards():
            seen.append(entry)
            is_named = name in (LAST, entry.experiment)
            if is_recency and is_named and entry.replay_of is None:
                if entry.parent is not None:  # only `resolve` knows whether its parent is a replay
                    is_recency = False
                elif not back:
                    return self.get(entry.number)
                else:
                    back -= 1
        return self.get(resolve(ref, entries=lambda: seen[::-1]))

    def find_id(self, id: str) -> Record | None:
        """Return the record of the run with exactly this global id, None if the store has no such run."""
        for document in self._mentioning(id):
            if document.get("id") == id:
                return self.get(document["number"])
        return None

    def before(self, record: Record) -> int | None:
        """Return the number of the newest run of the same experiment before this one, replays aside; None if none."""
        return self.newest(record.experiment, before=record.number)

    def newest(
        self,
        experiment: str | None = None,
        *,
        before: int | None = None,
        with_replays: bool = False,
    ) -> int | None:
        """Return the number of the newest run, of that experiment and before that number; None if there is none.

        Replays, and runs that were recorded inside one, count only `with_replays`.
        """
        for entry in self._backwards(before=before):
            if experiment is not None and entry.experiment != experiment:
                continue
            if with_replays or (entry.replay_of is None and not self._is_in_replay(entry)):
                return entry.number
        return None

    def _is_in_replay(self, entry: RunNames) -> bool:
        """Return whether the run was recorded inside a replay; reads the journal only for runs inside another run."""
        return entry.parent is not None and entry.id in replay_ids(self.entries())

    def numbers(self) -> list[int]:
        """Return the sorted numbers of the runs."""
        return sorted(self._table.ids())

    def replays(self, record: Record) -> list[Record]:
        """Return the replays of the run in this store, in the order of their numbers."""
        mentioning = self._mentioning(record.id)
        return [*self._records(d for d in mentioning if d.get("replay_of") == record.id)]

    def is_unfinished(self, record: Record) -> bool:
        """Return whether the journal has the run as running: it runs, or it was killed and not repaired since."""
        document = self._table.get(doc_id=record.number)
        return document is not None and document.get("status") == "running"

    def _documents(self, *, reverse: bool = False) -> Iterator[Mapping[str, JSON]]:
        view = self.journal.view(RUNS)
        for number in sorted(view.ids(), reverse=reverse):
            if number in view:  # the caller may remove a run during the iteration
                with _readable():
                    yield view.read(number)

    def _mentioning(self, id: str) -> Iterator[Mapping[str, JSON]]:
        """Yield the documents whose lines contain the id, without decoding the others."""
        view, text = self.journal.view(RUNS), id.encode()
        for number in sorted(number for number, _, line in view.lines() if text in line):
            with _readable():
                yield view.read(number)

    def entries(self) -> list[RunNames]:
        """Return the names of all runs, in the order of their numbers."""
        return [*self._backwards()][::-1]

    def _backwards(self, *, before: int | None = None) -> Iterator[RunNames]:
        """Yield the names of the runs lazily, newest first, only those `before` a number."""
        view = self.journal.view(RUNS)
        for number in sorted(view.ids(), reverse=True):
            if before is not None and number >= before:
                continue
            with _readable():
                yield view.read_part(number, RunNames)

    def _records(self, documents: Iterable[Mapping[str, JSON]]) -> Iterator[Record]:
        for document in documents:
            with _readable():
                yield self._record(document)

    def _record(self, document: Mapping[str, JSON]) -> Record:
        try:
            record = Record.from_document(document)
        except msgspec.ValidationError as error:
            number = document.get("number", "?")
            raise DamageError(
                f"the record of run {number} cannot be read by this version of recorder: {error}",
                path=self.path / "runs.jsonl",
            ) from error
        if record.status == "running" and not is_alive(self.path / "live" / record.id):
            return self._reread_or_lost(record)
        return record

    def _reread_or_lost(self, record: Record) -> Record:
        # The run may have finished after its line was read and before its lock was tested.
        document = self._table.get(doc_id=record.number)
        if document is not None:
            fresh = Record.from_document(document)
            if fresh.status != "running":
                return fresh
        if not self.live(record).is_there():
            from ..live.recovery import NO_FOLDER

            warning = f"{NO_FOLDER}; try: recorder check"
            record = msgspec.structs.replace(record, warnings=(*record.warnings, warning))
        return msgspec.structs.replace(record, status="lost")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Warn about a damaged record and skip it, so that the other runs stay readable."""
    try:
        yield
    except DamageError as error:
        warnings.warn(f"{error}; try: recorder check", RecorderWarning, stacklevel=4)


def _inline_file(path: Path) -> StoredBytes | None:
    """Return the content of a file of a live folder for reading, without storing an object."""
    data = read_regular(path) if is_regular(path) else b""
    if not data:
        return None
    return StoredBytes(
        digest=digest_bytes(data), size_bytes=len(data), text=data.decode(errors="replace")
    )
