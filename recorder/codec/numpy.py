"""NumPy's arrays and scalars: an array is a .npy object (numpy.lib.format, no pickle), a scalar its exact text."""

from __future__ import annotations

import io
import math
import sys
from typing import Any

from ..errors import DecodeError
from ..records import JSON

# The head of a .npy file is not longer than this: NumPy itself reads no more of one that it does not trust.
_LONGEST_HEAD = 1 << 16


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


def map_array(data: bytes | memoryview) -> Any:
    """The same as a read-only view of the bytes, which may be a memory map: nothing is copied."""
    import numpy

    form, head = numpy.lib.format, io.BytesIO(data[:_LONGEST_HEAD])
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    try:
        version = form.read_magic(head)
        if version not in readers:  # names of fields beyond Latin-1: numpy.load alone reads them
            return read_array(bytes(data))
        shape, fortran, dtype = readers[version](head)
        if dtype.hasobject or any(n < 0 for n in shape):
            raise ValueError("it holds a pickle, or is damaged")
        flat = numpy.frombuffer(data, dtype=dtype, count=math.prod(shape), offset=head.tell())
        return flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, EOFError, OSError, TypeError, OverflowError) as error:
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
