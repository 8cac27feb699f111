"""A project without a repository: the files of its folder that look like project files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .file_filter import DERIVED, MAX_FILE_BYTES, is_output, sift
from .working_tree import WorkingTree

# Without a repository, the extent of the project is unknown: a script may be in a home folder.
MAX_WALKED_FILES = 2000
MAX_WALKED_BYTES = 100 * 1024 * 1024

_NOT_WALKED = (*DERIVED, "node_modules", "site-packages", ".venv", "venv")


def walk(
    root: Path, exclude: Sequence[Path], outputs: frozenset[str], warnings: tuple[str, ...]
) -> WorkingTree:
    """Describe the files below `root`, or only the loaded modules if the folder has too many files."""
    found: dict[str, None] = {}
    size = 0
    for path, size_bytes in _walked(root, exclude):
        if is_output(path, outputs):
            continue
        found[path] = None
        size += size_bytes if size_bytes <= MAX_FILE_BYTES else 0
        if len(found) > MAX_WALKED_FILES or size > MAX_WALKED_BYTES:
            found = dict.fromkeys(_loaded_files(root))
            warnings += (
                f"{root} is not a git repository and holds more than {MAX_WALKED_FILES} files or"
                f" {MAX_WALKED_BYTES // 1024**2} MB, so only the {len(found)} modules loaded from it were captured;"
                " to define what belongs to the project, run git init there",
            )
            break
    files, skipped = sift(root, found, exclude)
    return WorkingTree(root=root, files=files, skipped=skipped, warnings=warnings)


def _walked(root: Path, exclude: Sequence[Path]) -> Iterator[tuple[str, int]]:
    left_out = {os.fspath(path) for path in exclude}
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if _is_walked(folder, name, left_out))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.endswith(".pyc"):
                yield path.relative_to(root).as_posix(), path.lstat().st_size


def _is_walked(folder: str, name: str, left_out: set[str]) -> bool:
    path = os.path.join(folder, name)  # noqa: PTH118 - a Path is 10 times slower, for every folder
    hidden = name.startswith(".") or name in _NOT_WALKED or path in left_out
    return not hidden and not os.path.exists(os.path.join(path, "pyvenv.cfg"))  # noqa: PTH110, PTH118


def _loaded_files(root: Path) -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if (
            isinstance(file, str)
            and Path(file).is_relative_to(root)
            and "site-packages" not in file
        ):
            yield Path(file).relative_to(root).as_posix()
