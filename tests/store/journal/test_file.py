"""Tests of the journal's file: concurrent readers and writers, crashes, damage, compaction."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tinydb import TinyDB, where
from tinydb.middlewares import CachingMiddleware
from tinydb.table import Document

from recorder.errors import DamageError, RecorderWarning
from recorder.store.filesystem.disk import ProcessLock
from recorder.store.journal import index as journal_index
from recorder.store.journal.index import index_path
from recorder.store.journal.lines import make_line
from recorder.store.journal.mark import mark_path, read_mark
from recorder.store.journal.table import Journal, JournalStorage
from recorder.store.journal.view import OpenFile

said = pytest.mark.filterwarnings("ignore:the line at byte")  # tested in test_table.py
posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "runs.jsonl"


def values(db: TinyDB) -> list[Any]:
    """Return the x of each document, in order."""
    return [document["x"] for document in db]


def python(code: str, *args: object, **options: Any) -> subprocess.Popen[str]:
    """Start a child process that runs the code, with a pipe from its stdout."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


# Threads


def test_threads_share_a_journal(path: Path) -> None:
    """Threads that insert, search and compact at once lose nothing, and each sees its own writes."""
    db = Journal(path, sync=False)
    errors: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for i in range(40):
                id = db.insert({"x": name, "i": i})
                assert db.get(doc_id=id) == {"x": name, "i": i}
                assert len(db.search(where("x") == name)) == i + 1
                if i % 20 == name:
                    db.compact()
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [d.doc_id for d in Journal(path)] == list(range(1, 161))


def test_documents_may_be_changed_while_they_are_gone_through(path: Path) -> None:
    """An iteration over a table is not affected by removals or by compaction."""
    db = Journal(path)
    db.insert_multiple({"x": n} for n in range(6))
    seen = []
    for document in db:
        db.remove(doc_ids=[document.doc_id, 7 - document.doc_id])
        db.compact()
        db.insert({"x": "new"})
        seen.append(document["x"])
    assert seen == [0, 1, 2, 3, 4, 5]
    assert values(db) == ["new"] * 6


def test_a_thread_that_searches_keeps_no_stale_answer(path: Path) -> None:
    """A cached query result is not returned after another thread has written."""
    db = Journal(path)
    db.insert_multiple({"x": 1} for _ in range(3))
    query = where("x").test(lambda x: _insert_once(db, x))
    assert len(db.search(query)) == 3
    assert len(db.search(query)) == 4


def _insert_once(db: Journal, x: int) -> bool:
    if len(db) == 3:
        thread = threading.Thread(target=db.insert, args=({"x": 1},))
        thread.start()
        thread.join()
    return x == 1


# Ids


def test_given_and_counted_ids_do_not_meet(path: Path) -> None:
    """In one call, documents with explicit ids and documents without never share an id."""
    db = Journal(path)
    assert db.insert_multiple([Document({"x": 1}, doc_id=1), {"x": 2}, Document({"x": 3}, doc_id=9), {"x": 4}]) == [
        1, 2, 9, 10,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="ID 11 already"):
        db.insert_multiple([{"x": 5}, Document({"x": 6}, doc_id=11)])
    assert values(db) == [1, 2, 3, 4]


def test_no_number_is_spent_on_a_document_that_cannot_be_made(path: Path) -> None:
    """If the document of a new number cannot be made or written, the next document gets its number."""
    table = Journal(path).table("runs")
    assert table.insert_with(lambda number: {"number": number}) == 1
    with pytest.raises(ZeroDivisionError):
        table.insert_with(lambda number: {"number": number / 0})
    with pytest.raises(ValueError, match=r"a\.b is nan"):
        table.insert_with(lambda number: {"a": {"b": float("nan")}})
    assert table.insert_with(lambda number: {"number": number}, sync=False) == 2
    assert [dict(d) for d in Journal(path).table("runs")] == [{"number": 1}, {"number": 2}]


