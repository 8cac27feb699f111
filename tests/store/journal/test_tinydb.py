"""Tests of TinyDB's documented behavior on the journal, from its guide and its own tests.

Each test runs with a `Journal`, with TinyDB's own table on a `JournalStorage`, and with TinyDB in memory, which proves
that the test requires no more than TinyDB does. See also test_table.py.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tinydb import Query, TinyDB, operations, where
from tinydb.middlewares import CachingMiddleware
from tinydb.storages import MemoryStorage
from tinydb.table import Document, Table

from recorder.store.journal.table import Journal, JournalStorage, JournalTable

KINDS: dict[str, Callable[[Path], TinyDB]] = {
    "journal": lambda path: Journal(path),
    "stock table": lambda path: TinyDB(path, storage=JournalStorage),
    "tinydb": lambda path: TinyDB(storage=MemoryStorage),
}
ON_DISK = ["journal", "stock table"]
each_on_disk = pytest.mark.parametrize("kind", ON_DISK)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "db.jsonl"


@pytest.fixture(params=KINDS)
def db(request: pytest.FixtureRequest, path: Path) -> Iterator[TinyDB]:
    """Return an empty database of each kind."""
    with KINDS[request.param](path) as found:
        yield found


@pytest.fixture
def abc(db: TinyDB) -> TinyDB:
    """Insert three documents that differ in one field."""
    db.insert_multiple({"int": 1, "char": c} for c in "abc")
    return db


def chars(documents: Any) -> str:
    """Return the char of each document."""
    return "".join(document["char"] for document in documents)


class Point(Mapping[str, int]):
    """A mapping that is not a dict."""

    def __getitem__(self, key: str) -> int:
        return {"x": 1, "y": 2}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("xy")

    def __len__(self) -> int:
        return 2


# Inserting


def test_any_mapping_is_a_document(db: TinyDB) -> None:
    """A mapping that is not a dict can be inserted, alone and among others, and is returned as a document."""
    assert db.insert(Point()) == 1
    assert db.insert_multiple([Point(), {"x": 3}]) == [2, 3]
    assert db.all() == [{"x": 1, "y": 2}, {"x": 1, "y": 2}, {"x": 3}]
    assert type(db.all()[0]) is Document


@pytest.mark.parametrize("bad", [[1, 2], {"bark"}, "text", None, 3])
def test_what_is_no_mapping_is_refused(db: TinyDB, bad: Any) -> None:
    """Inserting anything but a mapping raises ValueError, and the database goes on."""
    with pytest.raises(ValueError, match="Mapping"):
        db.insert(bad)
    with pytest.raises(ValueError, match="Mapping"):
        db.insert_multiple([bad])
    assert db.insert({"int": 3}) == 1


@pytest.mark.parametrize("kind", ON_DISK)
def test_what_json_cannot_say_is_refused(path: Path, kind: str) -> None:
    """Inserting or updating a value that is not JSON raises TypeError and changes nothing."""
    db = KINDS[kind](path)
    db.insert({"int": 1})
    for change in (
        lambda: db.insert({"int": {"bark"}}),
        lambda: db.insert_multiple([{"a": 1}, {"int": object()}]),
        lambda: db.update({"int": {"bark"}}),
    ):
        with pytest.raises(TypeError):
            change()
        assert db.all() == KINDS[kind](path).all() == [{"int": 1}]


def test_what_was_inserted_is_a_copy(db: TinyDB) -> None:
    """A document in the database does not change with the dict that it was made from."""
    document = {"x": 1}
    db.insert(document)
    document["x"] = 2
    assert db.all() == [{"x": 1}]


def test_nothing_to_insert(db: TinyDB) -> None:
    """Inserting no documents returns no ids."""
    assert db.insert_multiple([]) == [] and db.all() == []


@each_on_disk
def test_ids_go_on_after_reopening(path: Path, kind: str) -> None:
    """A reopened database counts on from its highest id."""
    for first in (1, 4):
        with KINDS[kind](path) as db:
            assert db.insert_multiple({"x": i} for i in range(3)) == [first, first + 1, first + 2]
            db.remove(where("x") == 0)
    with KINDS[kind](path) as db:
        assert [document.doc_id for document in db] == [2, 3, 5, 6]


def test_unicode(db: TinyDB) -> None:
    """Strings, keys and table names of any script are found again."""
    table = db.table("таблица\n\"'{}")
    table.insert({"ß": "日本 🎉"})
    assert table.contains(where("ß") == "日本 🎉") and db.tables() == {"таблица\n\"'{}"}


# Reading


def test_get_by_ids(abc: TinyDB) -> None:
    """Documents are returned by id in the order of the table; an id of any type that does not exist gives None."""
    assert chars(abc.get(doc_ids=[3, 1, 99])) == "ac" and abc.get(doc_ids=[]) == []
    for id in (99, -1, float("nan"), "text"):
        assert abc.get(doc_id=id) is None
        assert not abc.contains(doc_id=id)
    with pytest.raises(RuntimeError):
        abc.contains()


def test_get_prefers_the_id(abc: TinyDB) -> None:
    """With an id and a query the id decides; a query alone returns the first match."""
    assert abc.get(where("char") == "a", doc_id=3)["char"] == "c"
    assert abc.get(where("int") == 1).doc_id == 1


def test_search_gives_documents(abc: TinyDB) -> None:
    """Results have their ids and the order of the table; any callable is a query."""
    assert [d.doc_id for d in abc.search(where("char").one_of(["c", "b"]))] == [2, 3]
    assert chars(abc.search(lambda document: document["char"] > "a")) == "bc"
    assert abc.count(where("int") == 1) == 3 and abc.count(where("int") == 2) == 0


def test_a_table_is_iterable(abc: TinyDB) -> None:
    """A database and its tables can be iterated more than once, and counted."""
    assert chars(abc) == chars(abc.all()) == chars(abc.table("_default")) == "abc"
    assert [d.doc_id for d in abc] == [1, 2, 3] and len(abc) == len(abc.table("_default")) == 3


# Updating


@pytest.mark.parametrize(
    "operation, after",
    [
        (operations.set("int", 7), {"int": 7, "char": "a"}),
        (operations.add("int", 4), {"int": 5, "char": "a"}),
        (operations.add("char", "x"), {"int": 1, "char": "ax"}),
        (operations.subtract("int", 4), {"int": -3, "char": "a"}),
        (operations.increment("int"), {"int": 2, "char": "a"}),
        (operations.decrement("int"), {"int": 0, "char": "a"}),
        (operations.delete("int"), {"char": "a"}),
    ],
)
def test_operations(abc: TinyDB, operation: Any, after: dict[str, Any]) -> None:
    """Each of TinyDB's operations changes exactly the documents that match the query."""
    assert abc.update(operation, where("char") == "a") == [1]
    assert [dict(d) for d in abc] == [after, {"int": 1, "char": "b"}, {"int": 1, "char": "c"}]


