"""Dense PyTorch tensors: a .npy object, with the dtype, device and class of the tensor."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from ..errors import DecodeError
from ..records import JSON
from .numpy import put_array, read_array

# Dtypes that NumPy lacks; their bits are stored as integers of the same width.
_BITS = {"bfloat16": "int16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
# Bits of the exponent, bits of the mantissa, bias of the exponent, and True if infinities exist as in IEEE 754.
# Source: FP8 Formats for Deep Learning, https://arxiv.org/abs/2209.05433
_FLOAT8 = {"float8_e4m3fn": (4, 3, 7, False), "float8_e5m2": (5, 2, 15, True)}


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """Return the form of a dense tensor, parameter, dtype or device; None for sparse and quantized tensors, etc."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "Tensor"):
        return None
    if type(value) is torch.dtype:
        return {"$name": f"torch:{str(value).removeprefix('torch.')}"}
    if type(value) is torch.device:
        return {"$device": str(value)}
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return None
    if value.layout is not torch.strided or value.is_quantized or value.device.type == "meta":
        return None
    dtype = str(value.dtype).removeprefix("torch.")
    plain = value.detach().resolve_conj().resolve_neg().cpu()
    if dtype in _BITS:
        plain = plain.contiguous().view(getattr(torch, _BITS[dtype]))
    try:
        array = plain.numpy()
    except (TypeError, RuntimeError):
        return None
    content = {
        "object": put_array(array, objects),
        "dtype": dtype,
        "shape": list(value.shape),
        "device": str(value.device),
        "requires_grad": value.requires_grad,
        "parameter": type(value) is torch.nn.Parameter,
    }
    return {"$tensor": content}


def decode(content: dict[str, Any], data: bytes) -> Any:
    """Return the tensor of a ``$tensor`` form, on its device if that exists here, or else on the CPU."""
    try:
        import torch
    except ImportError as error:
        raise DecodeError("the value is a tensor: install torch to read it") from error

    tensor = torch.from_numpy(read_array(data).copy())
    if content["dtype"] in _BITS:
        tensor = tensor.view(getattr(torch, content["dtype"]))
    device = content["device"]
    if not device.startswith("cpu") and (
        not device.startswith("cuda") or torch.cuda.is_available()
    ):
        tensor = tensor.to(device)
    if content["parameter"]:
        return torch.nn.Parameter(tensor, requires_grad=content["requires_grad"])
    return tensor.requires_grad_(content["requires_grad"])


def decode_device(content: str) -> Any:
    """Return the device of a ``$device`` form."""
    import torch

    return torch.device(content)


def widening(dtype: str) -> Callable[[Any], Any] | None:
    """Return a function that converts the stored bits of a dtype that NumPy lacks to float32; None for other dtypes."""
    if dtype == "bfloat16":
        return _widen_bfloat16
    if dtype in _FLOAT8:
        return lambda bits: _float8_values(dtype)[bits.view("uint8")]
    return None


def _widen_bfloat16(bits: Any) -> Any:
    """Convert bits of bfloat16, which is the upper half of a float32, to float32."""
    import numpy

    return (bits.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)


@functools.cache
def _float8_values(dtype: str) -> Any:
    """Return the float32 values of all 256 bit patterns of an 8-bit float."""
    import numpy

    exponent_bits, mantissa_bits, bias, has_infinity = _FLOAT8[dtype]
    values = numpy.empty(256, dtype=numpy.float32)
    top = (1 << exponent_bits) - 1
    for bits in range(256):
        exponent, mantissa = (bits >> mantissa_bits) & top, bits & ((1 << mantissa_bits) - 1)
        fraction = mantissa / (1 << mantissa_bits)
        value = (
            fraction * 2.0 ** (1 - bias)
            if not exponent
            else (1 + fraction) * 2.0 ** (exponent - bias)
        )
        if has_infinity and exponent == top:
            value = numpy.nan if mantissa else numpy.inf
        elif not has_infinity and bits & 0x7F == 0x7F:
            value = numpy.nan
        values[bits] = -value if bits & 0x80 else value
    return values
