"""NumPy's arrays and scalars: an array is a .npy object (numpy.lib.format, no pickle), a scalar its exact text."""

from __future__ import annotations

import io
import sys
from typing import Any

from ..errors import DecodeError
from ..records import JSON
from .differences import Difference, Numbers


def loaded() -> Any:
    """The numpy module where the program has imported it, else None."""
    return sys.modules.get("numpy")


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """The form of an array or scalar; None for what is neither, and for arrays of objects."""
    numpy = loaded()
    if numpy is None or not hasattr(numpy, "generic"):
        return None
    if isinstance(value, numpy.generic):
        return _encode_scalar(numpy, value)
    if type(value) is numpy.ndarray and not value.dtype.hasobject:
        said = {
            "object": put_array(value, objects),
            "dtype": dtype_name(value),
            "shape": list(value.shape),
        }
        return {"$array": said}
    if isinstance(value, numpy.dtype) and not value.hasobject and value.names is None:
        return {"$dtype": value.str}
    return None


def _encode_scalar(numpy: Any, value: Any) -> JSON | None:
    dtype = value.dtype
    if dtype.hasobject or dtype.names is not None or type(value) is not dtype.type:
        return None
    # The bytes are exact for every kind (float16, longdouble, datetime64); the text is for people.
    return {
        "$numpy": {
            "dtype": _scalar_name(numpy, dtype),
            "text": str(value),
            "hex": value.tobytes().hex(),
        }
    }


def _scalar_name(numpy: Any, dtype: Any) -> str:
    """``float32`` where that names the dtype, the array protocol's text (``<U3``) where it does not."""
    plain = dtype.kind in "biufcmM" and dtype.isnative
    return str(dtype.name if plain and numpy.dtype(dtype.name) == dtype else dtype.str)


def put_array(array: Any, objects: dict[str, bytes]) -> str:
    """The array as .npy bytes among `objects`; their digest."""
    from ..digest import digest_bytes

    numpy = loaded()
    stream = io.BytesIO()
    numpy.lib.format.write_array(stream, array, allow_pickle=False)
    data = stream.getvalue()
    digest = digest_bytes(data)
    objects[digest] = data
    return digest


def read_array(data: bytes) -> Any:
    """The array in .npy bytes, never a pickle; imports numpy. Raises DecodeError."""
    import numpy

    try:
        return numpy.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DecodeError(f"not a .npy payload: {error}") from error


def dtype_name(array: Any) -> str:
    """``float64`` for the usual ones, the byte order's text for others."""
    dtype = array.dtype
    return str(
        dtype.name
        if dtype.isnative and dtype.names is None
        else dtype.descr
        if dtype.names
        else dtype.str
    )


def decode_scalar(said: dict[str, Any]) -> Any:
    """The scalar of a ``$numpy`` form."""
    import numpy

    try:
        return numpy.frombuffer(bytes.fromhex(said["hex"]), dtype=numpy.dtype(said["dtype"]))[0]
    except (ValueError, TypeError) as error:
        raise DecodeError(f"not a NumPy scalar: {error}") from error


def decode_dtype(said: str) -> Any:
    """The dtype of a ``$dtype`` form."""
    import numpy

    return numpy.dtype(said)


def compare_arrays(path: str, a: Any, b: Any, numbers: Numbers) -> list[Difference]:
    """Where two arrays differ: none where they are equal, NaN being equal to NaN.

    One difference in all: with the first index, how many elements, and the largest errors.
    """
    import numpy

    if a.shape != b.shape:
        return [Difference(path=path, what="shape", left=str(a.shape), right=str(b.shape))]
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        return [Difference(path=path, what="dtype", left=str(a.dtype), right=str(b.dtype))]
    with numpy.errstate(all="ignore"):
        unlike = _unlike(numpy, a, b)
        count = int(unlike.sum())
        if not count:
            return []
        first = numpy.unravel_index(int(numpy.argmax(unlike)), a.shape)
        index = tuple(int(i) for i in first)
        abs_error, rel_error, close = _errors(numpy, a, b, unlike, numbers)
    return [
        Difference(
            path=path,
            left=str(a[first]),
            right=str(b[first]),
            abs_error=abs_error,
            rel_error=rel_error,
            close=close,
            index=index,
            count=count,
            size=int(a.size),
        )
    ]


def _unlike(numpy: Any, a: Any, b: Any) -> Any:
    unlike = numpy.asarray(a != b)
    if a.dtype.kind in "fcmM":
        unlike &= ~(
            numpy.isnat(a) & numpy.isnat(b)
            if a.dtype.kind in "mM"
            else numpy.isnan(a) & numpy.isnan(b)
        )
    return unlike


def _errors(
    numpy: Any, a: Any, b: Any, unlike: Any, numbers: Numbers
) -> tuple[float | None, float | None, bool]:
    """The largest absolute and relative error among the unlike elements, and whether all of them are close."""
    if a.dtype.kind not in "fciub":
        return None, None, False
    wide = numpy.complex128 if a.dtype.kind == "c" else numpy.float64
    left, right = a[unlike].astype(wide), b[unlike].astype(wide)
    off = numpy.abs(left - right)
    scale = numpy.maximum(numpy.abs(left), numpy.abs(right))
    close = bool((off <= numbers.atol + numbers.rtol * scale).all())
    relative = numpy.where(scale > 0, off / numpy.where(scale > 0, scale, 1), 0.0)
    return float(off.max()), float(relative.max()), close