def test_update_all_and_none(abc: TinyDB) -> None:
    """Without a condition all documents are updated; with one that matches nothing, none."""
    assert abc.update({"new": [1]}) == [1, 2, 3]
    assert abc.update({"int": 5}, where("char") == "z") == []
    assert abc.count(where("new").any([1])) == 3 and abc.count(where("int") == 1) == 3


@pytest.mark.parametrize("kind", ON_DISK)
def test_an_update_that_raises_changes_nothing(path: Path, kind: str) -> None:
    """If a function raises at the third document, no document is changed."""
    db = KINDS[kind](path)
    db.insert_multiple({"x": x} for x in (1, 2, 0))

    def invert(document: Any) -> None:
        document["x"] = 1 / document["x"]

    with pytest.raises(ZeroDivisionError):
        db.update(invert)
    assert [d["x"] for d in db] == [d["x"] for d in KINDS[kind](path)] == [1, 2, 0]


def test_update_multiple_in_order(abc: TinyDB) -> None:
    """Several updates are applied in their order; one document may match more than one."""
    done = abc.update_multiple(
        [
            ({"char": "b"}, where("char") == "a"),
            (operations.increment("int"), where("char") == "b"),
        ]
    )
    assert done == [1, 1, 2]
    assert [(d["int"], d["char"]) for d in abc] == [(2, "b"), (2, "b"), (1, "c")]


