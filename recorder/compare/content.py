"""What two files hold, by their format: the same content in other bytes is told from other content.

==========================  ==================================================================
``.json`` ``.jsonl``        values; the order of keys does not matter
``.csv`` ``.tsv``           cells, numbers as numbers, located by row and column
``.npy`` ``.npz``           arrays, never pickles
``.parquet``                columns, where pandas and pyarrow are installed
``.pt`` ``.pth`` ``.zip``   the members by name, whatever their times; PyTorch's own top folder, which
                            bears the file's name, is left out; nothing is unpickled
``.gz``                     what was compressed, whatever its time and name
text                        lines
anything else               bytes
==========================  ==================================================================
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import PurePosixPath

from .. import codec
from ..codec import Comparison, Difference, Numbers, conclude
from ..codec.numpy import compare_arrays, read_array
from ..codec.pandas import compare_frames
from ..errors import DecodeError

# Nested archives are looked into so far; content that unpacks to more than this is compared as bytes.
_DEEPEST = 3
_MAX_UNPACKED_BYTES = 2 << 30

Compare = Callable[[str, bytes, bytes, Numbers, int], list[Difference]]


def compare_files(
    name: str, a: bytes, b: bytes, *, rtol: float = 0.0, atol: float = 0.0
) -> Comparison:
    """The verdict on two files of that name: identical to the byte, equal or close in content, or different."""
    if a == b:
        return Comparison(verdict="identical")
    return conclude(_compare(name, "", a, b, Numbers(rtol=rtol, atol=atol), 0))


def _compare(
    name: str, path: str, a: bytes, b: bytes, numbers: Numbers, depth: int
) -> list[Difference]:
    """The differences of two files; `path` is where they stand in what is compared."""
    if a == b:
        return []
    suffix = PurePosixPath(name.lower()).suffix
    compare = _FORMATS.get(suffix)
    if compare is None and a[:4] == b[:4] == b"PK\x03\x04":
        compare = _compare_zips
    try:
        if compare is not None and depth < _DEEPEST:
            return (
                compare(name, path, a, b, numbers, depth)
                if compare in _NESTING
                else compare(path, a, b, numbers)
            )
    except (
        ValueError,
        DecodeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        csv.Error,
        KeyError,
    ):
        pass  # not of the format that its name says: text or bytes
    return _compare_text(path, a, b)


def _compare_json(path: str, a: bytes, b: bytes, numbers: Numbers) -> list[Difference]:
    return _compare_values(path, json.loads(a), json.loads(b), numbers)


def _compare_values(path: str, a: object, b: object, numbers: Numbers) -> list[Difference]:
    left, right = codec.encode(a, inline_limit=1 << 62), codec.encode(b, inline_limit=1 << 62)
    payloads = {**left.objects, **right.objects}
    found = codec.compare(
        left.form, right.form, load=payloads.__getitem__, rtol=numbers.rtol, atol=numbers.atol
    ).differences
    return [_below(path, difference) for difference in found]


def _below(path: str, difference: Difference) -> Difference:
    """The difference as one of what stands at `path`."""
    import msgspec

    if not path:
        return difference
    joined = f"{path}: {difference.path}" if difference.path else path
    return msgspec.structs.replace(difference, path=joined)


def _compare_json_lines(path: str, a: bytes, b: bytes, numbers: Numbers) -> list[Difference]:
    left = [json.loads(line) for line in a.splitlines() if line.strip()]
    right = [json.loads(line) for line in b.splitlines() if line.strip()]
    return _compare_values(path, left, right, numbers)


def _compare_tables(
    path: str, a: bytes, b: bytes, numbers: Numbers, delimiter: str
) -> list[Difference]:
    rows = [
        list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
        for data in (a, b)
    ]
    left, right = rows
    found: list[Difference] = []
    header = left[0] if left and left[0] == (right[0] if right else None) else []
    for i, (row, other) in enumerate(zip(left, right, strict=False)):
        for j in range(max(len(row), len(other))):
            cells = [r[j] if j < len(r) else "" for r in (row, other)]
            if cells[0] != cells[1]:
                place = f"row {i}, column {header[j] if j < len(header) else j}"
                found += _compare_cells(
                    f"{path}: {place}" if path else place, cells[0], cells[1], numbers
                )
    if len(left) != len(right):
        said = [f"{len(table)} rows" for table in rows]
        found.append(Difference(path=path, what="shape", left=said[0], right=said[1]))
    return found


def _compare_cells(path: str, a: str, b: str, numbers: Numbers) -> list[Difference]:
    try:
        abs_error, rel_error, close = numbers.errors(float(a), float(b))
    except ValueError:
        return [Difference(path=path, left=a[:60], right=b[:60])]
    if not abs_error:
        return []
    return [
        Difference(
            path=path, left=a, right=b, abs_error=abs_error, rel_error=rel_error, close=close
        )
    ]


def _compare_csv(path: str, a: bytes, b: bytes, numbers: Numbers) -> list[Difference]:
    return _compare_tables(path, a, b, numbers, ",")


def _compare_tsv(path: str, a: bytes, b: bytes, numbers: Numbers) -> list[Difference]:
    return _compare_tables(path, a, b, numbers, "\t")


def _compare_npy(path: str, a: bytes, b: bytes, numbers: Numbers) -> list[Difference]:
    if find_spec("numpy") is None:
        raise ValueError("NumPy is not installed")
    return compare_arrays(path, read_array(a), read_array(b), numbers)


def _compare_parquet(path: str, a: bytes, b: bytes, numbers: Numbers) -> list[Difference]:
    if find_spec("pyarrow") is None or find_spec("pandas") is None:
        raise ValueError("pandas or pyarrow is not installed")
    return compare_frames(path, a, b, numbers)


def _compare_gzips(
    name: str, path: str, a: bytes, b: bytes, numbers: Numbers, depth: int
) -> list[Difference]:
    inner = name[: -len(".gz")] if name.lower().endswith(".gz") else name
    return _compare(inner, path, _gunzip(a), _gunzip(b), numbers, depth + 1)


def _gunzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        unpacked = file.read(_MAX_UNPACKED_BYTES + 1)
    if len(unpacked) > _MAX_UNPACKED_BYTES:
        raise ValueError("it unpacks to too much")
    return unpacked


def _compare_zips(
    name: str, path: str, a: bytes, b: bytes, numbers: Numbers, depth: int
) -> list[Difference]:
    found: list[Difference] = []
    with zipfile.ZipFile(io.BytesIO(a)) as left, zipfile.ZipFile(io.BytesIO(b)) as right:
        ours, theirs = _members(left), _members(right)
        for member in sorted({*ours, *theirs}):
            place = f"{path}/{member}" if path else member
            if member not in theirs:
                found.append(
                    Difference(path=place, what="removed", left=f"{ours[member].file_size} bytes")
                )
            elif member not in ours:
                found.append(
                    Difference(path=place, what="added", right=f"{theirs[member].file_size} bytes")
                )
            else:
                data = left.read(ours[member]), right.read(theirs[member])
                found += _compare(member, place, *data, numbers, depth + 1)
    return found


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by name, without the one top folder that torch.save names after its file."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if sum(info.file_size for info in infos) > _MAX_UNPACKED_BYTES:
        raise ValueError("it unpacks to too much")
    tops = {info.filename.partition("/")[0] for info in infos}
    is_torch = len(tops) == 1 and any(info.filename.endswith("/data.pkl") for info in infos)
    return {info.filename.partition("/")[2] if is_torch else info.filename: info for info in infos}


def _compare_text(path: str, a: bytes, b: bytes) -> list[Difference]:
    """The first line that differs, or for what is no text the first byte."""
    try:
        left, right = a.decode(), b.decode()
    except UnicodeDecodeError:
        return [_first_byte(path, a, b)]
    if "\0" in left or "\0" in right:
        return [_first_byte(path, a, b)]
    lines, others = left.splitlines(), right.splitlines()
    at = next(
        (i for i, (x, y) in enumerate(zip(lines, others, strict=False)) if x != y),
        min(len(lines), len(others)),
    )
    place = f"{path}: line {at + 1}" if path else f"line {at + 1}"
    shown = [text[at][:80] if at < len(text) else "(its end)" for text in (lines, others)]
    return [Difference(path=place, left=shown[0], right=shown[1])]


def _first_byte(path: str, a: bytes, b: bytes) -> Difference:
    at = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    place = f"{path}: byte {at}" if path else f"byte {at}"
    shown = [f"{data[at : at + 8].hex(' ') or '(its end)'} of {len(data)} bytes" for data in (a, b)]
    return Difference(path=place, left=shown[0], right=shown[1], index=(at,))


_NESTING = (_compare_gzips, _compare_zips)
_FORMATS: dict[str, Callable[..., list[Difference]]] = {
    ".json": _compare_json,
    ".jsonl": _compare_json_lines,
    ".csv": _compare_csv,
    ".tsv": _compare_tsv,
    ".npy": _compare_npy,
    ".parquet": _compare_parquet,
    ".gz": _compare_gzips,
    **dict.fromkeys((".zip", ".npz", ".pt", ".pth", ".xlsx", ".docx", ".keras"), _compare_zips),
}
