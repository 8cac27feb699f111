"""Check the journal: its lines, its documents, and the runs that were killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ....errors import DamageError, RunInUseError
from ....records import Record
from ...filesystem.disk import remove_all
from ...journal.bit_repair import mend_line
from ...journal.lines import Line, read_keys
from ...live.live import Live, is_alive
from ...live.recovery import seal
from ...query.catalogue import RUNS
from ...signature import standing
from ...store import TRASH, RunStore
from .finding import Finding, Unplaced


def check_lines(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    """Check the lines of the journal."""
    for line in store.journal.damage():
        is_run = line.table == RUNS and line.id is not None
        whose = f"run {line.id}" if is_run else "an unknown run"
        found = _Damaged(store, line, unplaced)
        yield Finding(
            kind="damaged line",
            place=f"runs.jsonl, byte {line.offset}",
            what=f"a line of {whose} is damaged: {line.damage}",
            runs=(line.id,) if is_run and line.id is not None else (),
            repair=found.repair,
            mend=found.mend,
        )


class _Damaged:
    """A damaged line, and its repair."""

    def __init__(self, store: RunStore, line: Line, unplaced: Unplaced) -> None:
        self._journal = store.journal
        self._unplaced = unplaced
        self._line = line
        self._raw = store.journal.raw(line)
        self._mended = mend_line(self._raw)
        self._is_old = False
        self._before = b""
        if self._mended is not None:
            table, id = read_keys(self._mended)
            self._is_old = store.journal.is_superseded(line._replace(table=table, id=id))
            self._before = b"" if id is None else store.journal.raw_document(table, id)

    @property
    def repair(self) -> str:
        if self._line.size_bytes == 1:
            return "restores the newline; nothing is lost"
        if self._is_old:
            return "moves it to lost+found; a later line supersedes it, and nothing is lost"
        if self._mended is not None:
            return "restores the one flipped bit; nothing is lost"
        return "moves it to lost+found; an earlier line of the same run is used, if there is one"

    def mend(self) -> str:
        kept = self._unplaced.write(self._raw, name=f"runs.jsonl-{self._line.offset}")
        is_back = (
            self._mended is not None
            and not self._is_old
            and self._journal.put_back(self._mended, instead_of=self._before)
        )
        self._journal.compact(drop={self._raw})
        repaired = "repaired; " if is_back else ""
        return f"{repaired}the damaged bytes are in lost+found/{kept.name}"


def check_documents(store: RunStore, unplaced: Unplaced) -> tuple[list[Record], list[Finding]]:
    """Return the readable records, including those in the trash, and findings about the others."""
    records: list[Record] = []
    findings: list[Finding] = []
    for table in (RUNS, TRASH):
        for number in sorted(store.journal.view(table).ids()):
            wrong = ""
            try:
                document = store.journal.table(table).get(doc_id=number)
                record = Record.from_document(document or {})
                if record.number != number:
                    wrong = f"its number field is {record.number}"
            except DamageError as error:
                wrong = str(error)
            except msgspec.ValidationError as error:
                wrong = f"this version of recorder cannot read it: {error}"
            if wrong:
                findings.append(_invalid(store, table, number, wrong, unplaced))
            else:
                records.append(record)
    return records, [*findings, *_doubles(records), *_changed(records)]


def _changed(records: list[Record]) -> Iterator[Finding]:
    for record in records:
        if standing(record) == "changed":
            yield Finding(
                kind="changed record",
                place=f"runs.jsonl, run {record.number}",
                what=f"the record of run {record.number} was changed after you signed it",
                runs=(record.number,),
            )


def _invalid(store: RunStore, table: str, number: int, wrong: str, unplaced: Unplaced) -> Finding:
    def mend() -> str:
        kept = unplaced.write(store.journal.raw_document(table, number), name=f"run-{number}.json")
        store.journal.table(table).remove(doc_ids=[number])
        return f"moved to lost+found/{kept.name}"

    return Finding(
        kind="invalid record",
        place=f"runs.jsonl, {table} {number}",
        what=f"the record of run {number}: {wrong}",
        runs=(number,),
        repair="moves the document to lost+found",
        mend=mend,
    )


def _doubles(records: list[Record]) -> Iterator[Finding]:
    counts = Counter(record.id for record in records)
    for id, count in counts.items():
        if count > 1:
            numbers = tuple(record.number for record in records if record.id == id)
            yield Finding(
                kind="one id twice",
                place="runs.jsonl",
                what=f"the runs {', '.join(map(str, numbers))} have the same id {id}",
                runs=numbers,
            )


def check_live(store: RunStore, records: list[Record], unplaced: Unplaced) -> Iterator[Finding]:
    """Check for killed runs, and for live folders that belong to no run in progress."""
    known = {record.id: record for record in records}
    folder = store.path / "live"
    for record in records:
        live = store.live(record)
        if record.status == "running" and not is_alive(live.path):
            yield _lost(store, record)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_alive(path) or (path.name in known and known[path.name].status == "running"):
            continue
        yield _leftover(path, known.get(path.name), unplaced)


def _lost(store: RunStore, record: Record) -> Finding:
    def mend() -> str:
        live = store.live(record)
        if not live.resume():
            raise RunInUseError(f"run {record.number} is in progress", number=record.number)
        try:
            store.finish(seal(record, live, objects=store.objects, keep=store.keep_file))
        except BaseException:
            live.close(keep=True)
            raise
        live.close()
        return f"finished run {record.number} as lost, with everything that it had written"

    return Finding(
        kind="lost run",
        place=f"live/{record.id}",
        what=f"run {record.number} ({record.experiment}) was killed, or its record could not be written",
        runs=(record.number,),
        repair="finishes its record as lost, with its console, series and files",
        is_damage=False,
        mend=mend,
    )


def _leftover(path: Path, record: Record | None, unplaced: Unplaced) -> Finding:
    def mend() -> str:
        live = Live(path)
        if not live.seize():
            number = 0 if record is None else record.number
            raise RunInUseError(f"the run {path.name} is in progress", number=number)
        try:
            return keep_or_remove()
        finally:
            live.close(keep=True)

    def keep_or_remove() -> str:
        kept = unplaced.move(path, name=f"live-{path.name}")
        if not any(p.name != "lock" and p.stat().st_size for p in kept.rglob("*") if p.is_file()):
            remove_all(kept)
            return "removed: it was empty"
        return f"moved to lost+found/{kept.name}"

    owner = "a run without a record" if record is None else f"run {record.number}, which has ended"
    return Finding(
        kind="live folder left behind",
        place=f"live/{path.name}",
        what=f"the live folder of {owner}",
        runs=() if record is None else (record.number,),
        repair="moves it to lost+found, or removes it if it is empty",
        is_damage=False,
        mend=mend,
    )