def test_stock_tables_that_meet_are_refused(path: Path) -> None:
    """If two processes with TinyDB's own table choose the same id, the second is refused and nothing is lost."""
    one, two = (TinyDB(path, storage=JournalStorage) for _ in range(2))
    tables = one.storage.read() or {}
    two.insert({"x": "two"})
    with pytest.raises(ValueError, match="already exists"):
        one.storage.write({**tables, "_default": {"1": {"x": "one"}}})
    assert values(one) == ["two"]


def test_tinydb_middleware_works(path: Path) -> None:
    """TinyDB's caching middleware writes, changes and removes documents of the journal."""
    with TinyDB(path, storage=CachingMiddleware(JournalStorage)) as db:
        db.insert_multiple([{"x": 1}, {"x": 2}])
        db.storage.flush()
        db.remove(doc_ids=[1])
        db.update({"x": 3}, doc_ids=[2])
    assert values(Journal(path)) == [3]


# Other processes


def test_a_closed_journal_says_so(path: Path) -> None:
    """A closed journal is not reopened implicitly."""
    with Journal(path) as db:
        db.insert({"x": 1})
    with pytest.raises(ValueError, match="closed"):
        db.all()


def test_a_line_that_is_being_written_is_no_damage(path: Path) -> None:
    """A reader that sees an incomplete last line waits for the rest and does not report it."""
    writer, reader = Journal(path), Journal(path)
    writer.insert({"x": 1})
    start, line = path.stat().st_size, make_line("_default", 2, {"x": 2})
    with path.open("r+b") as file:
        for half in (line[:20], line[:20] + b"\0" * (len(line) - 21) + b"\n", line):
            file.seek(start)
            file.write(half)
            file.flush()
            assert values(reader) == ([1, 2] if half == line else [1])
    assert reader.damage() == []


def test_a_write_that_was_taken_back_is_forgotten(path: Path) -> None:
    """The part of a failed write that a reader has seen disappears when the file goes on differently."""
    writer, reader = Journal(path), Journal(path)
    writer.insert({"x": 1})
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(make_line("_default", 2, {"x": "taken back"}))
    assert values(reader) == [1, "taken back"]
    os.truncate(path, whole)
    assert values(reader) == [1]
    with path.open("ab") as file:
        file.write(make_line("_default", 2, {"x": "taken back"}))
    assert len(reader) == 2
    os.truncate(path, whole)
    Journal(path).insert({"x": "another, and longer than the one before"})
    assert values(reader) == [1, "another, and longer than the one before"]
    assert reader.damage() == []


@posix
def test_no_answered_insert_is_lost_to_a_kill(path: Path) -> None:
    """A writer that is killed at any instant has written everything that it reported, and the next writer goes on."""
    code = """
    import sys
    from recorder.store.journal.table import Journal
    db = Journal(sys.argv[1])
    while True:
        print(db.insert({"x": "a" * 20_000}), flush=True)
        if len(db) % 3 == 0:
            db.compact()
    """
    chance, last = random.Random(7), 0
    for _ in range(12):
        child = python(code, path)
        assert child.stdout is not None
        for _ in range(chance.randrange(4)):
            last = int(child.stdout.readline())
        threading.Event().wait(chance.random() / 300)
        child.send_signal(signal.SIGKILL)
        last = max([last, *(int(line) for line in child.communicate()[0].split("\n")[:-1])])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecorderWarning)  # an incomplete line is expected
            db = Journal(path)
            assert db.insert({"x": "b"}) > last
            assert [d.doc_id for d in db] == list(range(1, len(db) + 1))
            assert len(db) > last and not db.damage()
            last = len(db)
            db.close()


@posix
def test_a_fork_beside_a_busy_thread_goes_on(path: Path) -> None:
    """A child that was forked while another thread held the journal can use it, without disturbing others."""
    db = Journal(path)
    db.insert({"x": "before"})
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with db.storage.file.writing(sync=False):
            held.set()
            done.wait()
            db.insert({"x": "thread"})

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if values(db)[0] == "before" and db.insert({"x": "child"}) == 3 else 1)
    done.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
    assert values(db) == ["before", "thread", "child"]


