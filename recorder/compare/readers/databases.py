"""SQLite databases, compared by schema and by the rows of each table; pages and history are ignored."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any
from urllib.parse import quote

from ...codec import Difference
from .pair import ByteSource, Pair, UnreadableError
from .tables import compare_rows

# Limit of virtual machine steps per database, each a few nanoseconds: a malicious schema can make a query endless.
_MOST_STEPS = 2_000_000_000
_STEPS_A_CHECK = 1_000_000
_UNORDERED_ROWS = 200_000
_LONGEST_VALUE_BYTES = 1 << 28


def compare_sqlite(pair: Pair) -> Iterator[Difference]:
    """Compare schemas, then tables; rows in stored order, and if they differ, in any order."""
    with closing(_open(pair.a)) as left, closing(_open(pair.b)) as right:
        ours, theirs = _schema(left), _schema(right)
        for name in dict.fromkeys([*ours, *theirs]):
            kinds = [schema.get(name, ("", "")) for schema in (ours, theirs)]
            if name not in theirs:
                yield Difference(path=pair.place(name), what="removed", left=kinds[0][0])
            elif name not in ours:
                yield Difference(path=pair.place(name), what="added", right=kinds[1][0])
            elif kinds[0] != kinds[1]:
                shown = [" ".join(sql.split())[:80] for _, sql in kinds]
                yield Difference(path=pair.place(name), what="type", left=shown[0], right=shown[1])
            elif kinds[0][0] == "table" and not kinds[0][1].upper().startswith("CREATE VIRTUAL"):
                yield from _compare_table(pair, name, left, right)


def _open(side: ByteSource) -> sqlite3.Connection:
    """Open a database read-only, without its write-ahead log and without trusting functions in its schema."""
    if side.path is not None:
        connection = sqlite3.connect(f"file:{quote(str(side.path))}?mode=ro&immutable=1", uri=True)
    elif sys.version_info >= (3, 11):
        connection = sqlite3.connect(":memory:")
        connection.deserialize(side.bytes())
    else:
        raise UnreadableError("reading SQLite inside another file needs Python 3.11")
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    steps = iter(range(_MOST_STEPS // _STEPS_A_CHECK))
    connection.set_progress_handler(lambda: next(steps, None) is None, _STEPS_A_CHECK)
    return connection


def _schema(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    rows = connection.execute("SELECT name, type, sql FROM sqlite_master ORDER BY name")
    return {name: (kind, sql or "") for name, kind, sql in rows if not _is_own(name)}


def _is_own(name: str) -> bool:
    """Return True for SQLite's internal tables: statistics and counters."""
    return name.startswith("sqlite_")


def _compare_table(
    pair: Pair, name: str, left: sqlite3.Connection, right: sqlite3.Connection
) -> list[Difference]:
    header, rows = _rows(left, name)
    _, others = _rows(right, name)
    found = compare_rows(pair, header, rows, others, inside=f"table {name}")
    return [] if found and _same_in_any_order(name, left, right) else found


def _rows(connection: sqlite3.Connection, name: str) -> tuple[list[str], Iterator[Any]]:
    quoted = name.replace('"', '""')
    cursor = connection.execute(f'SELECT * FROM "{quoted}"')
    return [column[0] for column in cursor.description], cursor


def _same_in_any_order(name: str, left: sqlite3.Connection, right: sqlite3.Connection) -> bool:
    """Return True if both tables have the same rows in any order."""
    tables = [
        list(islice(_rows(connection, name)[1], _UNORDERED_ROWS + 1))
        for connection in (left, right)
    ]
    if len(tables[0]) != len(tables[1]) or len(tables[0]) > _UNORDERED_ROWS:
        return False
    counts = [
        Counter(tuple((type(cell), cell) for cell in row) for row in table) for table in tables
    ]
    return counts[0] == counts[1]
