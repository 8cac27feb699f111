"""The findings of a check, and the folder for data that a repair cannot place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ....errors import RecorderError
from ....records import new_id
from ...filesystem.disk import is_regular, write_durably


class Finding(NamedTuple):
    """A defect in a store: a fact about bytes at a place, at the time of the check.

    `kind` is a word or two; `place` is relative to the store; `what` describes the defect; `runs` are the numbers of
    the affected runs; `repair` describes the repair, "" if there is none; `is_damage` is false for files that were
    merely left behind. `mend` performs the repair and returns a description of what it did; it takes the lock that it
    needs, reads the place again, and raises StaleFindingError if that has changed. `discard` does the same for damage
    that cannot be repaired: it moves the bytes to ``lost+found``, which gives up what they held.
    """

    kind: str
    place: str
    what: str
    runs: tuple[int, ...] = ()
    repair: str = ""
    is_damage: bool = True
    mend: Callable[[], str] | None = None
    discard: Callable[[], str] | None = None


class StaleFindingError(RecorderError, RuntimeError):
    """The place of a finding has changed since the check, so that a repair would act on other bytes."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} has changed since the check; check again")


class RepairResult(NamedTuple):
    """The result of a repair: a description of what was done, and whether nothing is lost and the defect is gone."""

    finding: Finding
    done: str
    is_repaired: bool


class Unplaced:
    """The folder ``lost+found``, to which repairs move data instead of deleting it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def move(self, path: Path, *, name: str) -> Path:
        """Move the file or folder there; return its new path."""
        target = self._free(name)
        path.rename(target)
        return target

    def write(self, data: bytes, *, name: str) -> Path:
        """Write the bytes there, synced; return the path."""
        target = self._free(name)
        write_durably(target, data)
        return target

    def _free(self, name: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        target = self.folder / name.replace("/", "-").replace(":", "-")
        is_taken = target.exists() or target.is_symlink()
        return target.with_name(f"{target.name}.{new_id()[:8]}") if is_taken else target

    def files(self) -> Iterable[Path]:
        """Return the files there."""
        return [path for path in self.folder.rglob("*") if is_regular(path)]
