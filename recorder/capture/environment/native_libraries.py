"""The loaded native libraries for linear algebra and threads, with their numbers of threads."""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...records import JSON

# These load such libraries, so a search is unnecessary.
_USERS = ("numpy", "torch")
_SET_BY_IT = "KMP_DUPLICATE_LIB_OK"
_MAPS = Path("/proc/self/maps")
_LIBRARY = re.compile(
    rb"/(?:lib)?(?:gomp|i?omp|vcomp|mkl_rt|(?:scipy_)?openblas|blas|blis|flexiblas)[^/\n]*$", re.M
)


class Libraries:
    """The libraries known to threadpoolctl that were loaded at the time of creation.

    threadpoolctl searches the loaded libraries and loads none. It is imported only if the process has one of them.
    """

    def __init__(self) -> None:
        self._controllers: list[Any] = []
        self._known: tuple[tuple[int, ...], list[JSON]] = ((), [])
        if _has_any():
            self._controllers = _find()

    def describe(self) -> list[JSON]:
        """Return library, api, version, threads and, if known, architecture and threading of each, without paths.

        The same list is returned while no number of threads has changed.
        """
        threads = tuple(controller.num_threads for controller in self._controllers)
        if threads != self._known[0]:
            self._known = threads, sorted(map(_describe, self._controllers), key=repr)
        return self._known[1]


def _find() -> list[Any]:
    """Return threadpoolctl's controllers."""
    module = sys.modules.get("threadpoolctl") or _load()
    found: list[Any] = module.ThreadpoolController().lib_controllers
    return found


@lru_cache(maxsize=1)
def _load() -> Any:
    """Import threadpoolctl without side effects. It sets a variable for Intel's OpenMP.

    The experiment must not find that variable set if it has not imported threadpoolctl. If it does so later, the
    module must be executed again to set it.
    """
    before = os.environ.get(_SET_BY_IT)
    import threadpoolctl

    sys.modules.pop("threadpoolctl", None)
    if before is None:
        os.environ.pop(_SET_BY_IT, None)
    return threadpoolctl


def _has_any() -> bool:
    if any(name in sys.modules for name in _USERS):
        return True
    try:
        return _LIBRARY.search(_MAPS.read_bytes()) is not None
    except OSError:
        return "ctypes" in sys.modules  # no /proc; programs that load libraries manually use ctypes


def _describe(controller: Any) -> dict[str, JSON]:
    info = controller.info()
    found = {
        "library": info.get("prefix"),
        "api": info.get("internal_api"),
        "version": info.get("version"),
        "threads": info.get("num_threads"),
        "architecture": info.get("architecture"),
        "threading": info.get("threading_layer"),
    }
    return {key: value for key, value in found.items() if value is not None}
