"""Tests of the journal as a TinyDB."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from strategies import DOCUMENTS
from tinydb import Query, TinyDB, where
from tinydb.operations import delete, increment
from tinydb.storages import MemoryStorage
from tinydb.table import Document

from recorder.errors import RecorderWarning
from recorder.store.journal.table import Journal, JournalStorage, JournalTable

KINDS = {
    "journal": lambda path: Journal(path),
    "stock table": lambda path: TinyDB(path, storage=JournalStorage),
    "tinydb": lambda path: TinyDB(storage=MemoryStorage),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "runs.jsonl"


@pytest.fixture(params=KINDS)
def db(request: pytest.FixtureRequest, path: Path) -> TinyDB:
    """Return a journal, TinyDB's own table on one, or plain TinyDB, which is the reference."""
    found: TinyDB = KINDS[request.param](path)
    found.insert_multiple({"int": 1, "char": c} for c in "abc")
    return found


# TinyDB's documented behavior, as tested by its own test suite


def test_insert_gives_ids(db: TinyDB) -> None:
    """Ids count from 1; the id of a Document is used; an id that exists is refused."""
    assert db.insert({"int": 2}) == 4
    assert db.insert(Document({"x": 1}, doc_id=12)) == 12
    assert db.insert({"x": 2}) == 13
    assert db.get(doc_id=12) == {"x": 1}
    with pytest.raises(ValueError, match="already exists"):
        db.insert(Document({"x": 1}, doc_id=12))
    with pytest.raises(ValueError, match="Mapping"):
        db.insert([1, 2])  # type: ignore[arg-type]


def test_insert_multiple(db: TinyDB) -> None:
    """Several documents are inserted at once, also from a generator, and none if one is refused."""
    assert db.insert_multiple([{"x": 1}, {"x": 2}]) == [4, 5]
    assert db.insert_multiple({"x": i} for i in range(2)) == [6, 7]
    assert db.insert_multiple([Document({"y": 1}, doc_id=20), Document({"y": 2}, doc_id=21)]) == [
        20,
        21,
    ]
    with pytest.raises(ValueError, match="already exists"):
        db.insert_multiple([{"z": 1}, Document({"y": 1}, doc_id=20)])
    assert not db.search(where("z").exists())


def test_update(db: TinyDB) -> None:
    """Fields are set by query, by id, for all documents, by a function, and by several queries at once."""
    assert db.update({"int": 2}, where("char") == "a") == [1]
    assert db.update({"new": True}, doc_ids=[2, 99]) == [2]
    assert db.update(increment("int")) == [1, 2, 3]
    assert [d["int"] for d in db] == [3, 2, 2]
    assert db.update(delete("new"), where("new").exists()) == [2]
    assert db.update_multiple(
        [({"a": 1}, where("char") == "b"), ({"a": 2}, where("char") == "c")]
    ) == [2, 3]
    assert [d.get("a") for d in db] == [None, 1, 2]


def test_upsert(db: TinyDB) -> None:
    """Upsert updates existing documents and inserts missing ones."""
    assert db.upsert({"int": 5}, where("char") == "a") == [1]
    assert db.upsert({"int": 9, "char": "x"}, where("char") == "x") == [4]
    assert db.upsert(Document({"k": 1}, doc_id=2)) == [2]
    assert db.upsert(Document({"k": 1}, doc_id=50)) == [50]
    with pytest.raises(ValueError, match="doc_id"):
        db.upsert({"a": 1})


def test_remove_and_truncate(db: TinyDB) -> None:
    """Documents are removed by query and by id; a truncated table is empty and counts from 1 again."""
    assert db.remove(where("char") == "b") == [2]
    assert db.remove(doc_ids=[1, 99]) == [1]
    assert [d.doc_id for d in db] == [3]
    with pytest.raises(RuntimeError):
        db.remove()
    db.truncate()
    assert len(db) == 0
    assert db.insert({"a": 1}) == 1


