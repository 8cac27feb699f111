"""Settings that must be fixed before an interpreter starts, so that a program computes the same numbers again.

Libraries read these variables when they are loaded, and Python at its start, so a program cannot set them for itself.
``recorder run`` starts the interpreter with them, and a replay with the recorded ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

# Inherited by child processes.
VARIABLE = "RECORDER_DETERMINISTIC"
HASH_SEED = "PYTHONHASHSEED"
# A sum that is split among a different number of threads is rounded differently.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_LIBRARIES = {
    # cuBLAS with several streams: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    # oneMKL's conditional numerical reproducibility: equal from run to run for any alignment of the arrays.
    "MKL_CBWR": "AUTO",
    "TF_DETERMINISTIC_OPS": "1",
}
_XLA = "--xla_gpu_deterministic_ops=true"


def fixed_variables(
    environ: Mapping[str, str], *, deterministic: bool = False, threads: int | None = None
) -> dict[str, str]:
    """Return the variables to add to `environ` for the new interpreter. An explicit count of threads takes precedence.

    The hash seed is always 0, so that sets have the same order in runs with different seeds.
    """
    wanted = {HASH_SEED: "0"}
    if deterministic:
        wanted |= _LIBRARIES | dict.fromkeys(THREADS, "1")
    fixed = {name: value for name, value in wanted.items() if not environ.get(name)}
    if threads is not None:
        fixed |= dict.fromkeys(THREADS, str(threads))
    if deterministic:
        flags = environ.get("XLA_FLAGS", "")
        if "xla_gpu_deterministic_ops" not in flags:
            fixed["XLA_FLAGS"] = f"{flags} {_XLA}".strip()
        fixed[VARIABLE] = "1"
    return {name: value for name, value in fixed.items() if environ.get(name) != value}


def is_deterministic() -> bool:
    """Return True if this process was started for deterministic computation."""
    return os.environ.get(VARIABLE) == "1"


def fix_torch(torch: Any) -> None:
    """Enable PyTorch's deterministic algorithms. An operation without one raises PyTorch's own error."""
    torch.use_deterministic_algorithms(True)
    cudnn = getattr(torch.backends, "cudnn", None)
    if cudnn is not None:
        cudnn.deterministic, cudnn.benchmark = True, False


def read_torch(torch: Any) -> tuple[Any, ...]:
    """Return the current flags of PyTorch."""
    cudnn = getattr(torch.backends, "cudnn", None)
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        None if cudnn is None else (cudnn.deterministic, cudnn.benchmark),
    )


def restore_torch(torch: Any, flags: tuple[Any, ...]) -> None:
    """Restore the flags of PyTorch."""
    enabled, warn_only, cudnn = flags
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    if cudnn is not None:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
