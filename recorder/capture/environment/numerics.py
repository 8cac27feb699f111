"""How PyTorch is set to compute, where the experiment has loaded it: what decides how its numbers are rounded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ...records import JSON

# What to read, by dotted name below `torch`; a function is called.
TORCH_FLAGS = (
    "version.cuda", "version.hip", "are_deterministic_algorithms_enabled",
    "is_deterministic_algorithms_warn_only_enabled", "utils.deterministic.fill_uninitialized_memory",
    "get_default_dtype", "get_num_threads", "get_num_interop_threads", "get_float32_matmul_precision",
    "backends.fp32_precision", "backends.cuda.matmul.fp32_precision", "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_fp16_accumulation", "backends.cuda.preferred_linalg_library",
    "backends.cuda.flash_sdp_enabled",
    "backends.cuda.mem_efficient_sdp_enabled", "backends.cuda.math_sdp_enabled",
    "backends.cuda.cudnn_sdp_enabled", "backends.cudnn.enabled", "backends.cudnn.benchmark",
    "backends.cudnn.deterministic", "backends.cudnn.allow_tf32", "backends.cudnn.fp32_precision",
    "backends.cudnn.conv.fp32_precision", "backends.cudnn.rnn.fp32_precision", "backends.mkldnn.enabled",
    "backends.mkldnn.deterministic", "backends.mkldnn.fp32_precision", "backends.mkldnn.matmul.fp32_precision",
    "backends.mkldnn.conv.fp32_precision", "backends.mkldnn.rnn.fp32_precision",
)  # fmt: skip
_READERS: tuple[tuple[str, Callable[[Any], Any]], ...] = tuple(
    (name, attrgetter(name)) for name in TORCH_FLAGS
)


# What would begin CUDA, or ask a library that comes with it, where the experiment has not begun it: a process that
# has done so can no longer be forked.
_CUDA_FLAGS = (
    "backends.cuda.preferred_blas_library",
    "backends.cudnn.version",
    "cuda.current_device",
)
_CUDA_READERS: tuple[tuple[str, Callable[[Any], Any]], ...] = tuple(
    (name, attrgetter(name)) for name in _CUDA_FLAGS
)
_PLAIN = frozenset({bool, int, float, str, type(None)})


def torch_flags() -> dict[str, JSON] | None:
    """PyTorch's version and flags by their dotted names; None where it is not loaded.

    A flag that this version of it does not have is left out. One that cannot be read is said to be unreadable, with
    the exception's name: PyTorch refuses its older getters once a precision was set by the newer ones. Where the
    experiment has begun CUDA, `devices` are the GPUs that it sees.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "are_deterministic_algorithms_enabled"):
        return None  # not loaded, or being loaded at this moment
    found: dict[str, JSON] = {"version": str(getattr(torch, "__version__", ""))}
    _read(torch, _READERS, found)
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        _read(torch, _CUDA_READERS, found)
        found["devices"] = _describe_devices(cuda)
    return found


def _read(
    torch: Any, readers: tuple[tuple[str, Callable[[Any], Any]], ...], found: dict[str, JSON]
) -> None:
    for name, read in readers:
        try:
            value = read(torch)
            if callable(value):
                value = value()
        except AttributeError:
            continue
        except Exception as error:  # noqa: BLE001 - said in the record; it must not come out of the user's call
            value = f"unreadable: {type(error).__name__}"
        found[name] = value if type(value) in _PLAIN else str(value)


def _describe_devices(cuda: Any) -> list[JSON]:
    """Name, compute capability and memory of each GPU; PyTorch remembers them."""
    found: list[JSON] = []
    for index in range(cuda.device_count()):
        device = cuda.get_device_properties(index)
        found.append(
            {
                "name": device.name,
                "capability": f"{device.major}.{device.minor}",
                "memory_bytes": device.total_memory,
            }
        )
    return found