def test_get_and_contains(db: TinyDB) -> None:
    """`get` returns one document by query or id, several by ids, and None if there is none."""
    found = db.get(where("char") == "b")
    assert found == {"int": 1, "char": "b"} and found.doc_id == 2
    assert db.get(doc_id=99) is None and db.get(where("char") == "z") is None
    assert [d.doc_id for d in db.get(doc_ids=[1, 3, 99])] == [1, 3]
    assert db.contains(where("char") == "a") and not db.contains(doc_id=99)
    assert db.count(where("int") == 1) == 3
    with pytest.raises(RuntimeError):
        db.get()


def test_queries(db: TinyDB) -> None:
    """TinyDB's queries work on nested documents."""
    db.insert({"config": {"lr": 0.1, "layers": [1, 2]}, "tags": ["a", "b"]})
    run = Query()
    for query in (
        run.config.lr > 0.05,
        run.config.layers.any([2]),
        run.tags.all(["a"]),
        (run.int == 1) | run.tags.exists(),
    ):
        assert db.search(query)[-1].doc_id in (3, 4)
    assert db.search(run.config.lr.test(lambda lr: lr < 0.05)) == []


def test_tables(db: TinyDB) -> None:
    """Tables are independent, can be dropped one by one or all at once, and reappear when used."""
    other = db.table("other name")
    other.insert({"x": 1})
    assert db.tables() == {"_default", "other name"}
    assert len(db.table("other name")) == 1 and len(db) == 3
    db.drop_table("other name")
    assert db.tables() == {"_default"}
    assert db.table("other name").insert({"x": 2}) == 1
    db.drop_tables()
    assert db.tables() == set()
    assert len(db) == 0
    assert db.insert({}) == 1


def test_the_query_cache(db: TinyDB) -> None:
    """A repeated query returns current documents."""
    query = where("int") == 1
    assert len(db.search(query)) == 3
    assert len(db.search(query)) == 3
    db.insert({"int": 1})
    assert len(db.search(query)) == 4
    db.update({"int": 2}, doc_ids=[1])
    assert len(db.search(query)) == 3
    db.remove(query)
    assert db.search(query) == []


def test_documents_that_json_can_say_come_back(db: TinyDB) -> None:
    """Strings of any script, lone surrogates, integers of any size and nested values are stored exactly."""
    document = {
        "a": 'é\n"\\',
        "b": "\ud800",
        "c": 2**80,
        "d": [1, 1.5, None, {"e": True}],
        "crc": "x",
    }
    assert db.get(doc_id=db.insert(document)) == document


# Behavior specific to the journal


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the file as any reader of JSON lines sees them."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_only_what_changes_is_appended(path: Path) -> None:
    """Each change appends exactly one line for each document that it changes."""
    db = Journal(path)
    db.insert_multiple([{"x": i} for i in range(5)])
    assert len(lines(path)) == 5
    for change, more in (
        (lambda: db.update({"x": 9}, doc_ids=[2]), 1),
        (lambda: db.update({"x": 9}, doc_ids=[2]), 0),
        (lambda: db.update({"y": 1}, where("x") == 9), 1),
        (lambda: db.update({"x": True}, where("x") == 1), 0),
        (lambda: db.remove(doc_ids=[1, 3]), 2),
        (lambda: db.insert({"x": 1}), 1),
    ):
        before = len(lines(path))
        change()
        assert len(lines(path)) == before + more
    assert path.read_bytes().startswith(b'{"crc":"')


def test_a_change_of_type_is_a_change(path: Path) -> None:
    """1, 1.0 and True are equal in Python, but are different documents."""
    db = Journal(path)
    db.insert({"x": 1})
    db.update({"x": 1.0})
    assert str(Journal(path).get(doc_id=1)["x"]) == "1.0"
    db.update({"x": True})
    assert Journal(path).get(doc_id=1)["x"] is True


def test_a_number_that_json_cannot_say_is_refused(path: Path) -> None:
    """NaN is refused, and nothing is written."""
    db = Journal(path)
    with pytest.raises(ValueError, match="JSON"):
        db.insert({"x": float("nan")})
    assert path.read_bytes() == b""


def test_ids_are_not_used_again(path: Path) -> None:
    """The id of a removed document is never reused, also after reopening and compaction."""
    db = Journal(path)
    db.insert_multiple([{"x": 1}, {"x": 2}])
    db.remove(doc_ids=[2])
    db.compact()
    assert Journal(path).insert({"x": 3}) == 3


