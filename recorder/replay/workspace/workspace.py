"""The workspace of a replay: the snapshot's files and the inputs, without access to the live tree.

::

    .recorder/workspaces/<id>/
      lock       held by the replay and by its process, which may outlive a killed parent; `gc` skips it
      held       a list of the snapshot's files
      files/     stands for the root of the file system, so that relative paths out of the project still work:
        .../PROJECT   the files of the snapshot, and the recorded inputs inside the project
        ...           inputs outside the project: stored ones, and links to those that are read in place
      projects/  the files of imported projects outside the root, a folder each
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ...capture.code.editable_projects import finder_mappings
from ...digest import digest_file
from ...paths import PACKAGE
from ...records import Record, new_id
from ...secrets.filenames import is_secret_file
from ...store.filesystem.folder_lock import FolderLock
from ...store.store import RunStore
from .inputs import InputSource
from .layout import lay_out
from .repository import asks_git, make_repository

# The first bytes of a script with an interpreter, and of ELF and Mach-O programs.
_PROGRAMS = (b"#!", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


class Workspace:
    """The workspace of one replay, removed at the end of the ``with`` block unless `keep`."""

    def __init__(
        self, store: RunStore, record: Record, *, sources: Sequence[InputSource], keep: bool = False
    ) -> None:
        self.path = store.path / "workspaces" / new_id()
        self._files = self.path / "files"
        self.tree = self._files / ("project" if record.code is None else _below(record.code.root))
        self._store = store
        self._record = record
        self._keep = keep
        self._snapshot = None if record.code is None else record.code.snapshot
        self._sources = sources
        self._folder = FolderLock(self.path)

    def __enter__(self) -> Workspace:
        self._folder.enter()
        try:
            self._fill()
        except BaseException:
            self._folder.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._keep:
            self._folder.release()
        else:
            self._folder.remove()

    @property
    def held_files(self) -> Path:
        """The path of a list of the snapshot's files, which saves the replay's process a call of git."""
        return self.path / "held"

    @property
    def held(self) -> tuple[int, ...]:
        """The descriptors of the lock. The replay's process inherits them, so the lock lasts until that has ended."""
        return self._folder.lock.fds

    @property
    def cwd(self) -> Path:
        """The folder that stands for the recorded working directory, inside or outside the tree."""
        process = self._record.process
        inside = process.cwd_in_root if process is not None else None
        if inside is not None:
            path = self.tree / inside
        else:
            path = self._files / ("cwd" if process is None else _below(process.cwd))
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def projects(self) -> dict[str, str]:
        """The folders of the projects outside the root, by their recorded roots."""
        code = self._record.code
        found = {}
        for number, project in enumerate(() if code is None else code.projects):
            name = Path(project.root).name
            place = self.path / "projects" / str(number) / ("project" if name == ".." else name)
            found[project.root] = str(place)
        return found

    def _fill(self) -> None:
        code = self._record.code
        if code is not None and code.snapshot is not None:
            self.held_files.write_bytes(b"\0".join(lay_out(self._store, code.snapshot, self.tree)))
        else:
            self.tree.mkdir(parents=True)
        for project in () if code is None else code.projects:
            if project.snapshot is not None:
                lay_out(self._store, project.snapshot, Path(self.projects[project.root]))
        self._clear_outputs()
        self._lay_inputs()
        if asks_git(self._record):
            make_repository(self._record, self.tree)

    def _clear_outputs(self) -> None:
        """Remove the outputs of an earlier run, which could pass for outputs of the replay."""
        read = {item.path for item in self._record.inputs if item.in_root}
        for output in self._record.outputs:
            if output.path is None or output.kind == "value" or output.path in read:
                continue
            if output.found:
                continue  # only a write makes it an output, and the run may have changed it in place
            path = self.cwd / output.path
            if not path.resolve().is_relative_to(self.tree.resolve()):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _lay_inputs(self) -> None:
        for source in self._sources:
            if source.in_root:
                self._lay_inside(source, self.tree / source.path)
            else:
                self._lay_outside(source, self._files / _below(source.path))

    def _lay_outside(self, source: InputSource, place: Path) -> None:
        if place.exists() or source.kind in ("snapshot", "missing"):
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.at is not None:
            place.symlink_to(source.at)
        else:
            self._restore(source, place)

    def _lay_inside(self, source: InputSource, path: Path) -> None:
        """Place an input of the project. A file with credentials is linked to, never copied into the store's folder."""
        if source.kind == "store" and path.is_file() and digest_file(path) == source.digest:
            return
        if source.kind == "missing" or source.at == self._snapshot:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if source.kind == "snapshot" and source.at is not None:
            # The new run's snapshot, of the current code, has other content under this name, so the store keeps this.
            content = self._store.snapshots.read(source.at, source.path)
            self._store.objects.put_bytes(content)
            path.write_bytes(content)
        elif source.at is None:
            self._restore(source, path)
        elif is_secret_file(source.path):
            path.symlink_to(source.at)
        else:
            shutil.copyfile(source.at, path)

    def _restore(self, source: InputSource, path: Path) -> None:
        """Write a stored input. A record has no modes of inputs, so programs are recognized by their first bytes."""
        self._store.objects.restore_file(source.digest, path)
        with path.open("rb") as file:
            if file.read(4).startswith(_PROGRAMS):
                path.chmod(0o755)

    @property
    def moves(self) -> dict[str, str]:
        """The places to read files outside the project from, by the paths that the program uses.

        A folder that is gone is included with its replacement, since the program may list it.
        """
        found: dict[str, str] = {}
        folders: dict[str, str] = {}
        for source in self._sources:
            if source.in_root or not source.is_moved:
                continue
            known, place = Path(source.path), Path(source.at or self._files / _below(source.path))
            found[str(known)] = str(place)
            while known.name == place.name and not known.parent.exists():
                known, place = known.parent, place.parent
                folders.setdefault(str(known), str(place))
        return {**folders, **found}


