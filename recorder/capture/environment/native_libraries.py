"""The native libraries for linear algebra and threads that are loaded, and how many threads each will take."""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...records import JSON

# They load such libraries: no need to look for one.
_USERS = ("numpy", "torch")
_SET_BY_IT = "KMP_DUPLICATE_LIB_OK"
_MAPS = Path("/proc/self/maps")
_LIBRARY = re.compile(
    rb"/(?:lib)?(?:gomp|i?omp|vcomp|mkl_rt|(?:scipy_)?openblas|blas|blis|flexiblas)[^/\n]*$", re.M
)


class Libraries:
    """The libraries that threadpoolctl knows, as they were loaded when this was made.

    threadpoolctl finds them among what is loaded, and loads none. It is itself loaded for a process that has one.
    """

    def __init__(self) -> None:
        self._controllers: list[Any] = []
        self._known: tuple[tuple[int, ...], list[JSON]] = ((), [])
        if _has_any():
            self._controllers = _find()

    def describe(self) -> list[JSON]:
        """library, api, version, threads and, where it says, architecture and threading of each; no paths.

        The same list again while no number of threads has changed.
        """
        threads = tuple(controller.num_threads for controller in self._controllers)
        if threads != self._known[0]:
            self._known = threads, sorted(map(_describe, self._controllers), key=repr)
        return self._known[1]


def _find() -> list[Any]:
    """threadpoolctl's controllers."""
    module = sys.modules.get("threadpoolctl") or _load()
    found: list[Any] = module.ThreadpoolController().lib_controllers
    return found


@lru_cache(maxsize=1)
def _load() -> Any:
    """threadpoolctl, without a trace: it sets a variable for Intel's OpenMP.

    The experiment must neither find that set where it has not loaded threadpoolctl itself, nor miss it where it
    loads it later, so that it is loaded afresh then.
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
        return "ctypes" in sys.modules  # no /proc: what loads libraries by hand has it


def _describe(controller: Any) -> dict[str, JSON]:
    said = controller.info()
    found = {
        "library": said.get("prefix"),
        "api": said.get("internal_api"),
        "version": said.get("version"),
        "threads": said.get("num_threads"),
        "architecture": said.get("architecture"),
        "threading": said.get("threading_layer"),
    }
    return {key: value for key, value in found.items() if value is not None}