def test_upsert(abc: TinyDB) -> None:
    """All matching documents are updated; if there is none, one is inserted, with its own id if it has one."""
    assert abc.upsert({"seen": True}, where("char").one_of(["a", "b"])) == [1, 2]
    assert abc.upsert({"char": "d"}, where("char") == "d") == [4]
    assert abc.upsert(Document({"char": "z"}, doc_id=9)) == [9]
    assert abc.upsert(Document({"char": "y"}, doc_id=9)) == [9]
    assert abc.insert({"char": "e"}) == 10
    assert chars(abc) == "abcdye"


# Removing


def test_remove_more_than_one(abc: TinyDB) -> None:
    """All matching documents are removed, by query and by id, and the others keep their ids."""
    assert abc.remove(where("char") >= "b") == [2, 3]
    abc.insert_multiple({"char": c} for c in "de")
    assert abc.remove(doc_ids=(id for id in (5, 77))) == [5]
    assert abc.remove(where("none").exists()) == []
    assert [(d.doc_id, d["char"]) for d in abc] == [(1, "a"), (4, "d")]


def test_truncate_leaves_other_tables(abc: TinyDB) -> None:
    """A truncated table is empty, also for a cached query; the other tables are unchanged."""
    other = abc.table("other")
    other.insert({"int": 1})
    assert abc.count(where("int") == 1) == 3
    abc.truncate()
    assert abc.search(where("int") == 1) == [] and abc.all() == [] and len(other) == 1


# Tables


def test_a_table_is_made_once(db: TinyDB) -> None:
    """The same name returns the same table; an empty table is not listed."""
    table = db.table("one")
    assert db.table("one") is table and table.name == "one" and table.storage is db.storage
    assert db.tables() == set() and "one" in repr(table)
    table.insert({})
    assert db.tables() == {"one"}


def test_an_empty_table_may_be_kept(db: TinyDB) -> None:
    """A table with persist_empty exists at once."""
    assert len(db.table("kept", persist_empty=True)) == 0
    assert db.tables() == {"kept"}


def test_dropped_tables(abc: TinyDB) -> None:
    """A dropped table is gone, and dropping a missing table does nothing."""
    abc.table("other").insert({"x": 1})
    abc.drop_table("nothing")
    abc.drop_table("_default")
    assert abc.tables() == {"other"} and len(abc) == 0
    abc.drop_tables()
    abc.drop_tables()
    assert abc.tables() == set() and abc.table("other").all() == []
    abc.drop_table("other")


@each_on_disk
def test_the_default_table_has_another_name(path: Path, kind: str) -> None:
    """A default table with another name is used by all operations without a table."""
    with KINDS[kind](path) as db:
        db.default_table_name = "runs"
        db.insert({"x": 1})
        assert db.tables() == {"runs"} and len(db) == 1
    assert KINDS[kind](path).table("runs").all() == [{"x": 1}]


def test_what_a_database_says_of_itself(abc: TinyDB) -> None:
    """repr lists the tables with the counts of their documents."""
    said = repr(abc)
    assert "tables=['_default']" in said and "default_table_documents_count=3" in said


