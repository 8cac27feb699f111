"""Instruction sets as a factor: libraries choose their code by the processor, and results round differently."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...capture.environment.hardware import describe_platform
from .factor import Adjustment, Evidence, Factor

# Variables that limit OpenBLAS, MKL, oneDNN, and PyTorch's kernels to a level of x86.
_LEVELS = {
    "AVX2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
    "SSE4.2": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
    },
}
# NumPy's names for the instruction sets above a level.
_ABOVE = {"AVX2": re.compile(r"AVX512|X86_V4"), "SSE4.2": re.compile(r"AVX|X86_V[34]|FMA|F16C|XOP")}
_ABOVE_FLAG = {"AVX2": "avx512f", "SSE4.2": "avx2"}
_DISPATCHED = """
import json
try:
    from numpy._core._multiarray_umath import __cpu_dispatch__ as known, __cpu_features__ as here
except ImportError:
    from numpy.core._multiarray_umath import __cpu_dispatch__ as known, __cpu_features__ as here
print(json.dumps([name for name in known if here.get(name)]))
"""


def find_instructions(evidence: Evidence) -> Iterator[Factor]:
    """Yield a factor for the instruction sets: those of the recording processor, or else each lower level."""
    libraries = {"numpy", "torch"} & evidence.imported
    if platform.machine().lower() not in ("x86_64", "amd64") or not libraries:
        return
    core, changes = _other_core(evidence), []
    if core is not None:
        said = f"OpenBLAS's code for {core}"
        changes.append(Adjustment(said=said, variables={"OPENBLAS_CORETYPE": core}))
    changes += _levels(evidence)
    if changes:
        yield Factor(
            what="the processor's instruction sets, by which libraries choose their code",
            changes=tuple(changes),
            advice="declare a tolerance, @record(tolerance=...), or fix the choice when recording, with"
            " OPENBLAS_CORETYPE, MKL_CBWR, ATEN_CPU_CAPABILITY, or NPY_DISABLE_CPU_FEATURES",
            is_pointed_to=core is not None or evidence.differs("platform.cpu."),
        )


def _levels(evidence: Evidence) -> Iterator[Adjustment]:
    """Return a change to each level below this processor's; levels that the recording processor had come first."""
    here = _flags(describe_platform())
    recorded = _flags(evidence.platform(evidence.base.original))
    levels = [level for level in _LEVELS if _ABOVE_FLAG[level] in here]
    levels.sort(key=lambda level: _ABOVE_FLAG[level] in recorded)
    has_numpy = "numpy" in evidence.imported and levels
    dispatched = numpy_dispatch(evidence.request.interpreter) if has_numpy else []
    return (_level(level, dispatched) for level in levels)


def _level(level: str, dispatched: Sequence[str]) -> Adjustment:
    variables = dict(_LEVELS[level])
    above = [name for name in dispatched if _ABOVE[level].match(name)]
    if above:
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(above)
    return Adjustment(said=f"instruction sets up to {level}", variables=variables)


def _other_core(evidence: Evidence) -> str | None:
    """Return the processor for which OpenBLAS chose its code in the recorded run; None where it is the same now.

    The result is None as well where this processor lacks a recorded instruction set, since that code would crash.
    """
    base = evidence.base
    then, now = (_openblas_core(evidence.runtime(run)) for run in (base.original, base.record))
    lacks = _flags(evidence.platform(base.original)) - _flags(describe_platform())
    return None if then == now or lacks else then


def _openblas_core(runtime: Mapping[str, Any]) -> str | None:
    for one in runtime.get("libraries") or []:
        if one.get("api") == "openblas" and one.get("architecture"):
            return str(one["architecture"])
    return None


def numpy_dispatch(interpreter: str) -> list[str]:
    """Return NumPy's names of the instruction sets of this machine for which NumPy has special code."""
    done = subprocess.run(
        [interpreter, "-c", _DISPATCHED], capture_output=True, text=True, check=False
    )
    found: list[str] = json.loads(done.stdout) if done.returncode == 0 else []
    return found


def _flags(described: Mapping[str, Any]) -> frozenset[str]:
    """Return the instruction sets of a platform, see `recorder.capture.environment.hardware`."""
    cpu = described.get("cpu")
    found = cpu.get("instructions") if isinstance(cpu, dict) else None
    return frozenset(found or ())
