"""NumPy arrays and scalars: an array becomes a .npy object (without pickle), a scalar its exact bytes.

Source of the format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import io
import math
import sys
from typing import Any

from ..errors import DecodeError
from ..records import JSON

# Longest header of a .npy file; the same limit that NumPy applies to untrusted files.
_LONGEST_HEAD = 1 << 16


def loaded() -> Any:
    """Return the numpy module if the program has imported it, or else None."""
    return sys.modules.get("numpy")


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """Return the form of an array, scalar or dtype; None for other values and for arrays of objects."""
    numpy = loaded()
    if numpy is None or not hasattr(numpy, "generic"):
        return None
    if isinstance(value, numpy.generic):
        return _encode_scalar(numpy, value)
    if type(value) is numpy.ndarray and not value.dtype.hasobject:
        content = {
            "object": put_array(value, objects),
            "dtype": dtype_name(value),
            "shape": list(value.shape),
        }
        return {"$array": content}
    if isinstance(value, numpy.dtype) and not value.hasobject and value.names is None:
        return {"$dtype": value.str}
    return None


def _encode_scalar(numpy: Any, value: Any) -> JSON | None:
    dtype = value.dtype
    if dtype.hasobject or dtype.names is not None or type(value) is not dtype.type:
        return None
    # The bytes are exact for every dtype (float16, longdouble, datetime64); the text is for display.
    return {
        "$numpy": {
            "dtype": _scalar_name(numpy, dtype),
            "text": str(value),
            "hex": value.tobytes().hex(),
        }
    }


def _scalar_name(numpy: Any, dtype: Any) -> str:
    """Return the name of the dtype (``float32``) if it is unambiguous, or else the array protocol string (``<U3``)."""
    plain = dtype.kind in "biufcmM" and dtype.isnative
    return str(dtype.name if plain and numpy.dtype(dtype.name) == dtype else dtype.str)


def put_array(array: Any, objects: dict[str, bytes]) -> str:
    """Add the array as .npy bytes to `objects` and return their digest."""
    from ..digest import digest_bytes

    numpy = loaded()
    stream = io.BytesIO()
    numpy.lib.format.write_array(stream, array, allow_pickle=False)
    data = stream.getvalue()
    digest = digest_bytes(data)
    objects[digest] = data
    return digest


def read_array(data: bytes) -> Any:
    """Return the array in .npy bytes; never unpickle. Raises DecodeError for anything else."""
    import numpy

    try:
        return numpy.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DecodeError(f"not a .npy payload: {error}") from error


def map_array(data: bytes | memoryview) -> Any:
    """Return the array in .npy bytes as a read-only view without a copy; `data` can be a memory map."""
    import numpy

    form, head = numpy.lib.format, io.BytesIO(data[:_LONGEST_HEAD])
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    try:
        version = form.read_magic(head)
        if (
            version not in readers
        ):  # version 3.0, for field names beyond Latin-1, has no public header reader
            return read_array(bytes(data))
        shape, fortran, dtype = readers[version](head)
        if dtype.hasobject or any(n < 0 for n in shape):
            raise ValueError("it contains a pickle or is damaged")
        flat = numpy.frombuffer(data, dtype=dtype, count=math.prod(shape), offset=head.tell())
        return flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, EOFError, OSError, TypeError, OverflowError) as error:
        raise DecodeError(f"not a .npy payload: {error}") from error


def dtype_name(array: Any) -> str:
    """Return the name (``float64``) of a native dtype, or else its description with the byte order."""
    dtype = array.dtype
    return str(
        dtype.name
        if dtype.isnative and dtype.names is None
        else dtype.descr
        if dtype.names
        else dtype.str
    )


def decode_scalar(content: dict[str, Any]) -> Any:
    """Return the scalar of a ``$numpy`` form."""
    import numpy

    try:
        return numpy.frombuffer(bytes.fromhex(content["hex"]), dtype=numpy.dtype(content["dtype"]))[
            0
        ]
    except (ValueError, TypeError) as error:
        raise DecodeError(f"not a NumPy scalar: {error}") from error


def decode_dtype(content: str) -> Any:
    """Return the dtype of a ``$dtype`` form."""
    import numpy

    return numpy.dtype(content)
