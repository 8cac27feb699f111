"""PyTorch's dense tensors: a .npy object and the tensor's own dtype, device and kind."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import DecodeError
from ..records import JSON
from .numpy import put_array, read_array

# NumPy has no such types; their bits go into an integer of the same width.
_BITS = {"bfloat16": "int16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}


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


def widen(said: dict[str, Any], array: Any) -> Any:
    """The payload's array as numbers: the bits of bfloat16 as float32, anything else as it is."""
    import numpy

    if said["dtype"] == "bfloat16":
        return (array.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
    return array
