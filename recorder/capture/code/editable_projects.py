"""The projects outside the experiment's own that a run imports from where somebody works on them.

Those are the editable installs: the folder that direct_url.json names (PEP 610), the folders that a .pth file adds to
sys.path, and those that the finders of setuptools and of `editables` point to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..environment.packages import Packages, module_file
from .code import find_root

_INSTALLED = ("site-packages", "dist-packages")
# recorder itself is the instrument: a replay runs with the one that is there.
_OWN = Path(__file__).resolve().parent.parent


class FoundProject(NamedTuple):
    """A project by its distribution's name, else its folder's, and its root."""

    name: str
    root: Path


class _Looked(NamedTuple):
    packages: Packages
    root: Path
    modules: int
    folders: dict[str, str]
    found: tuple[FoundProject, ...]


_looked: _Looked | None = None


def imported_projects(packages: Packages, *, root: Path) -> tuple[FoundProject, ...]:
    """The projects outside `root` of which a module is loaded; the same again while no module is loaded anew."""
    global _looked
    last, count = _looked, len(sys.modules)
    if last is None or last.packages is not packages or last.root != root:
        last = _Looked(packages, root, 0, _folders(packages), ())
    if last.modules != count:
        found = tuple(_find(last.folders, root)) if last.folders else ()
        last = last._replace(modules=count, found=found)
    _looked = last
    return last.found


def _find(folders: Mapping[str, str], root: Path) -> Iterator[FoundProject]:
    """Each root once, under the name of the first of its folders."""
    files = [f for f in map(module_file, list(sys.modules.values())) if os.path.isabs(f)]  # noqa: PTH117
    seen = {root.resolve()}
    for folder, name in folders.items():
        beginning = folder + os.sep
        used = (f for f in files if f.startswith(beginning) and not _is_installed(f))
        file = next(used, None)
        if file is None:
            continue
        top = find_root(Path(folder, "_"), cwd=Path(folder))
        if top.resolve() not in seen:
            seen.add(top.resolve())
            yield FoundProject(name, top)


def _is_installed(file: str) -> bool:
    return any(f"{os.sep}{name}{os.sep}" in file for name in _INSTALLED)


def _folders(packages: Packages) -> dict[str, str]:
    """The folders of editable installs, each with a name; those that hold recorder itself are none."""
    named = {os.path.normpath(folder): name for folder, name in packages.editable.items()}
    others = dict.fromkeys([*_from_path_files(), *_from_finders()])
    for folder in others:
        within = [known for known in named if folder.startswith(known + os.sep)]
        if not within:
            named.setdefault(folder, Path(folder).name)
    return {f: name for f, name in named.items() if not _OWN.is_relative_to(Path(f).resolve())}


def _from_path_files() -> Iterator[str]:
    """The folders that the .pth files beside installed packages name (https://docs.python.org/3/library/site.html)."""
    on_path = set(sys.path)
    for entry in on_path:
        if not Path(entry).is_absolute() or Path(entry).name not in _INSTALLED:
            continue
        for file in sorted(Path(entry).glob("*.pth")):
            try:
                lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            except OSError:
                continue
            for line in lines:
                folder = os.path.normpath(os.path.join(entry, line.strip()))  # noqa: PTH118
                if line.strip() and folder in on_path and not _is_installed(folder + os.sep):
                    yield folder


def _from_finders() -> Iterator[str]:
    for mapping in finder_mappings():
        for places in mapping.values():
            for place in [places] if isinstance(places, str | os.PathLike) else places:
                if os.path.isabs(place):  # noqa: PTH117
                    yield str(Path(place).parent)


def finder_mappings() -> Iterator[dict[str, Any]]:
    """The mappings from names to paths, or lists of paths, of the finders that editable installs have put in place.

    setuptools' finders have modules with a MAPPING and NAMESPACES (command/editable_wheel.py, _FINDER_TEMPLATE);
    those of `editables` a dict `_redirections`.
    """
    for finder in list(sys.meta_path):
        module = sys.modules.get(getattr(finder, "__module__", ""))
        found: Iterable[object] = (
            getattr(module, "MAPPING", None),
            getattr(module, "NAMESPACES", None),
            getattr(finder, "_redirections", None),
        )
        yield from (mapping for mapping in found if isinstance(mapping, dict))