@posix
def test_a_lock_ends_with_the_one_who_took_it(path: Path) -> None:
    """If a process dies while it holds the lock, its forked child does not keep it."""
    code = """
    import os, sys, time
    from recorder.store.filesystem.disk import ProcessLock
    lock = ProcessLock(sys.argv[1])
    lock.acquire()
    pid = os.fork()
    if pid == 0:
        os.close(1)
        time.sleep(60)
    print(pid, flush=True)
    os._exit(1)
    """
    child = python(code, path)
    pid = int(child.communicate(timeout=60)[0])
    lock = ProcessLock(str(path))
    acquired = threading.Thread(target=lock.acquire, daemon=True)
    acquired.start()
    acquired.join(30)
    assert not acquired.is_alive()
    os.kill(pid, signal.SIGKILL)
    lock.release()


# Damage


def flipped(path: Path, at: int) -> None:
    """Flip a bit of the byte at `at` in place, so that the open file sees it."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.fixture
def newlines(path: Path) -> Iterator[list[int]]:
    """Return a journal of three documents and the positions of its newlines."""
    Journal(path).insert_multiple([{"x": 1}, {"x": 2}, {"x": 3}])
    data = path.read_bytes()
    yield [at for at, byte in enumerate(data) if byte == 10]


@said
@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_damaged_newline_costs_nothing(path: Path, newlines: list[int], n: int) -> None:
    """If any newline is damaged, every document is readable, it is reported, and compaction restores it."""
    flipped(path, newlines[n])
    db = Journal(path)
    assert values(db) == [1, 2, 3]
    assert [(d.offset, d.size_bytes) for d in db.damage()] == [(newlines[n], 1)]
    db.insert({"x": 4})
    assert values(db) == values(Journal(path)) == [1, 2, 3, 4]
    assert [d.offset for d in db.damage()] == [newlines[n]]
    db.compact()
    assert db.damage() == [] and values(Journal(path)) == [1, 2, 3, 4]


@said
def test_damage_after_opening_is_noticed(path: Path, newlines: list[int]) -> None:
    """A document that is damaged while the journal is open is not returned, and its position is reported."""
    db = Journal(path)
    flipped(path, newlines[1] - 3)
    with pytest.raises(DamageError) as raised:
        db.get(doc_id=2)
    assert raised.value.offset == newlines[0] + 1
    assert [d.id for d in db.damage()] == [2]


@said
def test_an_earlier_version_stands_where_the_later_is_damaged(path: Path) -> None:
    """If the last line of a document is damaged, the line before it is current."""
    db = Journal(path)
    db.insert({"x": "begun"})
    start = path.stat().st_size
    db.update({"x": "finished"}, doc_ids=[1])
    db.insert({"x": 2})
    flipped(path, start + 60)
    assert values(Journal(path)) == ["begun", 2]


@said
def test_a_damaged_journal_is_not_compacted(path: Path, newlines: list[int]) -> None:
    """Compaction refuses to drop history while a line is damaged; that line can be replaced in its place."""
    flipped(path, newlines[1] - 3)
    db = Journal(path)
    db.update({"x": 5}, doc_ids=[1])
    (line,) = db.damage()
    raw, before = db.raw(line), path.read_bytes()
    assert b'"id":2' in raw and (line.table, line.id) == ("_default", 2)
    with pytest.raises(DamageError, match=f"byte {line.offset}"):
        db.compact()
    assert path.read_bytes() == before
    assert not db.replace_bytes(line.offset, b"other bytes", b"") and path.read_bytes() == before
    assert db.replace_bytes(line.offset, raw, b"") and path.read_bytes() == before.replace(raw, b"")
    assert db.damage() == [] and values(db) == [5, 3] and db.lost_lines() == ""
    assert db.compact() > 0 and db.insert({"x": 4}) == 4


def test_a_line_damaged_since_opening_is_not_compacted(path: Path) -> None:
    """Compaction reads every line again, so that damage since the journal was opened is not copied as history."""
    db = Journal(path)
    db.insert({"x": "running"})
    start = path.stat().st_size
    db.update({"x": "finished"}, doc_ids=[1])
    flipped(path, start + 60)
    before = path.read_bytes()
    with pytest.raises(DamageError):
        db.compact()
    assert path.read_bytes() == before and db.compact_if_wasteful() == 0


@pytest.mark.parametrize("how", ["deleted", "emptied", "cut at a line", "older copy", "compacted"])
@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_lost_lines_are_noticed(path: Path, how: str) -> None:
    """A journal that lost its last lines, or is an older copy, has lost lines until that is accepted."""
    db = Journal(path)
    db.insert_multiple({"x": n} for n in range(4))
    older = path.read_bytes()
    db.update({"x": 99}, doc_ids=[2])
    if how == "compacted":
        db.compact()
    whole = path.read_bytes()
    assert Journal(path).lost_lines() == ""
    if how == "deleted":
        path.unlink()
    else:
        cut = whole[: whole.rindex(b"\n", 0, -1) + 1]
        path.write_bytes({"emptied": b"", "cut at a line": cut}.get(how, older))
    with pytest.warns(RecorderWarning, match="has lost lines"):
        db = Journal(path)
    db.insert({"x": "later"})  # does not hide it
    db.insert_multiple({"x": n} for n in range(100))
    assert "lost lines" in Journal(path).lost_lines()
    if how == "emptied":
        path.write_bytes(whole)
        assert Journal(path).lost_lines() == ""
        return
    db.accept_loss()
    assert Journal(path).lost_lines() == ""
    db.insert({"x": "more"})
    assert Journal(path).lost_lines() == ""


def test_a_mark_of_a_compacted_file_is_not_taken_for_the_new_one(path: Path) -> None:
    """A write that was synced before another process compacted the journal leaves no false mark."""
    one, two = Journal(path), Journal(path)
    one.insert_multiple({"x": "a" * 1000} for _ in range(10))
    one.update({"x": ""})
    file, mark = one.storage.file._file, one.storage.file._current_mark()
    two.compact()
    one.storage.file._advance_mark(file, mark)
    assert Journal(path).lost_lines() == "" and one.lost_lines() == ""


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_damaged_mark_loses_nothing(path: Path) -> None:
    """If the mark is damaged in any byte, it is reported, and the journal can still be read and written."""
    db = Journal(path)
    db.insert({"x": 1})
    file = mark_path(path)
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError):
            read_mark(path)
    assert Journal(path).insert({"x": 2}) == 2 and values(Journal(path)) == [1, 2]


def test_what_was_cut_short_is_reported(path: Path) -> None:
    """An incomplete last line counts as damage until the next write, which warns."""
    db = Journal(path)
    db.insert({"x": 1})
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"crc":"0123')
    (line,) = db.damage()
    assert (line.offset, line.size_bytes) == (size, 12)
    with pytest.warns(RecorderWarning, match="12 bytes"):
        db.insert({"x": 2})
    assert db.damage() == []


# Compaction


def test_compaction_when_most_is_history(path: Path) -> None:
    """The journal compacts itself only if more than half of it, and more than a megabyte, is history."""
    db = Journal(path, sync=False)
    db.insert({"x": "a" * 300_000})
    for n in range(3):
        db.update({"n": n}, doc_ids=[1])
        assert db.compact_if_wasteful() == 0
    db.update({"n": 3}, doc_ids=[1])
    assert db.compact_if_wasteful() > 1_000_000
    assert db.get(doc_id=1) == {"x": "a" * 300_000, "n": 3}
    assert not Journal(path).storage.file.is_wasteful
    db.insert_multiple({"x": "a" * 300_000} for _ in range(5))
    db.truncate()
    assert Journal(path).compact_if_wasteful() > 1_500_000
    assert db.compact_if_wasteful() == 0  # the other handle did
    assert path.stat().st_size < 100


@posix
def test_compaction_keeps_the_mode(path: Path) -> None:
    """A compacted journal keeps the permissions of its file."""
    db = Journal(path)
    db.insert({"x": 1})
    path.chmod(0o660)
    db.compact()
    assert path.stat().st_mode & 0o777 == 0o660


@posix
def test_a_compaction_that_fails_changes_nothing(path: Path) -> None:
    """If the disk is full during a compaction, the error is raised and the journal is unchanged."""
    code = """
    import resource, signal, sys
    from recorder.store.journal.table import Journal
    db = Journal(sys.argv[1])
    db.insert_multiple({"x": "a" * 1000} for _ in range(100))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, -1))
    try:
        db.compact()
    except OSError as error:
        print(error.strerror, len(db))
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    print(db.insert({"x": 1}))
    """
    assert python(code, path).communicate()[0] == "File too large 100\n101\n"
    names = ["runs.jsonl", "runs.jsonl.lock", "runs.jsonl.mark"]
    assert sorted(p.name for p in path.parent.iterdir()) == names
    assert len(Journal(path)) == 101


# The index


@pytest.fixture
def indexed(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a journal of 60 runs with an index; some runs are rewritten, some removed, in two tables."""
    monkeypatch.setattr(journal_index, "WORTH_BYTES", 1)
    db = Journal(path, sync=False)
    db.insert_multiple({"x": i} for i in range(60))
    db.table("other").insert({"x": -1})
    db.update({"x": -2}, doc_ids=[7])
    db.remove(doc_ids=[9, 60])
    Journal(path).close()
    assert index_path(path).exists()
    return path


