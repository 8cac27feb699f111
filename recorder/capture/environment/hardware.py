"""The machine: operating system, C library, processor, memory, and GPUs, read without a subprocess or a library."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from functools import lru_cache
from pathlib import Path

from ...records import JSON

_PROC = Path("/proc")
# Instruction sets by which a BLAS or a compiler selects its code, which decides how sums are rounded.
_INSTRUCTIONS = re.compile(r"avx|fma|sse4|f16c|amx|sve|sme(?!p)|asimd|neon|bf16|vsx|rvv")


@lru_cache(maxsize=1)
def describe_platform() -> dict[str, JSON]:
    """Return system, release, machine, libc, cpu, memory_bytes, gpu (a list), and cuda (toolkit version or None)."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "libc": _libc(),
        "cpu": describe_cpu(_lines(_PROC / "cpuinfo")),
        "memory_bytes": _memory_bytes(),
        "gpu": describe_gpus(_PROC / "driver" / "nvidia"),
        "cuda": cuda_version(Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")),
    }


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):  # no glibc
        return " ".join(platform.libc_ver()).strip()  # reads through the interpreter's executable


def describe_cpu(lines: list[str]) -> dict[str, JSON]:
    """Return count, model, and instructions (the sorted instruction sets) from the lines of /proc/cpuinfo."""
    info: dict[str, str] = {}
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        info.setdefault(key, value)
    flags = info.get("flags") or info.get("Features") or info.get("isa") or ""
    return {
        "count": os.cpu_count(),
        "model": info.get("model name") or info.get("Model") or _arm_model(info) or _model(),
        "instructions": sorted({flag for flag in flags.split() if _INSTRUCTIONS.match(flag)}),
    }


def _arm_model(info: dict[str, str]) -> str:
    """Return the model of an ARM server, which reports its processor only as numbers, or ""."""
    names = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")
    found = [info[name] for name in names if name in info]
    return f"ARM {'/'.join(found)}" if len(found) == len(names) else ""


def _model() -> str:
    # On some systems, platform.processor() runs uname(1) for a word that os.uname() has.
    return platform.processor() if sys.platform == "win32" else platform.machine()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def describe_gpus(driver: Path) -> list[JSON]:
    """Return model and driver of each NVIDIA GPU, as reported by the kernel module in the folder `driver`."""
    version = driver_version(next(iter(_lines(driver / "version")), ""))
    found: list[JSON] = []
    for file in sorted((driver / "gpus").glob("*/information")):
        info = dict(line.partition(":")[::2] for line in _lines(file))
        found.append({"model": info.get("Model", "").strip(), "driver": version})
    return found


def driver_version(line: str) -> str:
    """Return the version in the first line of /proc/driver/nvidia/version, or ""."""
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", line)
    return found[1] if found else ""


def cuda_version(home: Path) -> str | None:
    """Return the version of the CUDA toolkit in the folder `home`. PyTorch's own CUDA is among its flags."""
    try:
        info = json.loads((home / "version.json").read_text())
        return str(info["cuda"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
