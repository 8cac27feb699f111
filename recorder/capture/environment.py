"""The environment of a run: interpreter, platform, packages, threads and variables; and its process.

The environment is the same for every run of a process, and for most runs of a machine: it holds nothing that
belongs to one run. It is plain JSON, stored once under its digest. The scan of the installed packages is cached, in
the process and in a file, on the modification times of the folders in sys.path.
"""

from __future__ import annotations

import json
import locale
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..digest import digest_json
from ..records import JSON, Process
from .code import without_credentials
from .numerics import torch_flags

# What else decides a run: see each one's documentation. Everything else stays out of the record.
_ALLOWED_PREFIXES = (
    "PYTHON", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "NUMEXPR_", "VECLIB_", "NPY_", "LC_",
    "CUDA_", "CUBLAS_",
    "CUDNN_", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "TF_", "XLA_", "JAX_", "ATEN_", "TOKENIZERS_PARALLELISM",
)  # fmt: skip
_ALLOWED = frozenset({"TZ", "LANG", "LANGUAGE"})
_SECRET = re.compile(r"token|secret|passw|api_?key|credential|private|auth", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")
# They say how this process was started or debugged, not what it computes.
_OF_ONE_PROCESS = frozenset(
    {"PYTHONHASHSEED", "PYTHONSTARTUP", "PYTHONBREAKPOINT", "PYTHONINSPECT"}
)


def allowed_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that a record holds: those of an allow-list that look like no credential."""
    return {
        name: value
        for name, value in sorted(environ.items())
        if (name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES))
        and name not in _OF_ONE_PROCESS
        and not _SECRET.search(name)
        and not _URL_PASSWORD.search(value)
    }


_known: tuple[object, dict[str, JSON]] | None = None


def describe_environment(*, cache: Path | None = None) -> dict[str, JSON]:
    """The environment object, plain JSON; the same dict again while nothing has changed in this process.

    Keys: python, platform, packages (name to version and, where it is no index, source), variables, locale, umask,
    threads, torch (its flags, where it is loaded). `cache` is a folder for the scan of the packages.
    """
    global _known
    key = _state()
    if _known is not None and _known[0] == key:
        return _known[1]
    environment = {
        "python": _describe_python(),
        "platform": _describe_platform(),
        "packages": find_packages(cache=cache),
        "variables": allowed_variables(os.environ),
        "locale": _describe_locale(),
        "umask": f"{_umask():03o}",
        "torch": torch_flags(),
    }
    _known = key, environment
    return environment


def _state() -> object:
    """By what to tell that the environment is the same as at the last call of this process."""
    return tuple(sys.path), tuple(sorted(allowed_variables(os.environ).items())), _torch_key()


def _describe_python() -> dict[str, JSON]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "prefix": sys.prefix,
        "virtual_environment": sys.prefix != sys.base_prefix,
        "optimize": sys.flags.optimize,
    }


@lru_cache(maxsize=1)
def _describe_platform() -> dict[str, JSON]:
    libc = " ".join(platform.libc_ver())
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "libc": libc.strip(),
        "cpu": _describe_cpu(),
        "memory_bytes": _memory_bytes(),
        "gpu": _nvidia_gpus(),
    }


def _describe_cpu() -> dict[str, JSON]:
    """The processor's model and instruction sets, which decide how BLAS and compilers round."""
    found: dict[str, JSON] = {"count": os.cpu_count(), "model": platform.processor()}
    for line in _lines(Path("/proc/cpuinfo")):
        key, _, value = (part.strip() for part in line.partition(":"))
        if key in ("model name", "Model") and "model_read" not in found:
            found["model"] = value
            found["model_read"] = True
        if key in ("flags", "Features"):
            flags = [
                flag
                for flag in value.split()
                if re.match(r"avx|fma|sse4|f16c|amx|sve|asimd|neon", flag)
            ]
            found["instructions"] = sorted(flags)
            break
    found.pop("model_read", None)
    return found


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


def _nvidia_gpus() -> list[JSON]:
    """The NVIDIA GPUs by what the kernel's driver says of them, without a process of its own."""
    driver = next(iter(_lines(Path("/proc/driver/nvidia/version"))), "")
    version = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", driver)
    found: list[JSON] = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        model = next(
            (line.partition(":")[2].strip() for line in _lines(file) if line.startswith("Model")),
            "",
        )
        found.append({"model": model, "driver": version[1] if version else ""})
    return found


def _describe_locale() -> dict[str, JSON]:
    return {
        "encoding": locale.getpreferredencoding(False),
        "filesystem_encoding": sys.getfilesystemencoding(),
        "numeric": locale.setlocale(locale.LC_NUMERIC),
    }


@lru_cache(maxsize=1)
def _umask() -> int:
    # There is no way to ask for it but to set it; /proc has it on Linux, where threads could see the change.
    for line in _lines(Path("/proc/self/status")):
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _torch_key() -> object:
    flags = torch_flags()
    return None if flags is None else tuple(flags.items())


# Packages


def find_packages(*, cache: Path | None = None) -> dict[str, JSON]:
    """The installed distributions on sys.path by their normalised names (PEP 503): version, and source if no index.

    An unchanged result is read from the folder `cache`, which is made if it is not there.
    """
    key = digest_json("packages", [[entry, _mtime_ns(entry)] for entry in sys.path if entry])
    known = _read_cache(cache, key)
    if known is None:
        known = dict(sorted(_scan()))
        _write_cache(cache, key, known)
    return known


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path for every entry costs more than the stat
    except OSError:
        return 0


def _cache_file(cache: Path, key: str) -> Path:
    return cache / f"packages-{key[-16:]}.json"


def _read_cache(cache: Path | None, key: str) -> dict[str, JSON] | None:
    if cache is None:
        return None
    try:
        said = json.loads(_cache_file(cache, key).read_text())
    except (OSError, ValueError):
        return None
    found: dict[str, JSON] | None = (
        said.get("packages") if isinstance(said, dict) and said.get("key") == key else None
    )
    return found


def _write_cache(cache: Path | None, key: str, packages: Mapping[str, JSON]) -> None:
    """For the next process; a cache that cannot be written costs it no more than its own scan."""
    if cache is None:
        return
    file = _cache_file(cache, key)
    staged = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        cache.mkdir(exist_ok=True)
        staged.write_text(json.dumps({"key": key, "packages": packages}))
        staged.replace(file)
    except OSError:
        staged.unlink(missing_ok=True)


def _scan() -> Iterator[tuple[str, JSON]]:
    from importlib.metadata import distributions

    seen: set[str] = set()
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if not name:
            continue
        name = re.sub(r"[-_.]+", "-", name).lower()
        if name not in seen:  # the first on sys.path is the one that is imported
            seen.add(name)
            yield (
                name,
                {
                    "version": distribution.version,
                    **_source(distribution.read_text("direct_url.json")),
                },
            )


def _source(text: str | None) -> dict[str, JSON]:
    """Where a distribution came from, when from no index: PEP 610, direct_url.json."""
    try:
        said: dict[str, Any] = json.loads(text) if text else {}
    except ValueError:
        return {}
    if not said.get("url"):
        return {}
    found: dict[str, JSON] = {"url": without_credentials(str(said["url"]))}
    if said.get("dir_info", {}).get("editable"):
        found["editable"] = True
    if "vcs_info" in said:
        found["commit"] = said["vcs_info"].get("commit_id")
    return found


# The process


def describe_process(*, root: Path | None) -> Process:
    """The process as it is now; what lies in `root` relative to it."""
    cwd = Path.cwd()
    return Process(
        pid=os.getpid(),
        host=platform.node(),
        user=_user(),
        argv=tuple(sys.argv) if hasattr(sys, "argv") else (),
        cwd=str(cwd),
        cwd_in_root=_inside(str(cwd), root),
        path_in_root=_path_in_root(root, cwd, tuple(sys.path), sys.prefix),
        hash_seed=_hash_seed(),
    )


@lru_cache(maxsize=1)
def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a uid without a name, in a container
        return ""


def _hash_seed() -> str | None:
    """PYTHONHASHSEED where it fixes the order of sets, else None."""
    value = os.environ.get("PYTHONHASHSEED", "")
    return value if value.isdecimal() else None


def _inside(path: str, root: Path | None) -> str | None:
    if root is None or not Path(path).is_relative_to(root):
        return None
    return Path(path).relative_to(root).as_posix()


@lru_cache(maxsize=8)
def _path_in_root(
    root: Path | None, cwd: Path, path: tuple[str, ...], prefix: str
) -> tuple[str, ...]:
    """The folders of sys.path that belong to the project: an environment inside it does not.

    Remembered, as it takes 0.5 ms, a seventh of a recorded call.
    """
    installed = {
        sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")
    }
    found: dict[str, None] = {}
    for entry in path:
        inside = _inside(os.path.realpath(entry) if entry else str(cwd), root)
        if inside is not None and entry not in installed and not entry.startswith(prefix + os.sep):
            found[inside] = None
    return tuple(found)