@pytest.mark.parametrize(
    "base, database",
    [(JournalTable, Journal), (Table, TinyDB)],
    ids=["journal", "stock table"],
)
def test_classes_of_ones_own(path: Path, base: Any, database: Any) -> None:
    """Custom table and document classes are used as in TinyDB."""
    kind = type("Own", (Document,), {})
    table = type("OwnTable", (base,), {"document_class": kind, "default_query_cache_capacity": 3})
    own = type("OwnDatabase", (database,), {"table_class": table})
    db = own(path, storage=JournalStorage)
    db.insert(kind({"x": 1}, doc_id=7))
    query = where("x") == 1
    found = [db.get(doc_id=7), db.get(query), *db.get(doc_ids=[7]), *db.search(query), *db.all()]
    assert [(type(d), d.doc_id, d["x"]) for d in found] == [(kind, 7, 1)] * 5


# Queries

USERS = [
    {"name": "ann", "age": 31, "tags": ["x", "y"], "pets": [{"kind": "cat"}, {"kind": "dog"}]},
    {"name": "Bob", "age": 7, "tags": ["y"], "pets": [{"kind": "cat"}], "at": {"city": {"zip": 1}}},
    {"name": "cy", "age": None, "tags": [], "pets": [], "at": {"city": {}}},
    {"name": 4, "tags": "x", "and": True},
]
U = Query()


@pytest.mark.parametrize(
    "query, ids",
    [
        (U.age == 31, [1]),
        (U.age == None, [3]),  # noqa: E711 - a query
        (U.age != 31, [2, 3]),
        (U.at.city.zip == 1, [2]),
        (U["at"]["city"].exists(), [2, 3]),
        (where("and") == True, [4]),  # noqa: E712 - a query
        (U.name.matches("[a-z]{2,3}$"), [1, 3]),
        (U.name.matches("bob", flags=re.IGNORECASE), [2]),
        (U.name.search("o"), [2]),
        (U.age.test(lambda age: age is not None and age > 7), [1]),
        (U.age.test(lambda age, low, high: age in range(low, high), 5, 10), [2]),
        (U.tags.any(["x", "z"]), [1, 4]),
        (U.tags.all(["x", "y"]), [1]),
        (U.tags.all([]), [1, 2, 3, 4]),
        (U.pets.any(U.kind == "dog"), [1]),
        (U.pets.all(U.kind == "cat"), [2, 3]),
        (U.name.one_of(["ann", 4]), [1, 4]),
        (U.fragment({"name": "ann", "age": 31}), [1]),
        (U.at.city.fragment({"zip": 1}), [2]),
        (U.noop(), [1, 2, 3, 4]),
        (U.tags.map(len) == 1, [2, 4]),
        ((U.name == "ann") | (U.name == "cy"), [1, 3]),
        ((U.tags.any(["y"])) & ~(U.name == "ann"), [2]),
        (~U.at.exists(), [1, 4]),
    ],
)
def test_queries(db: TinyDB, query: Any, ids: list[int]) -> None:
    """Each kind of query finds the same documents twice, and works for counting, updating and removing."""
    db.insert_multiple(USERS)
    for _ in range(2):
        assert [d.doc_id for d in db.search(query)] == ids
    assert db.count(query) == len(ids) and db.contains(query)
    assert db.update({"found": True}, query) == ids
    assert db.remove(query) == ids and not db.contains(query)


def test_a_query_without_a_field(abc: TinyDB) -> None:
    """An empty query raises an error."""
    with pytest.raises(RuntimeError, match="Empty query"):
        abc.search(Query())
    with pytest.raises(ValueError, match="no path"):
        _ = Query() == 1


# The query cache


