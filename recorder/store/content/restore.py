"""Restore the outputs, the inputs and the code of a run to a folder.

Everything is written to a temporary folder and moved into place when all of it is complete. Nothing is overwritten
without `force`, and nothing is ever written outside the folder, neither through an existing link nor by a name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Literal, NamedTuple, TypeAlias

from ...errors import ContentNotFoundError, DestinationError
from ...records import Input, Record
from ..objects.trees import TreeEntry, leads_out, leaves, os_name
from ..store import RunStore
from .contents import Found, not_found, open_content

Kind: TypeAlias = Literal["code", "inputs", "outputs"]
# If two kinds have the same path, the later one is restored.
KINDS: tuple[Kind, ...] = ("code", "inputs", "outputs")

_CHUNK_BYTES = 1 << 20


class Restored(NamedTuple):
    """The restored paths relative to the folder, their total size, and what was left out, with the reasons."""

    paths: list[str]
    size_bytes: int
    left_out: list[str]


class _Piece(NamedTuple):
    """A file, link or empty folder, with the function that writes it to a path where nothing exists."""

    write: Callable[[Path], None]
    link: TreeEntry | None = None


def restore(
    store: RunStore,
    record: Record,
    dest: Path,
    *,
    names: Sequence[str] = (),
    kinds: Sequence[Kind] = ("outputs",),
    force: bool = False,
) -> Restored:
    """Restore the run's files of the given kinds to `dest`, or only those matching `names`: paths, folders, patterns.

    Outputs are restored under their names, inputs and code under their paths in the project; an input from elsewhere
    under its whole path. Raises, with nothing changed, ContentNotFoundError for a name that matches nothing,
    DestinationError if a file exists (`force` replaces files) or would be written outside `dest`, DamageError, and
    ObjectNotFoundError.
    """
    from tempfile import TemporaryDirectory

    parent = next(folder for folder in (dest, *dest.absolute().parents) if folder.is_dir())
    with TemporaryDirectory(prefix=".recorder-restore-", dir=parent) as staged:
        layout = _Layout(store, record, Path(staged))
        pieces = layout.pieces(kinds)
        wanted = {path: pieces[path] for path in _wanted(record, list(pieces), names, layout)}
        _refuse(dest, wanted, force=force)
        laid = Path(staged) / "files"
        for path, piece in wanted.items():
            _write(piece, laid, path)
        links_out = _drop_links_out(laid, wanted)
        there = [path for path in wanted if path not in links_out]
        size = sum((laid / p).lstat().st_size for p in there if not (laid / p).is_dir())
        for path in there:
            _move(laid / path, dest / path)
    left_out = [f"{path}: a link that leads out of the folder" for path in links_out]
    return Restored(there, size, [*layout.left_out, *left_out])


class _Layout:
    """The files of a run by path; the code is written to `staged` when one of its files is needed."""

    def __init__(self, store: RunStore, record: Record, staged: Path) -> None:
        self._store = store
        self._record = record
        self._code = staged / "code"
        self.left_out: list[str] = []

    def pieces(self, kinds: Sequence[Kind]) -> dict[str, _Piece]:
        """Return the pieces of those kinds by their paths."""
        makers = {"code": self._code_pieces, "inputs": self._inputs, "outputs": self._outputs}
        pieces: dict[str, _Piece] = {}
        for kind in KINDS:
            if kind in kinds:
                pieces.update(makers[kind]())
        return pieces

    def _outputs(self) -> Iterator[tuple[str, _Piece]]:
        objects = self._store.objects
        for output in self._record.outputs:
            name = output.name
            if output.kind == "value":
                number = self._record.number
                self.left_out.append(
                    f"{name}: a value, not a file; try: recorder cat {number}:{name}"
                )
            elif not output.stored:
                self.left_out.append(f"{name}: it was too large to store")
            elif output.kind == "file":
                yield name, _Piece(_writer(objects.restore_file, output.digest))
            else:
                for entry in objects.read_tree(output.digest).entries:
                    yield f"{name}/{os_name(entry.path)}", self._entry(entry)

    def _entry(self, entry: TreeEntry) -> _Piece:
        if entry.kind == "folder":
            return _Piece(Path.mkdir)
        if entry.kind == "link":
            return _Piece(lambda path: path.symlink_to(os_name(entry.target or "")), entry)
        write = self._store.objects.restore_file
        return _Piece(lambda path: write(entry.digest or "", path, executable=entry.executable))

    def _inputs(self) -> Iterator[tuple[str, _Piece]]:
        for item in self._record.inputs:
            if not item.stored:
                self.left_out.append(f"{item.path}: the store has only the digest of this input")
                continue
            path = (
                item.path
                if item.in_root
                else PurePath(item.path).relative_to(PurePath(item.path).anchor).as_posix()
            )
            yield path, _Piece(self._input_writer(item))

    def _input_writer(self, item: Input) -> Callable[[Path], None]:
        found = Found(item.path, "file", digest=item.digest, input=item)

        def write(path: Path) -> None:
            if self._store.objects.has(item.digest):
                self._store.objects.restore_file(item.digest, path)
                return
            with open_content(self._store, self._record, found) as source, path.open("xb") as file:
                while chunk := source.read(_CHUNK_BYTES):
                    file.write(chunk)

        return write

    def _code_pieces(self) -> Iterator[tuple[str, _Piece]]:
        code = self._record.code
        if code is None or code.snapshot is None:
            self.left_out.append("the code: the run has no snapshot")
            return
        for project in code.projects:
            self.left_out.append(
                f"the project {project.name}: it lies outside the root; try: recorder code"
                f" {self._record.number}"
            )
        for path in self._store.snapshots.files(code.snapshot):
            yield path, _Piece(self._code_writer(code.snapshot, path))

    def _code_writer(self, snapshot: str, path: str) -> Callable[[Path], None]:
        def write(to: Path) -> None:
            if not self._code.exists():
                self._store.snapshots.lay_out(snapshot, self._code)
            (self._code / path).rename(to)

        return write


def _writer(write: Callable[[str, Path], None], digest: str) -> Callable[[Path], None]:
    return lambda path: write(digest, path)


def _wanted(
    record: Record, paths: Sequence[str], names: Sequence[str], layout: _Layout
) -> list[str]:
    """Return the paths that match the names, all paths if there are no names."""
    for name in names:
        if not any(_is_named(path, name) for path in paths):
            reason = next((one for one in layout.left_out if one.startswith(f"{name}: ")), None)
            if reason is not None:
                raise ContentNotFoundError(f"cannot restore {reason}", name=name)
            raise not_found(f"run {record.number} has no {name!r} to restore", name, paths)
    if names:
        layout.left_out.clear()
    return [path for path in paths if not names or any(_is_named(path, name) for name in names)]


def _is_named(path: str, name: str) -> bool:
    name = name.rstrip("/")
    return path == name or path.startswith(f"{name}/") or fnmatchcase(path, name)


def _refuse(dest: Path, pieces: Mapping[str, _Piece], *, force: bool) -> None:
    """Raise DestinationError for a path that exists, or that would be written outside the folder."""
    root = dest.resolve()
    taken = []
    for path in pieces:
        target = dest / path
        parent = target.parent.resolve()
        if leaves(path) or (parent != root and root not in parent.parents):
            raise DestinationError(f"{path} would be written outside {dest}", path=target)
        if os.path.lexists(target) and not (force and not _is_folder(target)):
            taken.append(target)
    if taken:
        more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        names = f"{', '.join(map(str, taken[:3]))}{more}"
        hint = "a folder is never replaced" if force else "--force replaces files"
        raise DestinationError(f"already exists: {names} ({hint})", path=taken[0])


def _write(piece: _Piece, laid: Path, path: str) -> None:
    """Write a piece to the temporary folder, but not through a link that another piece created."""
    parent = (laid / path).parent
    if not parent.resolve().is_relative_to(laid.resolve()):
        raise DestinationError(f"{path} would be written through a link", path=Path(path))
    parent.mkdir(parents=True, exist_ok=True)
    piece.write(laid / path)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _drop_links_out(laid: Path, pieces: Mapping[str, _Piece]) -> list[str]:
    """Return the paths of the links that lead out of the folder, directly or by way of other links."""
    root = laid.resolve()
    dropped = []
    for path, piece in pieces.items():
        place = laid / path
        if not place.is_symlink():
            continue
        end = Path(os.path.realpath(place))
        if (piece.link is not None and leads_out(piece.link)) or not end.is_relative_to(root):
            dropped.append(path)
    return dropped


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if _is_folder(source):
        target.mkdir(exist_ok=True)
    else:
        source.replace(target)