def test_an_index_says_what_the_lines_say(indexed: Path) -> None:
    """A journal opened by its index, with lines appended since, equals one whose lines are read."""
    Journal(indexed, sync=False).insert({"x": 100})
    by_index = Journal(indexed)
    found = [(name, list(map(dict, by_index.table(name)))) for name in sorted(by_index.tables())]
    known = by_index.storage.file.is_wasteful, by_index.insert({"x": 101})
    assert by_index.remove(doc_ids=[known[1]]) == [62]
    index_path(indexed).unlink()
    by_lines = Journal(indexed)
    assert found == [
        (name, list(map(dict, by_lines.table(name)))) for name in sorted(by_lines.tables())
    ]
    assert (by_lines.storage.file.is_wasteful, by_lines.insert({"x": 102})) == (known[0], 63)


def test_the_lines_behind_an_index_are_not_read(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal with an index is opened without reading the indexed lines."""
    read: list[int] = []
    lines = OpenFile.lines
    monkeypatch.setattr(
        OpenFile,
        "lines",
        lambda self, start, end: read.append(end - start) or lines(self, start, end),
    )
    assert len(Journal(indexed)) == 58
    assert sum(read) == 0


@said
@pytest.mark.parametrize("place", ["journal", "index", "short index", "journal, the same size"])
def test_an_index_of_other_bytes_is_passed_over(indexed: Path, place: str) -> None:
    """If the journal was changed in place or its index is damaged, all intact lines are read."""
    file = indexed if place.startswith("journal") else index_path(indexed)
    data = file.read_bytes()
    if place == "short index":
        file.write_bytes(data[:-8])
    elif place == "journal":
        file.write_bytes(data[data.index(b"\n") + 1 :])
    else:
        file.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    assert len(Journal(indexed)) == (58 if "index" in place else 57)
    assert len(Journal(indexed)) == (58 if "index" in place else 57)


def test_a_journal_that_stays_the_same_is_digested_once(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest of an index is verified once for each modification time of the journal."""
    digested: list[int] = []
    digest = journal_index._digest
    monkeypatch.setattr(
        journal_index, "_digest", lambda file, size: digested.append(size) or digest(file, size)
    )
    time.sleep(0.1)  # two writes within a tick have the same modification time
    for _ in range(3):
        assert len(Journal(indexed)) == 58
    assert len(digested) == 1
    Journal(indexed, sync=False).insert({"x": 100})
    time.sleep(0.1)
    for _ in range(3):
        assert len(Journal(indexed)) == 59
    assert len(digested) > 1
    data = bytearray(indexed.read_bytes())
    data[200] ^= 1
    indexed.write_bytes(data)
    with pytest.warns(RecorderWarning, match="damaged"):
        assert len(Journal(indexed)) == 58
