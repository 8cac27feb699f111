"""The places that cannot contain inputs: those of the environment, of the snapshot, and of the system."""

# ruff: noqa: PTH111, PTH118, PTH206
# Paths are strings here: this runs for each file that a run opens, and a Path costs as much as the lookup.

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Iterable

# Code belongs to the snapshot and to the environment.
CODE_SUFFIXES = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dylib", ".dll", ".pth")
_NAMES = frozenset(("site-packages", "dist-packages", "__pycache__", ".git", ".ipynb_checkpoints"))
_SYSTEM = (
    "/proc", "/sys", "/dev", "/run", "/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64",
    "/usr/share/fonts", "/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/mime", "/usr/share/X11",
)  # fmt: skip
# Fonts, settings, and caches of Matplotlib, Hugging Face, pip, and similar tools.
_HOME = (
    ".cache", ".config", ".fonts", ".matplotlib", ".ipython", ".jupyter",
    ".local/lib", ".local/share/fonts", ".local/share/jupyter",
)  # fmt: skip


class Exclusion:
    """A resolver of paths that returns None where no inputs can be.

    Each folder is resolved once, so a link to a folder that changes its target during the run is not noticed.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self._paths, self._below = _places(tuple([os.fspath(path) for path in paths]))
        self._folders: dict[str, str | None] = {}

    def find(self, path: str) -> str | None:
        """Return the absolute `path` with the links of its folder resolved, or None if it cannot be an input."""
        folder, slash, name = path.rpartition(os.sep)
        try:
            real = self._folders[folder]
        except KeyError:
            real = self._folders[folder] = self._look_at(folder + slash)
        if real is None:
            return None
        whole = real + name
        return None if whole in self._paths else whole

    def follow(self, link: str) -> str | None:
        """Return the final target of a link, or None if it cannot be an input."""
        return self.find(os.path.realpath(link))

    def _look_at(self, folder: str) -> str | None:
        real = os.path.join(os.path.realpath(folder), "")
        if real.startswith(self._below) or not _NAMES.isdisjoint(real.split(os.sep)):
            return None
        return real


@functools.lru_cache(maxsize=64)
def _places(paths: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the excluded paths, including the interpreter's, and the prefixes of paths below them."""
    found = resolve_all(paths) | _interpreter_paths()
    return found, tuple(path + os.sep for path in found)


@functools.lru_cache(maxsize=64)
def resolve_all(paths: tuple[str, ...]) -> frozenset[str]:
    """Return the paths with links resolved. It is cached, because each run asks for the same ones."""
    return frozenset(map(os.path.realpath, paths))


@functools.lru_cache(maxsize=1)
def _interpreter_paths() -> frozenset[str]:
    paths = sysconfig.get_paths()
    found = [*_SYSTEM, paths["stdlib"], paths["platstdlib"]]
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        found += [os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg")]
    home = os.path.expanduser("~")
    found += [os.path.join(home, name) for name in _HOME]
    found += [
        os.environ[name] for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR") if os.environ.get(name)
    ]
    return resolve_all(tuple(found))