class Counted:
    """A query that counts its calls, and equals another of the same name."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, document: Mapping[str, Any]) -> bool:
        self.seen += 1
        return bool(document.get("int") == 1)


def test_a_question_is_answered_from_the_cache(abc: TinyDB) -> None:
    """A query is evaluated again only after a write; callers may modify the returned list."""
    query = Counted()
    for _ in range(3):
        found = abc.search(query)
        assert (len(found), query.seen) == (3, 3)
        found.clear()
    for change in (
        lambda: abc.insert({"int": 1}),
        lambda: abc.insert_multiple([{"int": 2}]),
        lambda: abc.update({"int": 2}, doc_ids=[1]),
        lambda: abc.upsert({"int": 3}, where("char") == "c"),
        lambda: abc.remove(doc_ids=[2]),
        abc.truncate,
    ):
        change()
        before = query.seen
        assert [d["int"] for d in abc.search(query)] == [1 for d in abc if d["int"] == 1]
        assert query.seen - before == len(abc)
        abc.search(query)
        assert query.seen - before == len(abc)
    abc.clear_cache()


def test_the_cache_has_a_size(db: TinyDB) -> None:
    """The query cache holds at most as many queries as its size, none if that is 0."""
    for size in (0, 1, 2):
        table = db.table(f"of {size}", cache_size=size)
        table.insert({"int": 1})
        queries = [Counted() for _ in range(3)]
        for query in queries:
            table.search(query)
        for query in reversed(queries):
            table.search(query)
        assert [q.seen for q in queries] == [2] * (3 - size) + [1] * size


def test_some_queries_are_not_remembered(abc: TinyDB) -> None:
    """A query that is not cacheable is evaluated each time."""
    query = Counted()
    query.is_cacheable = lambda: False  # type: ignore[attr-defined]
    abc.search(query)
    abc.search(query)
    assert query.seen == 6
    assert abc.count(where("int").map(lambda n: n + 1) == 2) == 3
    assert abc.count(where("int").map(lambda n: n + 2) == 2) == 0


def _insert(path: Path, document: dict[str, Any]) -> None:
    Journal(path).insert(document)


def _in_another_process(path: Path, document: dict[str, Any]) -> None:
    child = multiprocessing.Process(target=_insert, args=(path, document))
    child.start()
    child.join()
    assert child.exitcode == 0


@pytest.mark.parametrize("kind", ON_DISK)
def test_another_process_writes(path: Path, kind: str) -> None:
    """Documents written by another process are read, counted and numbered on from; a Journal's cache notices them too."""
    db = KINDS[kind](path)
    size = (
        {} if kind == "journal" else {"cache_size": 0}
    )  # the stock table does not notice other writers
    table = db.table("_default", **size)
    query = Counted()
    for n in range(1, 4):
        _in_another_process(path, {"int": 1})
        assert len(table.search(query)) == len(table) == len(db.all()) == n
        assert db.get(doc_id=n) == {"int": 1}
    assert query.seen == 1 + 2 + 3
    assert len(table.search(query)) == 3
    assert query.seen == (6 if kind == "journal" else 9)
    assert db.insert({"int": 2}) == 4


# Storages


def test_closing(path: Path) -> None:
    """A database is closed by its context or explicitly, and the file then has everything."""
    for kind in ON_DISK:
        with KINDS[kind](path) as db:
            db.insert({"kind": kind})
            db.close()
        with pytest.raises(ValueError, match="closed"):
            db.all()
    assert [d["kind"] for d in Journal(path)] == ON_DISK


def test_the_storage_by_itself(path: Path) -> None:
    """The storage returns the tables that were written to it, and None if there are none."""
    storage = JournalStorage(path)
    assert storage.read() is None
    tables = {
        "one": {"1": {"none": [None, None], "float": 3.14159, "bool": [True, False]}},
        "two": {"5": {"dict": {"hp": 13}}, "7": {}},
    }
    storage.write(tables)
    for one in (storage, JournalStorage(path)):
        found = one.read()
        assert found is not None
        assert {name: dict(table.items()) for name, table in found.items()} == tables
        one.close()


def test_folders_are_made_when_asked_for(tmp_path: Path) -> None:
    """Opening a database in a missing folder raises an error, unless create_dirs is set."""
    path = tmp_path / "a" / "b" / "db.jsonl"
    for storage in (Journal, JournalStorage):
        with pytest.raises(FileNotFoundError):
            storage(path)
    with Journal(str(path), create_dirs=True) as db:
        assert db.insert({"x": 1}) == 1
    TinyDB(tmp_path / "c" / "db.jsonl", storage=JournalStorage, create_dirs=True).close()
    assert (tmp_path / "c" / "db.jsonl").exists()


