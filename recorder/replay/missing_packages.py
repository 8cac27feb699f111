"""Packages that the code of a run imports and the present environment lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..errors import RecorderError
from ..records import Record
from ..store.store import RunStore
from .deviations import Deviation

# Modules whose name is not that of their distribution.
_DISTRIBUTIONS = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "git": "gitpython",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "skopt": "scikit-optimize",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}
# Above this number of files, the search would take longer than starting the replay.
_MOST_FILES = 500


def missing_packages(
    store: RunStore, record: Record, deviations: tuple[Deviation, ...]
) -> Iterator[str]:
    """Yield a blocker if the project's code imports packages that are not installed now.

    A package that only another package imported is no blocker, since that may do without it.
    """
    gone = {
        one.key.removeprefix("packages."): one.recorded
        for one in deviations
        if one.matters and one.now is None and one.key.startswith("packages.")
    }
    if not gone:
        return
    needed = [name for name in gone if name in _imported_by_code(store, record)]
    if needed:
        listed = ", ".join(f"{name} {str(gone[name]).split(' ')[0]}" for name in needed)
        verb = "is" if len(needed) == 1 else "are"
        yield (
            f"its code imports {listed}, which {verb} not installed; try: recorder replay {record.number} --env rebuild"
            " (or --env PATH)"
        )


def _imported_by_code(store: RunStore, record: Record) -> set[str]:
    """Return the distributions that the files of the snapshot import, by normalized names."""
    code = record.code
    if code is None or code.snapshot is None or not store.snapshots.has(code.snapshot):
        return set()
    files = [path for path in store.snapshots.files(code.snapshot) if path.endswith(".py")]
    if record.function.file in files:  # the only file that surely ran
        files.remove(record.function.file)
        files.insert(0, record.function.file)
    modules: set[str] = set()
    for path in files[:_MOST_FILES]:
        try:
            tree = ast.parse(store.snapshots.read(code.snapshot, path))
        except (SyntaxError, ValueError, RecorderError):
            continue  # not a module of this version of Python
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                modules.add(node.module)
    roots = {name.partition(".")[0].lower().replace("_", "-") for name in modules}
    return roots | {_DISTRIBUTIONS[root] for root in roots if root in _DISTRIBUTIONS}