def _below(path: str) -> Path:
    """Return an absolute path relative to the root of the file system."""
    return Path(path).relative_to(Path(path).anchor)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class LiveTree:
    """The project's folder on this machine, from which a replay must not import.

    Environments inside it, the store, and recorder itself do not belong to it.
    """

    def __init__(self, root: Path, *, store: Path) -> None:
        self._root = os.path.realpath(root)
        places = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(store), PACKAGE]
        self._outside = [place for place in map(os.path.realpath, places) if place != self._root]
        self._folders: dict[str, str] = {}

    def inside(self, path: str) -> str | None:
        """Return the path relative to the live root; None for a path outside it."""
        if not path:
            return None
        whole = self._resolve(path)
        if not _is_below(whole, self._root) or any(_is_below(whole, p) for p in self._outside):
            return None
        return whole[len(self._root) :].strip(os.sep).replace(os.sep, "/") or "."

    def _resolve(self, path: str) -> str:
        """Return the path without links. Folders are cached: a program has hundreds of modules in a few folders."""
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or not os.path.isabs(folder):  # noqa: PTH117
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        whole = os.path.join(self._folders[folder], name)  # noqa: PTH118
        return os.path.realpath(whole) if os.path.islink(whole) else whole  # noqa: PTH114

    def shut_out(self, tree: Path, *, first: list[str]) -> None:
        """Redirect sys.path and the finders of editable installs from the live tree to `tree`.

        Args:
            tree: The workspace's folder for the project.
            first: Folders, relative to the tree, that come first in sys.path.
        """
        folders = self._redirect_finders(tree)
        moved = [str(tree / place) for place in first]
        moved += [self._moved(entry, tree) for entry in sys.path]
        # Child processes have other finders, so sys.path gets these folders at its end.
        moved += folders
        sys.path[:] = list(dict.fromkeys(moved))
        sys.path_importer_cache.clear()

    def _moved(self, path: str, tree: Path) -> str:
        inside = self.inside(path)
        return path if inside is None else str(tree / inside)

    def _redirect_finders(self, tree: Path) -> list[str]:
        """Redirect the finders of editable installs from the live tree to `tree`; return the folders there."""
        folders = []
        for mapping in finder_mappings():
            for name, places in mapping.items():
                listed = [places] if isinstance(places, str | os.PathLike) else list(places)
                moved = [self._moved(str(place), tree) for place in listed]
                if moved != [str(place) for place in listed]:
                    mapping[name] = moved[0] if isinstance(places, str | os.PathLike) else moved
                    folders += [str(Path(place).parent) for place in moved]
        return folders

    def imported(self) -> list[str]:
        """Return the modules of this process that were imported from the live tree, as ``name (path)``."""
        found = []
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and self.inside(file) is not None:
                found.append(f"{name} ({file})")
        return sorted(found)