@each_on_disk
def test_an_access_mode_for_reading(path: Path, kind: str) -> None:
    """With access mode "r" a journal is read, but neither created nor written."""
    database: Any = Journal if kind == "journal" else TinyDB
    with pytest.raises(FileNotFoundError):
        database(path, storage=JournalStorage, access_mode="r")
    assert os.listdir(path.parent) == []  # noqa: PTH208 - names
    writer = Journal(path)
    writer.insert({"x": 1})
    data = path.read_bytes()
    with database(path, storage=JournalStorage, access_mode="r") as db:
        assert db.all() == [{"x": 1}]
        for change in (
            lambda: db.insert({"x": 2}),
            lambda: db.update({"x": 2}),
            lambda: db.remove(doc_ids=[1]),
            db.drop_tables,
        ):
            with pytest.raises(OSError, match="read-only"):
                change()
        assert path.read_bytes() == data
        writer.insert({"x": 2})
        assert len(db) == 2
    with pytest.raises(ValueError, match="access_mode"):
        database(path, storage=JournalStorage, access_mode="w")


@each_on_disk
def test_ids_are_integers(path: Path, kind: str) -> None:
    """A document id that is not an integer is refused, and nothing is written."""
    db = KINDS[kind](path)
    with pytest.raises((TypeError, ValueError)):
        db.insert(Document({"x": 1}, doc_id="a"))  # type: ignore[arg-type]
    assert db.all() == [] and path.read_bytes() == b""


@pytest.mark.parametrize("database", [TinyDB, Journal])
def test_the_caching_middleware(path: Path, database: Any) -> None:
    """With TinyDB's cache everything reads back at once, and is in the file after flushing or closing."""
    with database(path, storage=CachingMiddleware(JournalStorage)) as db:
        assert db.all() == []
        db.insert_multiple({"x": i} for i in range(3))
        db.table("other").insert({"y": 1})
        db.update(operations.increment("x"), where("x") > 0)
        db.remove(doc_ids=[2])
        assert [d["x"] for d in db] == [0, 3] and db.tables() == {"_default", "other"}
        db.storage.flush()
        assert [d["x"] for d in Journal(path)] == [0, 3]
        db.drop_table("other")
        db.update({"x": 9}, doc_ids=[1])
    with database(path, storage=CachingMiddleware(JournalStorage)) as db:
        assert [d["x"] for d in db] == [9, 3] and db.tables() == {"_default"}


def test_writes_are_held_back_by_the_caching_middleware(path: Path) -> None:
    """TinyDB's cache passes on every thousandth write, or as often as configured."""
    middleware = CachingMiddleware(JournalStorage)
    middleware.WRITE_CACHE_SIZE = 3
    with TinyDB(path, storage=middleware) as db:
        for lines in (0, 0, 3, 3, 3, 6):
            db.insert({"x": 1})
            assert len(path.read_text().splitlines()) == lines


def test_decoding_waits_until_a_document_is_asked_for(path: Path, monkeypatch: Any) -> None:
    """Opening, counting and reading by id decode only the requested documents."""
    from recorder.store.journal import view as journal_view

    Journal(path).insert_multiple({"x": i} for i in range(50))
    decoded = []
    decode = journal_view.read_document
    monkeypatch.setattr(
        journal_view, "read_document", lambda line: decoded.append(line) or decode(line)
    )
    db = Journal(path)
    assert len(db) == 50 and db.tables() == {"_default"} and decoded == []
    assert db.contains(doc_id=7) and db.get(doc_id=9) == {"x": 8} and len(decoded) <= 2
    assert [d["x"] for d in db.get(doc_ids=[40, 2, 99])] == [1, 39] and len(decoded) <= 4
    db.update({"x": 0}, doc_ids=[3])
    db.remove(doc_ids=[4])
    db.insert({"x": 1})
    assert len(decoded) <= 5
