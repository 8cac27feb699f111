"""safetensors files, a JSON header and raw buffers, read without the library.

Source: https://huggingface.co/docs/safetensors, section "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...codec import Difference
from ...codec.arrays import compare_arrays
from ...codec.torch import widening
from .arrays import need_numpy
from .pair import ByteSource, Pair, UnreadableError
from .values import compare_values

# The library refuses longer headers, too.
_LONGEST_HEADER = 100_000_000
# Dtypes of the format: NumPy's dtype of the stored bits, and PyTorch's name if NumPy lacks the dtype.
_DTYPES = {
    "F64": ("<f8", ""),
    "F32": ("<f4", ""),
    "F16": ("<f2", ""),
    "BF16": ("<u2", "bfloat16"),
    "F8_E4M3": ("u1", "float8_e4m3fn"),
    "F8_E5M2": ("u1", "float8_e5m2"),
    "C64": ("<c8", ""),
    "I64": ("<i8", ""),
    "I32": ("<i4", ""),
    "I16": ("<i2", ""),
    "I8": ("i1", ""),
    "U64": ("<u8", ""),
    "U32": ("<u4", ""),
    "U16": ("<u2", ""),
    "U8": ("u1", ""),
    "BOOL": ("?", ""),
}


class Tensor(NamedTuple):
    """An array of stored bits and its dtype; `widen` is the name of a dtype that NumPy lacks, or ""."""

    array: Any
    dtype: str
    widen: str = ""


def compare_safetensors(pair: Pair) -> Iterator[Difference]:
    """Compare two files tensor by tensor, and their metadata."""
    need_numpy()
    headers = [_read_header(side) for side in pair.sides]
    (ours, left_at), (theirs, right_at) = headers
    notes = [header.pop("__metadata__", {}) for header in (ours, theirs)]
    yield from compare_values(pair, notes[0], notes[1], "__metadata__")
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in theirs:
            yield Difference(path=pair.place(name), what="removed", left=_describe(ours[name]))
        elif name not in ours:
            yield Difference(path=pair.place(name), what="added", right=_describe(theirs[name]))
        else:
            tensors = (
                _tensor(pair.a, ours[name], left_at),
                _tensor(pair.b, theirs[name], right_at),
            )
            yield from compare_tensors(pair, name, *tensors)


def compare_tensors(pair: Pair, name: str, a: Tensor, b: Tensor) -> list[Difference]:
    """Compare two tensors with the same name."""
    place = pair.place(name)
    if a.dtype != b.dtype and (a.widen or b.widen):
        if a.array.shape == b.array.shape:
            return _compare_widened(pair, name, a, b)
        return [Difference(path=place, what="dtype", left=a.dtype, right=b.dtype)]
    return compare_arrays(
        place, a.array, b.array, pair.numbers.at(name), widen=widening(a.widen) if a.widen else None
    )


def _compare_widened(pair: Pair, name: str, a: Tensor, b: Tensor) -> list[Difference]:
    """Compare tensors of different dtypes that NumPy lacks, as float32."""
    left, right = ((widening(t.widen) or (lambda bits: bits))(t.array) for t in (a, b))
    found = compare_arrays(pair.place(name), left, right, pair.numbers.at(name))
    if found and found[0].what == "changed":
        return found
    place = pair.place(name)
    return [Difference(path=place, what="dtype", left=a.dtype, right=b.dtype, equal=True)]


def _read_header(side: ByteSource) -> tuple[dict[str, Any], int]:
    """Return the header and the offset of the buffers."""
    size = int.from_bytes(side.data[:8], "little")
    if len(side) < 8 or size > min(_LONGEST_HEADER, len(side) - 8):
        raise UnreadableError("the file has no safetensors header")
    header = json.loads(bytes(side.data[8 : 8 + size]))
    if not isinstance(header, dict):
        raise UnreadableError("the header is not a JSON object")
    return header, 8 + size


def _describe(entry: dict[str, Any]) -> str:
    return f"{entry.get('dtype')} {entry.get('shape')}"


def _tensor(side: ByteSource, entry: dict[str, Any], start: int) -> Tensor:
    dtype, widen = _DTYPES[entry["dtype"]]
    first, last = entry["data_offsets"]
    if not 0 <= first <= last <= len(side) - start:
        raise UnreadableError("a tensor is outside the file")
    array = view(side.data[start + first : start + last], dtype, entry["shape"])
    return Tensor(array, entry["dtype"], widen)


def view(data: memoryview, dtype: str, shape: list[int]) -> Any:
    """Return the bytes as an array of a shape, without a copy."""
    import numpy

    if any(n < 0 for n in shape) or math.prod(shape) * numpy.dtype(dtype).itemsize != len(data):
        raise UnreadableError("the shape of a tensor does not match its size")
    if not len(data):
        return numpy.zeros(shape, dtype)
    return numpy.frombuffer(data, dtype=dtype).reshape(shape)
