"""Parquet and Feather files, read with pyarrow and compared column by column; compression and pages are ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import msgspec

from ...codec import Difference
from ...codec.arrays import compare_arrays
from ...codec.differences import PLACE
from .pair import ByteSource, Pair, UnreadableError

_SHOWN = 60
Read = Callable[[ByteSource, Pair], Any]


def compare_parquet(pair: Pair) -> Iterator[Difference]:
    """Compare two parquet files."""
    return _compare_tables(pair, _read_parquet)


def compare_feather(pair: Pair) -> Iterator[Difference]:
    """Compare two Feather (Arrow IPC) files."""
    return _compare_tables(pair, _read_feather)


def _read_parquet(side: ByteSource, pair: Pair) -> Any:
    import pyarrow
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(side.data))
    meta = file.metadata
    sizes = (meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    pair.budget.take_bytes(max(sum(sizes), meta.num_rows * meta.num_columns))
    return file.read()


def _read_feather(side: ByteSource, pair: Pair) -> Any:
    import pyarrow
    import pyarrow.feather

    return pyarrow.feather.read_table(pyarrow.BufferReader(side.data))


def _compare_tables(pair: Pair, read: Read) -> Iterator[Difference]:
    if find_spec("pyarrow") is None:
        raise UnreadableError("pyarrow is not installed")
    tables = [read(side, pair) for side in pair.sides]
    for table in tables:
        table.validate(full=True)  # offsets in an untrusted file can point outside its buffers
    left, right = tables
    ours, theirs = left.column_names, right.column_names
    if left.num_rows != right.num_rows:
        rows = [f"{table.num_rows} rows" for table in tables]
        yield Difference(path=pair.path, what="shape", left=rows[0], right=rows[1])
    for name in dict.fromkeys([*ours, *theirs]):
        place = pair.place(f"column {name}")
        if name not in theirs:
            yield Difference(path=place, what="removed", left=str(left[name].type))
        elif name not in ours:
            yield Difference(path=place, what="added", right=str(right[name].type))
        elif left.num_rows == right.num_rows:
            yield from _compare_columns(pair, place, name, left[name], right[name])
    if sorted(ours) == sorted(theirs) and ours != theirs:
        shown = [", ".join(names)[:_SHOWN] for names in (ours, theirs)]
        yield Difference(path=pair.place("columns"), left=shown[0], right=shown[1])


def _compare_columns(pair: Pair, place: str, name: str, a: Any, b: Any) -> list[Difference]:
    if a.type == b.type and a.equals(b):
        return []
    if a.null_count == b.null_count == 0 and _is_plain(a) and _is_plain(b):
        left, right = a.to_numpy(), b.to_numpy()
        found = compare_arrays(place, left, right, pair.numbers.at(name))
        bounds = [float(bound) for side in (left, right) for bound in (side.min(), side.max())]
        kind = pair.numbers.measure(name, *bounds)
        return [msgspec.structs.replace(d, equal=True, note=kind) for d in found] if kind else found
    if a.type != b.type:
        return [Difference(path=place, what="dtype", left=str(a.type), right=str(b.type))]
    return _compare_items(pair, place, name, a.to_pylist(), b.to_pylist())


def _is_plain(column: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(column.type) or kinds.is_floating(column.type))


def _compare_items(
    pair: Pair, place: str, name: str, a: list[Any], b: list[Any]
) -> list[Difference]:
    """Compare values that NumPy cannot hold: strings, lists, times, nulls."""
    numbers = pair.numbers.at(name)
    unlike = [(i, x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)) if not _same(x, y)]
    if not unlike:
        return []
    first = unlike[0]
    places_only = all(
        isinstance(x, str) and isinstance(y, str) and numbers.same_text(x, y) for _, x, y in unlike
    )
    errors = [
        numbers.errors(x, y) if isinstance(x, float) and isinstance(y, float) else None
        for _, x, y in unlike
    ]
    known = [e for e in errors if e is not None]
    return [
        Difference(
            path=place,
            equal=places_only,
            note=PLACE if places_only else "",
            left=str(first[1])[:_SHOWN],
            right=str(first[2])[:_SHOWN],
            abs_error=max((e[0] for e in known), default=None),
            rel_error=max((e[1] for e in known), default=None),
            close=len(known) == len(errors) and all(e[2] for e in known),
            index=(first[0],),
            count=len(unlike),
            size=len(a),
        )
    ]


def _same(x: Any, y: Any) -> bool:
    return bool(x == y) or (x != x and y != y)
