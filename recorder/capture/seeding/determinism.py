"""What is fixed before an interpreter starts, so that the same program computes the same numbers.

Libraries read these variables when they are loaded, Python when it starts: too late for a program to set them for
itself. ``recorder run`` starts the interpreter with them, and a replay with those that were recorded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

# Said to the process itself, and to those that it starts.
VARIABLE = "RECORDER_DETERMINISTIC"
HASH_SEED = "PYTHONHASHSEED"
# A sum that is split among another number of threads is rounded otherwise.
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
    # oneMKL's conditional numerical reproducibility: from run to run, whatever the alignment of the arrays.
    "MKL_CBWR": "AUTO",
    "TF_DETERMINISTIC_OPS": "1",
}
_XLA = "--xla_gpu_deterministic_ops=true"


def fixed_variables(
    environ: Mapping[str, str], *, deterministic: bool = False, threads: int | None = None
) -> dict[str, str]:
    """The variables to start the interpreter with: what `environ` lacks. A count of threads that is given wins.

    The hash seed is 0 for all, so that sets of two runs with different seeds have the same order.
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
    """Whether this process was started to compute deterministically."""
    return os.environ.get(VARIABLE) == "1"


def fix_torch(torch: Any) -> None:
    """PyTorch's deterministic algorithms: an operation that has none raises, in PyTorch's own words."""
    torch.use_deterministic_algorithms(True)
    cudnn = getattr(torch.backends, "cudnn", None)
    if cudnn is not None:
        cudnn.deterministic, cudnn.benchmark = True, False


def read_torch(torch: Any) -> tuple[Any, ...]:
    """PyTorch's flags as they are."""
    cudnn = getattr(torch.backends, "cudnn", None)
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        None if cudnn is None else (cudnn.deterministic, cudnn.benchmark),
    )


def restore_torch(torch: Any, flags: tuple[Any, ...]) -> None:
    """PyTorch's flags as they were."""
    enabled, warn_only, cudnn = flags
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    if cudnn is not None:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
