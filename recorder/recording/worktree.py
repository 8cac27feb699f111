"""Compare two runs, or a run with the present state of its project, environment and inputs.

Nothing is run or written. The imports that capture the present state take 20 ms and stay inside the functions: a
comparison of two runs needs none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ..compare import ObjectReader
from ..compare.diff import SECTIONS, Diff, diff
from ..compare.direction import Directions
from ..digest import canonical_json, digest_file, digest_json
from ..errors import SnapshotError
from ..records import Code, EditableProject, Function, Input, Record
from ..store.store import RunStore

# The sections of a record that exist for a project in which nothing has been run yet.
KNOWN = ("code", "environment", "inputs")
_ENVIRONMENT = "environment at present"
# Variables that scikit-learn sets on import if they are unset. The comparing process may or may not have imported
# it, which is no change since the run.
_SET_BY_IMPORT = {"KMP_DUPLICATE_LIB_OK": "True", "KMP_INIT_AT_FORK": "FALSE"}


class Sides(NamedTuple):
    """The two sides of a comparison: records, the sections to compare, and where their contents are read from."""

    records: tuple[Record, Record]
    sections: tuple[str, ...]
    objects: ObjectReader
    files: Callable[[str], Mapping[str, str]]
    read: Callable[[str, str], bytes]

    def diff(self, directions: Directions) -> Diff:
        """Return the differences between the two sides."""
        found = diff(*self.records, self.objects, files=self.files, directions=directions)
        return found.only(*self.sections)


def is_folder(ref: str) -> bool:
    """Return whether `ref` names a folder to compare with, such as ``.`` or ``../other``, and not a run."""
    return (ref in (".", "..") or os.sep in ref) and Path(ref).is_dir()


def sides(store: RunStore, a: Record, b: Record | Path) -> Sides:
    """Return run `a` and run `b` as sides, or run `a` and the present state of folder `b`. Raises SnapshotError."""
    if isinstance(b, Record):
        return Sides((a, b), SECTIONS, store.objects, store.snapshots.files, store.snapshots.read)
    now = look(store, a, folder=b)
    return Sides((a, now.record), KNOWN, now, now.files, now.read_file)


def project_folder(code: Code, store: RunStore) -> Path:
    """Return the folder of the run's project: the recorded one, else (a moved project) the parent of the store."""
    return Path(code.root) if Path(code.root).is_dir() else store.path.parent


class _Folders:
    """Projects in their present state, each under a name used in place of a snapshot; files have git blob names."""

    def __init__(self, *, like: str) -> None:
        self.paths: dict[str, Path] = {}
        self.files: dict[str, Mapping[str, str]] = {}
        self._like = like

    def take(
        self, path: Path, *, exclude: Sequence[Path] = (), outputs: frozenset[str] = frozenset()
    ) -> Code:
        """Return the code in the folder."""
        from ..capture.code.code import describe_tree

        tree = describe_tree(path, exclude=exclude, outputs=outputs)
        name = f"the files in {path}"
        self.paths[name] = path
        self.files[name] = {file: _blob(path / file, like=self._like) for file in tree.files}
        return Code(
            root=str(path),
            snapshot=name,
            commit=tree.commit,
            branch=tree.branch,
            remote=tree.remote,
            dirty=tree.dirty,
            submodules=tree.submodules,
        )

    def take_project(self, project: EditableProject) -> EditableProject:
        """Return the project in its present state, without a snapshot if its folder is gone."""
        if not Path(project.root).is_dir():
            return replace(project, snapshot=None, commit=None)
        now = self.take(Path(project.root))
        return replace(project, snapshot=now.snapshot, commit=now.commit)


