"""PyTorch's dense tensors: a .npy object and the tensor's own dtype, device and kind."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from ..errors import DecodeError
from ..records import JSON
from .numpy import put_array, read_array

# NumPy has no such types; their bits go into an integer of the same width.
_BITS = {"bfloat16": "int16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
# Bits of the exponent, of the mantissa, the exponent's bias, and whether there are infinities, as in IEEE 754.
# Source: FP8 Formats for Deep Learning, https://arxiv.org/abs/2209.05433
_FLOAT8 = {"float8_e4m3fn": (4, 3, 7, False), "float8_e5m2": (5, 2, 15, True)}


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """The form of a tensor or parameter; None for anything else: sparse, quantized, subclasses."""
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
    said = {
        "object": put_array(array, objects),
        "dtype": dtype,
        "shape": list(value.shape),
        "device": str(value.device),
        "requires_grad": value.requires_grad,
        "parameter": type(value) is torch.nn.Parameter,
    }
    return {"$tensor": said}


def decode(said: dict[str, Any], data: bytes) -> Any:
    """The tensor of a ``$tensor`` form, on its device where that is here, else on the CPU; imports torch."""
    try:
        import torch
    except ImportError as error:
        raise DecodeError("a tensor needs PyTorch, which is not installed here") from error

    tensor = torch.from_numpy(read_array(data).copy())
    if said["dtype"] in _BITS:
        tensor = tensor.view(getattr(torch, said["dtype"]))
    device = said["device"]
    if not device.startswith("cpu") and (
        not device.startswith("cuda") or torch.cuda.is_available()
    ):
        tensor = tensor.to(device)
    if said["parameter"]:
        return torch.nn.Parameter(tensor, requires_grad=said["requires_grad"])
    return tensor.requires_grad_(said["requires_grad"])


def decode_device(said: str) -> Any:
    """The device of a ``$device`` form."""
    import torch

    return torch.device(said)


def widening(dtype: str) -> Callable[[Any], Any] | None:
    """What turns the stored bits of a dtype that NumPy lacks into float32; None for the others."""
    if dtype == "bfloat16":
        return _widen_bfloat16
    if dtype in _FLOAT8:
        return lambda bits: _float8_values(dtype)[bits.view("uint8")]
    return None


def _widen_bfloat16(bits: Any) -> Any:
    """The upper half of a float32's bits, as a float32."""
    import numpy

    return (bits.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)


@functools.cache
def _float8_values(dtype: str) -> Any:
    """The 256 values of an 8-bit float, as float32, by its bits."""
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
