"""Tests of the lines of a journal: writing, reading, verification."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import DOCUMENTS

from recorder.store.journal.lines import Line, make_line, read_document, read_lines


def read(data: bytes) -> list[Line]:
    """Return the lines in the data."""
    return list(read_lines(data, start=0))


@given(st.text(alphabet=st.characters(), max_size=8), st.integers(-(2**70), 2**70), DOCUMENTS)
def test_a_line_comes_back(table: str, id: int, document: dict[str, Any]) -> None:
    """A line is a JSON document with a valid checksum, and reads back as its table, id and document."""
    line = make_line(table, id, document)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    said = json.loads(line)
    assert (said["table"], said["id"], said["doc"]) == (table, id, document)
    assert int(said["crc"], 16) == zlib.crc32(line[line.index(b",") + 1 : -1])
    assert read(line) == [Line(0, len(line), table, id)]
    assert read_document(line) == document


@given(DOCUMENTS)
def test_a_document_like_a_line_is_no_line(document: dict[str, Any]) -> None:
    """A document that looks like a line, or ends in null, is not mistaken for one."""
    inner = json.loads(make_line("runs", 2, document))
    for doc in (inner, {"x": inner}, {"doc": None}, {"text": '{"crc":"00000000","table":"'}):
        line = make_line("runs", 1, doc)
        assert read(line) == [Line(0, len(line), "runs", 1)]
        assert read_document(line) == doc


def test_removals_and_tables_are_lines_too() -> None:
    """Removed documents, empty tables and dropped tables are distinguished."""
    lines = [make_line("a", 1, None), make_line("a", None, {}), make_line("a", None, None)]
    assert [(line.id, line.gone) for line in read(b"".join(lines))] == [
        (1, True),
        (None, False),
        (None, True),
    ]


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"a": {"b": [1, float("nan")]}}, "a.b.1 is nan"),
        ({"loss": float("inf")}, "loss is inf"),
        ({"a": 1, "b": (float("-inf"),)}, "b.0 is -inf"),
    ],
)
def test_a_number_that_json_has_not_is_named(document: dict[str, Any], key: str) -> None:
    """NaN and infinities are refused with their keys in the document."""
    with pytest.raises(ValueError, match=key):
        make_line("runs", 1, document)


def test_what_is_no_json_is_refused() -> None:
    """A value that JSON cannot represent, or that contains itself, is refused."""
    with pytest.raises(TypeError):
        make_line("runs", 1, {"x": object()})
    loop: dict[str, Any] = {}
    loop["x"] = loop
    with pytest.raises(ValueError, match="Circular"):
        make_line("runs", 1, loop)


def test_every_flipped_bit_is_found() -> None:
    """If any bit of three lines is flipped, the other documents are readable and the position is reported."""
    lines = [make_line("runs", n, {"x": n, "text": "é"}) for n in (1, 2, 3)]
    data, whole = b"".join(lines), {1, 2, 3}
    starts = [0, len(lines[0]), len(lines[0] + lines[1])]
    for at in range(len(data) - 1):
        for bit in range(8):
            bad = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            found = read(bad)
            hit = max(n for n, start in enumerate(starts, 1) if start <= at)
            good = {line.id for line in found if not line.damage}
            assert good == (whole if data[at] == 10 else whole - {hit}), (at, bit)
            damaged = [line for line in found if line.damage]
            assert damaged and any(d.offset <= at < d.offset + d.size_bytes for d in damaged)
            assert sum(
                line.size_bytes for line in found if not line.damage or data[at] != 10
            ) == len(bad)


def test_a_damaged_document_is_not_given_out() -> None:
    """Reading a line that was changed after it was indexed raises an error."""
    line = make_line("runs", 1, {"x": 1})
    with pytest.raises(ValueError, match="checksum"):
        read_document(line.replace(b'"x":1', b'"x":2'))
