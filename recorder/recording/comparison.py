"""The two sides of a comparison: two runs of a store, or a run and the working tree as it is now."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..compare import ObjectReader
from ..compare.diff import SECTIONS, Diff, diff
from ..compare.direction import Directions
from ..records import Record
from ..store.store import RunStore


class Sides(NamedTuple):
    """The two records, which sections of them say anything, and where what they name is read from."""

    records: tuple[Record, Record]
    sections: tuple[str, ...]
    objects: ObjectReader
    files: Callable[[str], Mapping[str, str]]
    read: Callable[[str, str], bytes]

    def diff(self, directions: Directions) -> Diff:
        """What is different about them."""
        found = diff(*self.records, self.objects, files=self.files, directions=directions)
        return found.only(*self.sections)


def is_folder(ref: str) -> bool:
    """Whether the text names a folder to compare with, ``.`` or ``../other``, and no run."""
    return (ref in (".", "..") or os.sep in ref) and Path(ref).is_dir()


def sides(store: RunStore, a: Record, b: Record | Path) -> Sides:
    """The runs `a` and `b`, or for a folder `a` and what is there now. Raises SnapshotError."""
    if isinstance(b, Record):
        return Sides((a, b), SECTIONS, store.objects, store.snapshots.files, store.snapshots.read)
    from .worktree import KNOWN, look  # with what captures: 20 ms, of no use between two runs

    now = look(store, a, folder=b)
    return Sides((a, now.record), KNOWN, now, now.files, now.read_file)
