"""The points of metric series as CSV, gzipped if large.

The columns are ``name,step,time_s,value``. `step` is the number that the experiment gave, or counts from 0 for each
name; `time_s` is the seconds since the run began. NaN and the infinities are written ``nan``, ``inf``, ``-inf``, which
`float`, pandas, Polars and DuckDB read; pandas, Polars and DuckDB also read gzipped CSV.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from . import compression

HEADER = "name,step,time_s,value\n"
# Prefix of the series of sampled processor and memory use. They differ every time, so neither a replay nor a diff
# compares them.
SAMPLED = "usage."

Number = int | float
# Name, step, seconds since the start, value.
Row = tuple[str, Number, float, Number]


class Point(NamedTuple):
    """One value of a series, at a step, `time_s` seconds after the run began."""

    step: Number
    time_s: float
    value: Number


_encode = msgspec.json.Encoder().encode


def write_rows(rows: Sequence[Row]) -> bytes:
    """Return the points as CSV lines."""
    if all(map(_is_plain, {row[0] for row in rows})):
        # JSON writes a number as CSV does, and in C: ["loss",0,0.5,1.0],["loss",1,0.6,2.0] becomes two lines.
        text = _encode(rows)
        if b"null" not in text:  # msgspec writes NaN and the infinities as null
            return text[3:-2].replace(b'],["', b"\n").replace(b'",', b",") + b"\n"
    lines = (f"{_quote(name)},{at!r},{time_s!r},{value!r}\n" for name, at, time_s, value in rows)
    return "".join(lines).encode()


@lru_cache(maxsize=10_000)
def _is_plain(name: str) -> bool:
    """Return whether CSV and JSON write the name with the same characters."""
    return re.fullmatch(r"[\w ./:@-]+", name, re.ASCII) is not None


@lru_cache(maxsize=10_000)
def _quote(name: str) -> str:
    """Return the name as a CSV field."""
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([name])
    return text.getvalue().removesuffix("\r\n")


def unpack(data: bytes) -> str:
    """Return the CSV in `data`, gzipped or not. Raises ValueError if it is damaged or larger than 4 GiB."""
    return compression.unpack(data, what="the metric series").decode(errors="replace")


def read_points(data: bytes) -> dict[str, list[Point]]:
    """Return the points of each series in the CSV `data`, gzipped or not. Raises ValueError if it is damaged."""
    return parse_series(unpack(data))


def parse_series(text: str) -> dict[str, list[Point]]:
    """Return the points of each series in CSV; an incomplete last line is ignored."""
    series: dict[str, list[Point]] = {}
    for name, step, time_s, value in _rows(text):
        point = Point(read_number(step), float(time_s), read_number(value))
        series.setdefault(name, []).append(point)
    return series


def _rows(text: str) -> Iterator[list[str]]:
    import csv

    whole = text[: text.rfind("\n") + 1]
    reader = csv.reader(io.StringIO(whole))
    next(reader, None)
    for row in reader:
        if len(row) == 4:
            yield row


def read_number(text: str) -> Number:
    """Parse a step or a value. Raises ValueError if it is not a number."""
    return int(text) if text.lstrip("-").isdecimal() else float(text)


class Columns(NamedTuple):
    """The steps and values of one series as they are written in the CSV, unparsed; two lists of equal length."""

    steps: list[str]
    values: list[str]


def split_series(text: str) -> dict[str, Columns]:
    """Split CSV into the unparsed columns of each series, without times; several times as fast as `parse_series`."""
    body = text[text.find("\n") + 1 : text.rfind("\n") + 1]
    if '"' in body or body.count(",") != 3 * body.count("\n"):
        rows = [(name, step, value) for name, step, _, value in _rows(text)]
        return _by_name(*zip(*rows, strict=True)) if rows else {}
    fields = body.replace("\n", ",").split(",")
    return _by_name(fields[0:-1:4], fields[1::4], fields[3::4])


def _by_name(
    names: Sequence[str], steps: Sequence[str], values: Sequence[str]
) -> dict[str, Columns]:
    if not names or names.count(names[0]) == len(names):
        return {name: Columns(list(steps), list(values)) for name in names[:1]}
    series: dict[str, Columns] = {}
    for name, step, value in zip(names, steps, values, strict=True):
        columns = series.get(name)
        if columns is None:
            columns = series[name] = Columns([], [])
        columns.steps.append(step)
        columns.values.append(value)
    return series


def named_values(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return names and values; the names of nested mappings are joined by dots."""
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += named_values(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat


def as_number(value: Any) -> int | float | None:
    """Return `value` as an int or float (`.item()` of scalars of NumPy and PyTorch), None if it is not a number."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    item: Any = getattr(value, "item", None)
    if item is None or getattr(value, "size", 1) == 0:
        return None
    try:
        plain = item()
    except (TypeError, ValueError, RuntimeError):  # more than one element
        return None
    return as_number(plain) if isinstance(plain, bool | int | float) else None