class Present(NamedTuple):
    """A record with the present state in place of the recorded one (number 0), and the readers of its contents.

    It has the reading methods of `recorder.store.objects.objects.Objects` and `recorder.store.snapshots.Snapshots`.
    """

    record: Record
    store: RunStore
    folders: _Folders
    environment: bytes

    def read(self, digest: str) -> bytes:
        """Return the object's bytes. Raises ObjectNotFoundError."""
        return self.environment if digest == _ENVIRONMENT else self.store.objects.read(digest)

    def path(self, digest: str) -> Path:
        """Return the object's file."""
        return self.store.objects.path(digest)

    def verify(self, digest: str) -> bool:
        """Return whether the bytes of the object's file match the digest."""
        return self.store.objects.verify(digest)

    def files(self, tree: str) -> Mapping[str, str]:
        """Return the blob of each file by path, of a snapshot or of a folder in its present state."""
        listed = self.folders.files
        return listed[tree] if tree in listed else self.store.snapshots.files(tree)

    def read_file(self, tree: str, path: str) -> bytes:
        """Return a file's bytes. Raises SnapshotError."""
        if tree in self.folders.paths:
            return _content(self.folders.paths[tree] / path)
        return self.store.snapshots.read(tree, path)


def look(store: RunStore, record: Record, *, folder: Path) -> Present:
    """Return the present state for the run `record`, taken from the project of `folder`.

    A folder inside the run's project stands for that project; any other for the project that contains it, such as
    a clone. Raises SnapshotError for a run without a snapshot of its code.
    """
    from ..capture.code.code import find_root

    code = record.code
    if code is None or code.snapshot is None:
        raise SnapshotError(f"run {record.number} has no snapshot of its code to compare with")
    own, here = project_folder(code, store), folder.resolve()
    root = own if here.is_relative_to(own) else find_root(None, cwd=here)
    folders = _Folders(like=code.snapshot)
    now = folders.take(root, exclude=[store.path], outputs=store.known_outputs.read())
    now = replace(now, projects=tuple(map(folders.take_project, code.projects)))
    inputs = (_input(item, root) for item in record.inputs)
    present = replace(
        record,
        number=0,
        code=now,
        function=_function(record.function, root),
        environment=None if record.environment is None else _ENVIRONMENT,
        runtime=None,
        process=None,
        inputs=tuple(item for item in inputs if item is not None),
    )
    return Present(present, store, folders, _environment(record, store))


def _environment(record: Record, store: RunStore) -> bytes:
    """Return the environment of this process; variables that only an import sets are as in the run."""
    from msgspec import json

    from ..capture.environment.environment import describe_environment

    now = describe_environment().described
    if record.environment is not None:
        then = json.decode(store.read(record.environment)).get("variables") or {}
        variables = {**now["variables"]}
        for name, value in _SET_BY_IMPORT.items():
            if {then.get(name), variables.get(name)} == {value, None}:
                variables.pop(name, None)
                variables |= {name: value} if name in then else {}
        now = {**now, "variables": variables}
    return canonical_json(now)


def _content(path: Path) -> bytes:
    try:
        return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from error


def _blob(path: Path, *, like: str) -> str:
    """Return the file's object name in a git repository whose names have the length of `like` (SHA-1 or SHA-256).

    Format: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    import hashlib

    data = _content(path)
    hasher = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    hasher.update(b"blob %d\0" % len(data) + data)
    return hasher.hexdigest()


def _function(function: Function, root: Path) -> Function:
    """Return the function with the digest of its present source, None if it is gone."""
    from ..capture.code.source import find_source

    if function.file is None or function.source is None:
        return function
    file = root / function.file
    text = file.read_text(errors="replace") if file.is_file() else ""
    source = find_source(text, qualname=function.qualname, digest=function.source)
    source = source or find_source(text, qualname=function.qualname, digest=None)
    return replace(function, source=None if source is None else digest_json("source", source))


def _input(item: Input, root: Path) -> Input | None:
    path = root / item.path  # an absolute path stays unchanged
    if not path.is_file():
        return None
    return replace(item, digest=digest_file(path), size_bytes=path.stat().st_size)
