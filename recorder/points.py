"""The points of metric series as text: CSV, gzipped where it is large.

The columns are ``name,step,time_s,value``: a step is a number given or counted from 0 for each name,
`time_s` the seconds since the run began. NaN and the infinities are written ``nan``, ``inf``, ``-inf``, which
`float`, pandas, Polars and DuckDB all read; pandas, Polars and DuckDB read gzipped CSV as well.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

HEADER = "name,step,time_s,value\n"
_GZIP_MAGIC = b"\x1f\x8b"
# zlib's deflateInit2: 31 asks for gzip's header, without a time in it. Level 1 takes 0.3 us a point, and 13 bytes
# for one of random digits; level 6 takes four times as long for 12.
_GZIP, _LEVEL = 31, 1
_CHUNK_BYTES = 1 << 20

Number = int | float
# Name, step, seconds since the start, value.
Row = tuple[str, Number, float, Number]


class Point(NamedTuple):
    """One value of a series; `step` counts what the experiment counts, `time_s` is since its start."""

    step: Number
    time_s: float
    value: Number


_encode = msgspec.json.Encoder().encode


def write_rows(rows: Sequence[Row]) -> bytes:
    """The lines of the points."""
    if all(map(_is_plain, {row[0] for row in rows})):
        # JSON writes a number as CSV does, and in C: ["loss",0,0.5,1.0],["loss",1,0.6,2.0] becomes two lines.
        text = _encode(rows)
        if b",null]" not in text:  # a number that is none
            return text[3:-2].replace(b'],["', b"\n").replace(b'",', b",") + b"\n"
    lines = (f"{_quote(name)},{at!r},{time_s!r},{value!r}\n" for name, at, time_s, value in rows)
    return "".join(lines).encode()


@lru_cache(maxsize=10_000)
def _is_plain(name: str) -> bool:
    """Whether CSV and JSON say the name in the same letters."""
    return re.fullmatch(r"[\w ./:@-]+", name, re.ASCII) is not None


@lru_cache(maxsize=10_000)
def _quote(name: str) -> str:
    """The name as a CSV field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([name])
    return text.getvalue().removesuffix("\r\n")


def compress(path: Path, dest: Path) -> None:
    """Write the file gzipped to `dest`: the same bytes for the same content."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    with path.open("rb", buffering=0) as source, dest.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(packer.compress(chunk))
        file.write(packer.flush())


def read_points(data: bytes) -> dict[str, list[Point]]:
    """The points of each series in the CSV `data`, gzipped or not. ValueError where it cannot be unpacked."""
    if data.startswith(_GZIP_MAGIC):
        try:
            data = zlib.decompress(data, _GZIP)
        except zlib.error as error:
            raise ValueError(f"the metrics' points cannot be unpacked: {error}") from error
    return parse_series(data.decode(errors="replace"))


def parse_series(text: str) -> dict[str, list[Point]]:
    """The points of each series in CSV; a torn last line is left out."""
    found: dict[str, list[Point]] = {}
    for row in _rows(text):
        name, step, time_s, value = row
        point = Point(_number(step), float(time_s), _number(value))
        found.setdefault(name, []).append(point)
    return found


def _rows(text: str) -> Iterator[list[str]]:
    whole = text[: text.rfind("\n") + 1]
    reader = csv.reader(io.StringIO(whole))
    next(reader, None)
    for row in reader:
        if len(row) == 4:
            yield row


def _number(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)


def named_values(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Names and values, nested mappings with dots."""
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += named_values(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat


def as_number(value: Any) -> int | float | None:
    """`value` as a plain int or float, through `.item()` for scalars of NumPy and PyTorch."""
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
