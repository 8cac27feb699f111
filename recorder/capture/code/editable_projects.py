"""Editable projects: code outside the experiment's own project that the run imports from a working tree.

They come from editable installs: the folder in direct_url.json (PEP 610), folders that a .pth file adds to sys.path,
and folders that the import finders of setuptools and `editables` point to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...paths import PACKAGE
from ..environment.packages import INSTALLED_FOLDERS, Packages, is_installed, module_file
from .code import find_root

# recorder is the instrument: a replay uses the version that is installed at the time.
_OWN = Path(PACKAGE).resolve()


class FoundProject(NamedTuple):
    """An editable project: the name of its distribution, or else of its folder, and its root."""

    name: str
    root: Path


class _Search(NamedTuple):
    packages: Packages
    root: Path
    modules: int
    folders: dict[str, str]
    found: tuple[FoundProject, ...]


_last_search: _Search | None = None


def imported_projects(packages: Packages, *, root: Path) -> tuple[FoundProject, ...]:
    """Return the projects outside `root` with a loaded module, cached until another module is loaded."""
    global _last_search
    last, count = _last_search, len(sys.modules)
    if last is None or last.packages is not packages or last.root != root:
        last = _Search(packages, root, 0, _folders(packages), ())
    if last.modules != count:
        found = tuple(_find(last.folders, root)) if last.folders else ()
        last = last._replace(modules=count, found=found)
    _last_search = last
    return last.found


def _find(folders: Mapping[str, str], root: Path) -> Iterator[FoundProject]:
    """Yield each root once, under the name of the first of its folders."""
    files = [f for f in map(module_file, list(sys.modules.values())) if os.path.isabs(f)]  # noqa: PTH117
    seen = {root.resolve()}
    for folder, name in folders.items():
        beginning = folder + os.sep
        used = (f for f in files if f.startswith(beginning) and not is_installed(f))
        file = next(used, None)
        if file is None:
            continue
        top = find_root(Path(folder, "_"), cwd=Path(folder))
        if top.resolve() not in seen:
            seen.add(top.resolve())
            yield FoundProject(name, top)


def _folders(packages: Packages) -> dict[str, str]:
    """Return the folders of editable installs with their names, except those that contain recorder itself."""
    named = {os.path.normpath(folder): name for folder, name in packages.editable.items()}
    others = dict.fromkeys([*_from_path_files(), *_from_finders()])
    for folder in others:
        within = [known for known in named if folder.startswith(known + os.sep)]
        if not within:
            named.setdefault(folder, Path(folder).name)
    return {f: name for f, name in named.items() if not _OWN.is_relative_to(Path(f).resolve())}


def _from_path_files() -> Iterator[str]:
    """Yield the folders named by .pth files next to installed packages.

    Format: https://docs.python.org/3/library/site.html
    """
    on_path = set(sys.path)
    for entry in on_path:
        if not Path(entry).is_absolute() or Path(entry).name not in INSTALLED_FOLDERS:
            continue
        for file in sorted(Path(entry).glob("*.pth")):
            try:
                lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            except OSError:
                continue
            for line in lines:
                folder = os.path.normpath(os.path.join(entry, line.strip()))  # noqa: PTH118
                if line.strip() and folder in on_path and not is_installed(folder + os.sep):
                    yield folder


def _from_finders() -> Iterator[str]:
    for mapping in finder_mappings():
        for places in mapping.values():
            for place in [places] if isinstance(places, str | os.PathLike) else places:
                if os.path.isabs(place):  # noqa: PTH117
                    yield str(Path(place).parent)


def finder_mappings() -> Iterator[dict[str, Any]]:
    """Yield the mappings of the finders of editable installs, from module names to a path or a list of paths.

    setuptools generates modules with MAPPING and NAMESPACES (command/editable_wheel.py, _FINDER_TEMPLATE);
    `editables` has a dict `_redirections`.
    """
    for finder in list(sys.meta_path):
        module = sys.modules.get(getattr(finder, "__module__", ""))
        found: Iterable[object] = (
            getattr(module, "MAPPING", None),
            getattr(module, "NAMESPACES", None),
            getattr(finder, "_redirections", None),
        )
        yield from (mapping for mapping in found if isinstance(mapping, dict))
