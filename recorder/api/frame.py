"""Runs as a pandas DataFrame: one row per run, with a dtype that fits each column."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import codec
from ..formats.points import SAMPLED
from ..records import JSON, Record
from .loading import need

if TYPE_CHECKING:
    import pandas

_INT64 = range(-(1 << 63), 1 << 63)


def make_frame(records: Sequence[Record]) -> pandas.DataFrame:
    """Return the runs as a frame indexed by run number.

    Columns are the fields (experiment, status, started, duration_s in seconds, seed, tags, note, verdict, id), the
    config as ``config.KEY`` by dotted keys, and the last value of each metric as ``metrics.NAME``. Integers are int64,
    or Int64 if a run has no value; booleans bool or boolean; other numbers float64; times datetime64 in UTC. Arrays
    and values that would run code are strings.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    pandas = need("pandas", for_what="a frame of runs")
    numbers = [record.number for record in records]
    columns: dict[str, list[Any]] = {
        name: [get(r) for r in records] for name, get in _FIELDS.items()
    }
    configs = [{f"config.{k}": v for k, v in codec.flatten(r.config).items()} for r in records]
    metrics = [
        {f"metrics.{k}": m.last for k, m in r.metrics.items() if not k.startswith(SAMPLED)}
        for r in records
    ]
    for rows in (configs, metrics):
        for name in dict.fromkeys(name for row in rows for name in row):
            columns[name] = [_cell(row.get(name)) for row in rows]
    index = pandas.Index(numbers, name="run", dtype="int64")
    return pandas.DataFrame(
        {name: _column(pandas, values, index) for name, values in columns.items()}, index=index
    )


_FIELDS: dict[str, Any] = {
    "experiment": lambda record: record.experiment,
    "status": lambda record: record.status,
    "started": lambda record: record.started,
    "duration_s": lambda record: record.duration_s,
    "seed": lambda record: record.seed,
    "tags": lambda record: record.tags,
    "note": lambda record: record.note,
    "verdict": lambda record: None if record.verdict is None else record.verdict.verdict,
    "id": lambda record: record.id,
}


def _cell(form: JSON) -> Any:
    """Decode a form into a cell: data as values, NumPy scalars as Python scalars, everything else as strings."""
    value = codec.decode_data(form, None, instead=codec.describe)
    return value.item() if hasattr(value, "item") else value


def _column(pandas: Any, values: list[Any], index: Any) -> Any:
    kinds = {type(value) for value in values if value is not None}
    return pandas.Series(values, index, dtype=_dtype(kinds, values))


def _dtype(kinds: set[type], values: list[Any]) -> str | None:
    """Return the dtype of a column with values of these types; None to let pandas choose."""
    lacks = None in values
    if kinds == {bool}:
        return "boolean" if lacks else "bool"
    if kinds == {int} and all(value is None or value in _INT64 for value in values):
        return "Int64" if lacks else "int64"
    if kinds <= {int, float} and float in kinds:
        return "float64"
    if kinds == {datetime} and all(value is None or value.tzinfo for value in values):
        return "datetime64[us, UTC]"
    return None if kinds == {str} else "object"
