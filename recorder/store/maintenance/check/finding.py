"""What a check has found, and the folder for what a repair cannot place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ....records import new_id
from ...filesystem.disk import write_durably


class Finding(NamedTuple):
    """Something in a store that is not as it should be.

    `kind` is a word or two; `place` where it is, relative to the store; `what` is wrong; `runs` are the numbers of
    those affected; `repair` is what a repair would do, "" where it can do nothing; `is_damage` tells what is lost
    or changed from what was merely left behind. `mend` does the repair, and says what it did.
    """

    kind: str
    place: str
    what: str
    runs: tuple[int, ...] = ()
    repair: str = ""
    is_damage: bool = True
    mend: Callable[[], str] | None = None


class RepairResult(NamedTuple):
    """What a repair made of a finding: what was done, and whether that leaves it as it should be."""

    finding: Finding
    done: str
    is_repaired: bool


class Unplaced:
    """The folder ``lost+found``: whatever a repair takes from its place goes there, so that nothing is deleted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def move(self, path: Path, *, name: str) -> Path:
        """Move the file or folder there; where it is now."""
        target = self._free(name)
        path.rename(target)
        return target

    def write(self, data: bytes, *, name: str) -> Path:
        """Keep the bytes there, synced; where they are."""
        target = self._free(name)
        write_durably(target, data)
        return target

    def _free(self, name: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        target = self.folder / name.replace("/", "-").replace(":", "-")
        return target.with_name(f"{target.name}.{new_id()[:8]}") if target.exists() else target

    def files(self) -> Iterable[Path]:
        """The files that lie there."""
        return [path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()]