def test_another_handle_sees_what_is_written(path: Path) -> None:
    """Reads see the lines that another handle appends, compacts, and appends again."""
    one, other = Journal(path), Journal(path)
    one.insert({"x": 1})
    assert other.search(where("x") == 1) == [{"x": 1}]
    one.insert({"x": 1})
    assert len(other.search(where("x") == 1)) == 2
    one.compact()
    one.insert({"x": 1})
    assert len(other.search(where("x") == 1)) == len(other) == 3
    assert other.insert({"x": 2}) == 4
    assert one.get(doc_id=4) == {"x": 2}


def test_the_stock_table_does_not_undo_what_others_wrote(path: Path) -> None:
    """TinyDB's own table writes back the documents that it read; documents inserted by others stay."""
    stock = TinyDB(path, storage=JournalStorage)
    stock.insert({"x": 1})
    data = stock.storage.read()
    Journal(path).insert({"x": 2})
    stock.storage.write({"_default": {"1": {"x": 5}}})
    assert data is not None
    assert [dict(d) for d in Journal(path)] == [{"x": 5}, {"x": 2}]


def test_compaction_keeps_the_documents(path: Path) -> None:
    """Compaction keeps every document and table, drops the history, and leaves no temporary file."""
    db = Journal(path)
    db.insert_multiple([{"x": i} for i in range(20)])
    for _ in range(5):
        db.update(increment("x"))
    db.table("empty").truncate()
    before = [dict(d) for d in db]
    assert db.compact() > 0
    assert [dict(d) for d in db] == [dict(d) for d in Journal(path)] == before
    assert db.tables() == Journal(path).tables() == {"_default", "empty"}
    assert len(lines(path)) == 21
    names = {"runs.jsonl", "runs.jsonl.lock", "runs.jsonl.mark"}
    assert {p.name for p in path.parent.iterdir()} <= names


def test_a_last_line_cut_anywhere_is_dropped(path: Path, tmp_path: Path) -> None:
    """If the last append is truncated at any byte, the journal opens with all earlier documents and accepts the next one."""
    db = Journal(path)
    db.insert_multiple([{"x": 1}, {"x": 2}])
    whole = path.stat().st_size
    db.update({"x": 3, "text": "é"}, doc_ids=[2])
    data = path.read_bytes()
    for cut in range(whole, len(data)):
        torn = tmp_path / "torn.jsonl"
        torn.write_bytes(data[:cut])
        found = Journal(torn)
        assert [dict(d) for d in found] == [{"x": 1}, {"x": 2}]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert found.insert({"x": 4}) == 3
        assert [w.category for w in said] == ([RecorderWarning] if cut > whole else [])
        assert [dict(d) for d in Journal(torn)] == [{"x": 1}, {"x": 2}, {"x": 4}]
        torn.unlink()


def test_each_flipped_bit_is_found(path: Path, tmp_path: Path) -> None:
    """A flipped bit in any byte of a middle line is reported with its position, and every other run is readable."""
    db = Journal(path)
    db.insert_multiple([{"x": 1}, {"x": 2}, {"x": 3}])
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    end = data.index(b"\n", start)
    for at in range(start, end):
        bad = tmp_path / "bad.jsonl"
        bad.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        with pytest.warns(RecorderWarning, match=f"the line at byte {start}"):
            found = Journal(bad)
        (damage, *rest) = found.damage()
        assert damage.offset == start and damage.damage
        assert [d["x"] for d in found] == [1, 3] or rest
        bad.unlink()


