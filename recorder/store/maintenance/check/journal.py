"""Check the journal: its lines, its documents, and the runs that were killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ....errors import DamageError, RunInUseError
from ....records import Record
from ...filesystem.disk import remove_all
from ...journal.bit_repair import mend_line, mend_split_line
from ...journal.lines import INCOMPLETE, NEWLINE, Line, read_keys
from ...journal.mark import mark_path, read_mark
from ...journal.table import Journal
from ...live.live import Live, is_alive
from ...live.recovery import NO_FOLDER, WARNING, seal
from ...query.catalogue import RUNS
from ...signature import standing
from ...store import TRASH, RunStore
from .finding import Finding, StaleFindingError, Unplaced


def check_lines(store: RunStore, unplaced: Unplaced) -> Iterator[Finding]:
    """Check that each line of the journal is intact, and that none was lost."""
    damaged = list(_damaged_lines(store.journal))
    yield from (line.finding(unplaced) for line in damaged)
    yield from _mark(store)
    lost = store.journal.lost_lines()
    if lost and not any(line.line.is_lost for line in damaged):

        def discard() -> str:
            if store.journal.lost_lines() != lost:
                raise StaleFindingError("runs.jsonl")
            store.journal.accept_loss()
            return "the remaining lines are now taken for all lines of the journal"

        yield Finding(kind="lost lines", place="runs.jsonl", what=lost, discard=discard)


def _mark(store: RunStore) -> Iterator[Finding]:
    journal = store.path / "runs.jsonl"
    try:
        read_mark(journal)
    except ValueError as error:

        def mend() -> str:
            if mark_path(journal).is_dir() and not mark_path(journal).is_symlink():
                raise StaleFindingError("runs.jsonl.mark")
            mark_path(journal).unlink(missing_ok=True)
            store.journal.accept_loss()
            return "written again"

        yield Finding(
            kind="damaged mark",
            place="runs.jsonl.mark",
            what=f"the record of where the journal ended is damaged: {error}",
            repair="writes it again for the current lines",
            mend=mend,
        )


class _DamagedLine:
    """A damaged line, and its repair; `mended` is the line as it was written, None if that is unknown."""

    def __init__(self, journal: Journal, line: Line, raw: bytes, mended: bytes | None) -> None:
        self._journal = journal
        self.line = line
        self._raw = raw
        self._mended = mended

    def finding(self, unplaced: Unplaced) -> Finding:
        line, number = self.line, self._number()
        if line.damage == INCOMPLETE:
            what = "the last line is incomplete: its writer was killed before it reported success"
            repair = "moves it to lost+found; no run that was reported as finished is lost"
        elif self._mended is not None:
            whose = "a line" if number is None else f"a line of run {number}"
            what = f"{whose} is damaged: {line.damage}"
            change = "newline" if line.damage == NEWLINE else "one flipped bit"
            repair = f"restores the {change}; nothing is lost"
        else:
            whose = (
                "an unknown run" if number is None else f"run {number}, if its number is intact,"
            )
            what = f"a line of {whose} is damaged beyond repair: {line.damage}"
            repair = ""
        is_known = line.damage == INCOMPLETE or self._mended is not None
        return Finding(
            kind="damaged line",
            place=f"runs.jsonl, byte {line.offset}",
            what=what,
            runs=() if number is None else (number,),
            repair=repair,
            mend=(lambda: self._replace(unplaced)) if is_known else None,
            discard=None if is_known else (lambda: self._replace(unplaced)),
        )

    def _number(self) -> int | None:
        table, id = self.line.table, self.line.id
        if self._mended is not None and self.line.size_bytes > 1:
            table, id = read_keys(self._mended)
        return id if table in (RUNS, TRASH) else None

    def _replace(self, unplaced: Unplaced) -> str:
        """Replace exactly these bytes, in their place, so that the order of all other lines is kept."""
        kept = unplaced.write(self._raw, name=f"runs.jsonl-{self.line.offset}")
        if not self._journal.replace_bytes(self.line.offset, self._raw, self._mended or b""):
            kept.unlink()
            raise StaleFindingError(f"runs.jsonl, byte {self.line.offset}")
        done = "repaired" if self._mended is not None else "removed from the journal"
        return f"{done}; the damaged bytes are in lost+found/{kept.name}"


def _damaged_lines(journal: Journal) -> Iterator[_DamagedLine]:
    lines = journal.damage()
    at = 0
    while at < len(lines):
        line, raw = lines[at], journal.raw(lines[at])
        at += 1
        if line.damage == NEWLINE:
            yield _DamagedLine(journal, line, raw, b"\n")
            continue
        if line.damage == INCOMPLETE:
            yield _DamagedLine(journal, line, raw, None)
            continue
        mended = mend_line(raw)
        if mended is None and at < len(lines) and lines[at].offset == line.offset + len(raw):
            following = journal.raw(lines[at])
            mended = mend_split_line(raw, following)
            if mended is not None:
                line = line._replace(size_bytes=len(raw) + len(following), table="", id=None)
                raw, at = raw + following, at + 1
        yield _DamagedLine(journal, line, raw, mended)


def check_documents(store: RunStore, unplaced: Unplaced) -> tuple[list[Record], list[Finding]]:
    """Return the readable records, including those in the trash, and findings about the others."""
    records: list[Record] = []
    findings: list[Finding] = []
    for table in (RUNS, TRASH):
        view = store.journal.view(table)
        for number in sorted(view.ids()):
            wrong = ""
            try:
                record = Record.from_document(view.read(number))
                if record.number != number:
                    wrong = f"its number field is {record.number}"
            except (DamageError, KeyError):
                continue  # a damaged line, which is a finding of `check_lines`, or removed meanwhile
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
    raw, place = store.journal.raw_document(table, number), f"runs.jsonl, {table} {number}"

    def discard() -> str:
        with store.journal.storage.file.writing(sync=True):
            if store.journal.raw_document(table, number) != raw:
                raise StaleFindingError(place)
            kept = unplaced.write(raw, name=f"run-{number}.json")
            store.journal.table(table).remove(doc_ids=[number])
        return f"moved to lost+found/{kept.name}"

    return Finding(
        kind="invalid record",
        place=place,
        what=f"the record of run {number}: {wrong}",
        runs=(number,),
        discard=discard,
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


def check_live(store: RunStore, records: Iterable[Record], unplaced: Unplaced) -> Iterator[Finding]:
    """Check for killed runs, and for live folders that belong to no run in progress."""
    known = {record.id: record for record in records}
    folder = store.path / "live"
    for record in known.values():
        if record.status == "running" and not is_alive(store.live(record).path):
            yield _lost(store, record, unplaced)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_alive(path) or (path.name in known and known[path.name].status == "running"):
            continue
        yield _leftover(store, path, known.get(path.name), unplaced)


def _lost(store: RunStore, record: Record, unplaced: Unplaced) -> Finding:
    live, number = store.live(record), record.number
    is_there = live.is_there()

    def mend() -> str:
        _refuse_unknown_lines(store)
        if live.path.is_symlink() or (live.path.exists() and not live.path.is_dir()):
            unplaced.move(live.path, name=f"live-{live.id}")
        if not live.resume():
            raise RunInUseError(f"run {number} is in progress", number=number)
        try:
            # The run may have finished, and removed its folder, before the lock was taken.
            sealed = seal(
                record,
                live,
                objects=store.objects,
                keep=store.keep_file,
                warning=WARNING if is_there else NO_FOLDER,
            )
            is_lost = store.is_unfinished(record) and store.finish_lost(sealed)
        except BaseException:
            live.close(keep=True)
            raise
        live.close()
        if not is_lost:
            return f"nothing to do: run {number} has finished meanwhile"
        return f"finished run {number} as lost, with everything that it had written"

    what = f"run {number} ({record.experiment}) was killed, or its record could not be written"
    repair = "finishes its record as lost, with its console, series and files"
    if not is_there:  # a killed run leaves its live folder
        what = f"run {number} ({record.experiment}) has no final record, and no live folder"
        repair = "marks it as lost, unless a damaged line may be its final record"
    return Finding(
        kind="lost run",
        place=f"live/{record.id}",
        what=what,
        runs=(number,),
        repair=repair,
        is_damage=not is_there,
        mend=mend,
    )


def _refuse_unknown_lines(store: RunStore) -> None:
    """Raise DamageError if a damaged or lost line may be the final record of any run.

    A lesser state must never take the place of a final record.
    """
    store.journal.verify()
    if lost := store.journal.lost_lines():
        raise DamageError(lost, path=store.path / "runs.jsonl")


def _leftover(store: RunStore, path: Path, record: Record | None, unplaced: Unplaced) -> Finding:
    place = f"live/{path.name}"

    def mend() -> str:
        _refuse_unknown_lines(store)
        if path.is_symlink() or not path.is_dir():
            return f"moved to lost+found/{unplaced.move(path, name=f'live-{path.name}').name}"
        live = Live(path)
        if not live.seize():
            number = 0 if record is None else record.number
            raise RunInUseError(f"the run {path.name} is in progress", number=number)
        try:
            now = store.find_id(path.name)
            if now is not None and store.is_unfinished(now):
                raise StaleFindingError(place)
            return keep_or_remove()
        finally:
            live.close(keep=True)

    def keep_or_remove() -> str:
        kept = unplaced.move(path, name=f"live-{path.name}")
        files = (p for p in kept.rglob("*") if not p.is_dir() or p.is_symlink())
        if all(p.name == "lock" or not p.lstat().st_size for p in files):
            remove_all(kept)
            return "removed: it was empty"
        return f"moved to lost+found/{kept.name}"

    owner = "a run without a record" if record is None else f"run {record.number}, which has ended"
    if path.is_symlink() or not path.is_dir():
        owner = "no run: it is not a folder"
    return Finding(
        kind="live folder left behind",
        place=place,
        what=f"the live folder of {owner}",
        runs=() if record is None else (record.number,),
        repair="moves it to lost+found, or removes it if it is empty",
        is_damage=False,
        mend=mend,
    )
