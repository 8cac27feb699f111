"""The records of a store's runs as the journal has them: found by number, name, id or query, and read.

A run that the journal has as running and that no process holds any more is lost; one that cannot be read is left out
where there are others, with a warning.
"""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from ...digest import digest_bytes
from ...errors import DamageError, RecorderWarning, RunNotFoundError
from ...records import JSON, Record, StoredBytes
from ..journal.table import Journal, JournalTable
from ..live.live import Live, is_alive
from .query import Query, parse_query
from .refs import RunNames, resolve, split_ref

# The journal's table of runs.
RUNS = "runs"

# A condition on the documents of runs.
Where: TypeAlias = Callable[[Mapping[str, JSON]], bool]

_LAST = re.compile(r"last(?:~(\d+))?")


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

    @functools.cached_property
    def journal(self) -> Journal:
        """The TinyDB database of the records; its table "runs" has them under their numbers."""
        return Journal(self.path / "runs.jsonl")

    @property
    def _table(self) -> JournalTable:
        return self.journal.table(RUNS)

    def runs(self, *, last: int | None = None, where: str | Where | None = None) -> list[Record]:
        """Every record, or the `last` ones, in the order of their numbers; of those only the ones that `where` says.

        That is a text (see `recorder.store.query.query`; raises QueryError), a query of TinyDB's, or any function
        of a run's document.

        One that cannot be read is left out, with a warning. Of a large store the last ones take no longer than of a
        small one.
        """
        query = parse_query(where) if isinstance(where, str) else where
        found = []
        for document in self._documents() if last is None else self._last_documents(last):
            with _readable():
                if query is None or query(self._as_it_stands(document)):
                    found.append(self._record(document))
        if isinstance(query, Query) and not found:
            query.check(self._documents() if last is None else self._last_documents(last))
        return found

    def _as_it_stands(self, document: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The document, with what has become of a run in progress: only of such a one is the record made."""
        if document.get("status") != "running":
            return document
        return self._record(document).to_document()

    def _last_documents(self, count: int) -> Iterator[Mapping[str, JSON]]:
        view = self.journal.view(RUNS)
        for number in sorted(view.ids())[-count:] if count > 0 else ():
            with _readable():
                yield view.read(number)

    def get(self, number: int) -> Record:
        """The record of that number, a lost run's with what it has left behind. Raises RunNotFoundError."""
        document = self._table.get(doc_id=number)
        if document is None:
            raise self._no_run(number)
        record = self._record(document)
        live = self.live(record)
        if record.status == "lost" and live.path.exists():
            from ..live.recovery import recover

            return recover(record, live, keep=_as_it_is)
        return record

    def live(self, record: Record) -> Live:
        """The live folder of a run, which is there while it is in progress, and after it was killed."""
        return Live(self.path / "live" / record.id)

    def _no_run(self, number: int) -> RunNotFoundError:
        return RunNotFoundError(f"no run {number} in {self.path}", ref=str(number))

    def find(self, ref: str | int) -> Record:
        """The record that `ref` names: see `recorder.store.query.refs`. Raises RunNotFoundError."""
        ref = str(ref).strip()
        if ref.isdecimal() and self._table.contains(doc_id=int(ref)):
            return self.get(int(ref))
        if match := _LAST.fullmatch(ref):  # without a look at all of them
            numbers, back = self._table.ids(), int(match[1] or 0)
            if back < len(numbers):
                return self.get(numbers[-1 - back])
        name, back = split_ref(ref)
        is_experiment = not name.isdecimal() and name != "last"
        seen: list[RunNames] = []
        for entry in self._backwards():  # most names are those of experiments that ran of late
            seen.append(entry)
            if is_experiment and entry.experiment == name:
                if not back:
                    return self.get(entry.number)
                back -= 1
        return self.get(resolve(ref, entries=lambda: seen[::-1]))

    def find_id(self, id: str) -> Record | None:
        """The record of the run with exactly this global id, None where this store has none."""
        for document in self._mentioning(id):
            if document.get("id") == id:
                return self.get(document["number"])
        return None

    def before(self, record: Record) -> int | None:
        """The number of the newest run of the same experiment before this one, None where there is none."""
        return self.newest(record.experiment, before=record.number)

    def newest(self, experiment: str | None = None, *, before: int | None = None) -> int | None:
        """The number of the newest run, of that experiment and before that number; None where there is none."""
        for entry in self._backwards(before=before):
            if experiment is None or entry.experiment == experiment:
                return entry.number
        return None

    def numbers(self) -> list[int]:
        """The numbers of the runs, in order."""
        return sorted(self._table.ids())

    def replays(self, record: Record) -> list[Record]:
        """The replays of the run that this store has, in the order of their numbers."""
        mentioning = self._mentioning(record.id)
        return [*self._records(d for d in mentioning if d.get("replay_of") == record.id)]

    def is_unfinished(self, record: Record) -> bool:
        """Whether the journal still has the run as running: it is, or it was killed and not repaired since."""
        document = self._table.get(doc_id=record.number)
        return document is not None and document.get("status") == "running"

    def _documents(self, *, reverse: bool = False) -> Iterator[Mapping[str, JSON]]:
        view = self.journal.view(RUNS)
        for number in sorted(view.ids(), reverse=reverse):
            if number in view:  # whoever goes through them may remove one meanwhile
                with _readable():
                    yield view.read(number)

    def _mentioning(self, id: str) -> Iterator[Mapping[str, JSON]]:
        """The documents in whose lines the id stands: only those are decoded."""
        view, text = self.journal.view(RUNS), id.encode()
        for number in sorted(number for number, _, line in view.lines() if text in line):
            with _readable():
                yield view.read(number)

    def entries(self) -> list[RunNames]:
        """What the runs can be called by, in the order of their numbers."""
        return [*self._backwards()][::-1]

    def _backwards(self, *, before: int | None = None) -> Iterator[RunNames]:
        """The same, the newest first, those before a number, each read when it is asked for."""
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
                f"the record of run {number} is not one that this version can read: {error}",
                path=self.path / "runs.jsonl",
            ) from error
        if record.status == "running" and not is_alive(self.path / "live" / record.id):
            return self._reread_or_lost(record)
        return record

    def _reread_or_lost(self, record: Record) -> Record:
        # The run may have finished between the reading of its line and the look at its lock.
        document = self._table.get(doc_id=record.number)
        if document is not None:
            fresh = Record.from_document(document)
            if fresh.status != "running":
                return fresh
        return msgspec.structs.replace(record, status="lost")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """What is damaged is said, and left out: every other run stays readable."""
    try:
        yield
    except DamageError as error:
        warnings.warn(f"{error}: see `recorder check`", RecorderWarning, stacklevel=4)


def _as_it_is(path: Path) -> StoredBytes | None:
    """The content of a live folder's file for somebody who looks at it: nothing is put into the store."""
    data = path.read_bytes() if path.exists() else b""
    if not data:
        return None
    return StoredBytes(
        digest=digest_bytes(data), size_bytes=len(data), text=data.decode(errors="replace")
    )
