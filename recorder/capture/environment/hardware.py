"""The machine: operating system, C library, processor, memory and GPUs, without a process or library for it."""

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
# The instruction sets by which a BLAS or a compiler chooses its code, and so how a sum is rounded.
_INSTRUCTIONS = re.compile(r"avx|fma|sse4|f16c|amx|sve|sme(?!p)|asimd|neon|bf16|vsx|rvv")


@lru_cache(maxsize=1)
def describe_platform() -> dict[str, JSON]:
    """system, release, machine, libc, cpu, memory_bytes, gpu (a list) and cuda (the toolkit's version, or None)."""
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
        return " ".join(platform.libc_ver()).strip()  # reads through the interpreter's file


def describe_cpu(lines: list[str]) -> dict[str, JSON]:
    """count, model and instructions (the sorted instruction sets), from the lines of /proc/cpuinfo."""
    said: dict[str, str] = {}
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        said.setdefault(key, value)
    flags = said.get("flags") or said.get("Features") or said.get("isa") or ""
    return {
        "count": os.cpu_count(),
        "model": said.get("model name") or said.get("Model") or _arm_model(said) or _model(),
        "instructions": sorted({flag for flag in flags.split() if _INSTRUCTIONS.match(flag)}),
    }


def _arm_model(said: dict[str, str]) -> str:
    """An ARM server says its processor by numbers only."""
    names = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")
    found = [said[name] for name in names if name in said]
    return f"ARM {'/'.join(found)}" if len(found) == len(names) else ""


def _model() -> str:
    # platform.processor() starts uname(1) on some systems, for a word that is in os.uname() already.
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
    """model and driver of each NVIDIA GPU, by what the kernel's module says of them in the folder `driver`."""
    version = driver_version(next(iter(_lines(driver / "version")), ""))
    found: list[JSON] = []
    for file in sorted((driver / "gpus").glob("*/information")):
        said = dict(line.partition(":")[::2] for line in _lines(file))
        found.append({"model": said.get("Model", "").strip(), "driver": version})
    return found


def driver_version(line: str) -> str:
    """The version in the first line of /proc/driver/nvidia/version, "" where there is none."""
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", line)
    return found[1] if found else ""


def cuda_version(home: Path) -> str | None:
    """The version of the CUDA toolkit in the folder `home`; what PyTorch brings with it is said by its flags."""
    try:
        said = json.loads((home / "version.json").read_text())
        return str(said["cuda"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
