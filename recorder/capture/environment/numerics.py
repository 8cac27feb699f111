"""PyTorch's settings that decide how numbers are rounded, if the experiment has loaded PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ...records import JSON

# Dotted names below `torch`. Functions are called.
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


# Reading these initializes CUDA, or queries a library that comes with it. A process that has initialized CUDA can no
# longer be forked, so they are read only after the experiment has done so.
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
    """Return PyTorch's version and flags by their dotted names, or None if it is not loaded.

    Flags unknown to this version are left out. A flag that cannot be read has the value "unreadable" with the name of
    the exception: PyTorch's older getters raise once a precision was set by the newer ones. If the experiment has
    initialized CUDA, `devices` are the visible GPUs.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "are_deterministic_algorithms_enabled"):
        return None  # not loaded, or still being imported
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
        except Exception as error:  # noqa: BLE001 - noted in the record; it must not reach the user's call
            value = f"unreadable: {type(error).__name__}"
        found[name] = value if type(value) in _PLAIN else str(value)


def _describe_devices(cuda: Any) -> list[JSON]:
    """Return name, compute capability, and memory of each GPU, which PyTorch caches."""
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