def test_a_full_disk_leaves_the_journal_whole(path: Path) -> None:
    """An append that fails halfway is undone, its error is raised, and the journal goes on."""
    if sys.platform != "linux":
        pytest.skip("needs RLIMIT_FSIZE to fail a write")
    code = f"""
import resource, signal
from recorder.store.journal.table import Journal
db = Journal({str(path)!r})
db.insert({{"x": "a" * 100}})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400, -1))
try:
    db.insert({{"x": "b" * 1000}})
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print(db.insert({{"x": "c"}}), [d["x"][0] for d in db])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n2 ['a', 'c']\n"
    assert not Journal(path).damage()


def _insert_many(path: Path, name: int, start: Any) -> None:
    start.wait()
    table = Journal(path, sync=False).table("runs")
    for i in range(100):
        table.insert_with(lambda number, i=i: {"number": number, "by": name, "i": i}, sync=False)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_many_processes_insert_at_once(path: Path, method: str) -> None:
    """Four processes that insert at once lose nothing, and their numbers are consecutive and unique."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    context = multiprocessing.get_context(method)
    start = context.Event()
    processes = [context.Process(target=_insert_many, args=(path, n, start)) for n in range(4)]
    for process in processes:
        process.start()
    start.set()
    reader, seen = Journal(path), 0
    while any(process.is_alive() for process in processes):
        reader.compact()
        assert len(reader.table("runs")) >= seen
        seen = len(reader.table("runs"))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    documents = Journal(path).table("runs").all()
    assert (
        sorted(d["number"] for d in documents)
        == [d.doc_id for d in documents]
        == list(range(1, 401))
    )
    assert sorted((d["by"], d["i"]) for d in documents) == [
        (n, i) for n in range(4) for i in range(100)
    ]


def test_a_fork_goes_on_writing(path: Path) -> None:
    """A child that was forked while the journal was open can write to it, and so can its parent."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    db = Journal(path)
    db.insert({"by": "parent"})
    pid = os.fork()
    if pid == 0:
        db.insert({"by": "child"})
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    db.insert({"by": "parent"})
    assert [d["by"] for d in db] == ["parent", "child", "parent"]


def test_a_journal_that_may_only_be_read(path: Path) -> None:
    """A journal in a read-only place can be read."""
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    Journal(path).insert({"x": 1})
    path.chmod(0o444)
    db = Journal(path)
    assert db.all() == [{"x": 1}]
    with pytest.raises(PermissionError):
        db.insert({"x": 2})


class JournalMachine(RuleBasedStateMachine):
    """A journal with two handles behaves like TinyDB in memory, whatever the operations."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "j"
        self.model: dict[int, dict[str, Any]] = {}
        self.last = 0
        self.handles = [Journal(self.path, sync=False), Journal(self.path, sync=False)]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def table(self, n: int) -> JournalTable:
        return self.handles[n].table("runs")

    @rule(n=st.integers(0, 1), document=DOCUMENTS)
    def insert(self, n: int, document: dict[str, Any]) -> None:
        self.last += 1
        assert self.table(n).insert(document) == self.last
        self.model[self.last] = document

    @rule(n=st.integers(0, 1), documents=st.lists(DOCUMENTS, max_size=3))
    def insert_multiple(self, n: int, documents: list[dict[str, Any]]) -> None:
        for id, document in zip(self.table(n).insert_multiple(documents), documents, strict=True):
            self.last += 1
            assert id == self.last
            self.model[id] = document

    @rule(n=st.integers(0, 1), id=st.integers(1, 20), document=DOCUMENTS)
    def update(self, n: int, id: int, document: dict[str, Any]) -> None:
        assert self.table(n).update(document, doc_ids=[id]) == ([id] if id in self.model else [])
        if id in self.model:
            self.model[id] = {**self.model[id], **document}

    @rule(n=st.integers(0, 1), id=st.integers(1, 20))
    def remove(self, n: int, id: int) -> None:
        assert self.table(n).remove(doc_ids=[id]) == ([id] if id in self.model else [])
        self.model.pop(id, None)

    @precondition(lambda self: self.model)
    @rule(n=st.integers(0, 1), data=st.data(), document=DOCUMENTS)
    def put(self, n: int, data: Any, document: dict[str, Any]) -> None:
        id = data.draw(st.sampled_from(sorted(self.model)))
        self.table(n).put(id, document)
        self.model[id] = document

    @rule(n=st.integers(0, 1))
    def reopen(self, n: int) -> None:
        self.handles[n].close()
        self.handles[n] = Journal(self.path, sync=False)

    @rule(n=st.integers(0, 1))
    def compact(self, n: int) -> None:
        self.handles[n].compact()

    @invariant()
    def they_hold_the_same(self) -> None:
        for n in (0, 1):
            assert {d.doc_id: dict(d) for d in self.table(n)} == self.model
            assert len(self.table(n)) == len(self.model)


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
