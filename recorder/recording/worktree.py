"""A run's project, environment and inputs as they are now: nothing is written for it, nothing run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ..capture.code.code import describe_tree, find_root
from ..capture.code.source import find_source
from ..capture.environment.environment import describe_environment
from ..digest import canonical_json, digest_file, digest_json
from ..errors import SnapshotError
from ..records import Code, Function, Input, Project, Record
from ..store.store import RunStore

# What of a record there is to say of a project in which nothing has been run yet.
KNOWN = ("code", "environment", "inputs")
_ENVIRONMENT = "environment as it is now"
# What scikit-learn sets where nobody has, as it is imported. Whoever compares has imported it or has not: that is no
# change since the run.
_SET_BY_IMPORT = {"KMP_DUPLICATE_LIB_OK": "True", "KMP_INIT_AT_FORK": "FALSE"}


def find_project(code: Code, store: RunStore) -> Path:
    """The folder of the run's project: where it was, else, as after the project has been moved, beside the store."""
    return Path(code.root) if Path(code.root).is_dir() else store.path.parent


class _Folders:
    """Projects as they are now, each under a name in the place of a snapshot's; files have the names of git's blobs."""

    def __init__(self, *, like: str) -> None:
        self.paths: dict[str, Path] = {}
        self.files: dict[str, Mapping[str, str]] = {}
        self._like = like

    def take(
        self, path: Path, *, exclude: Sequence[Path] = (), outputs: frozenset[str] = frozenset()
    ) -> Code:
        """The code in the folder."""
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

    def take_project(self, project: Project) -> Project:
        """The project as it is now; without a snapshot where its folder is gone."""
        if not Path(project.root).is_dir():
            return replace(project, snapshot=None, commit=None)
        now = self.take(Path(project.root))
        return replace(project, snapshot=now.snapshot, commit=now.commit)


class Present(NamedTuple):
    """The record with what is so now in its place, numbered 0, and where what it names is read from.

    It is read as `recorder.store.objects.objects.Objects` and `recorder.store.snapshots.Snapshots` are.
    """

    record: Record
    store: RunStore
    folders: _Folders
    environment: bytes

    def read(self, digest: str) -> bytes:
        """The object's bytes; raises ObjectNotFoundError."""
        return self.environment if digest == _ENVIRONMENT else self.store.objects.read(digest)

    def path(self, digest: str) -> Path:
        """The file that has them."""
        return self.store.objects.path(digest)

    def verify(self, digest: str) -> bool:
        """Whether that file's bytes are those of the digest."""
        return self.store.objects.verify(digest)

    def files(self, tree: str) -> Mapping[str, str]:
        """The blob of each file by its path, of a snapshot or of a folder as it is now."""
        listed = self.folders.files
        return listed[tree] if tree in listed else self.store.snapshots.files(tree)

    def read_file(self, tree: str, path: str) -> bytes:
        """A file's bytes. Raises SnapshotError."""
        if tree in self.folders.paths:
            return _content(self.folders.paths[tree] / path)
        return self.store.snapshots.read(tree, path)


def look(store: RunStore, record: Record, *, folder: Path) -> Present:
    """How things are now for the run `record`, in `folder`'s project.

    Where the folder lies in the run's own project that is meant, else the project that holds it, as a clone of the
    run's does. Raises SnapshotError for a run without a snapshot of its code.
    """
    code = record.code
    if code is None or code.snapshot is None:
        raise SnapshotError(f"run {record.number} has no snapshot of its code to compare with")
    own, here = find_project(code, store), folder.resolve()
    root = own if here.is_relative_to(own) else find_root(None, cwd=here)
    folders = _Folders(like=code.snapshot)
    now = folders.take(root, exclude=[store.path], outputs=store.known_outputs.read())
    now = replace(now, projects=tuple(map(folders.take_project, code.projects)))
    return Present(_now(record, now, root), store, folders, _environment(record, store))


def _now(record: Record, code: Code, root: Path) -> Record:
    """The record with that code, and what is there now of its function and its inputs."""
    return replace(
        record,
        number=0,
        code=code,
        function=_function(record.function, root),
        environment=None if record.environment is None else _ENVIRONMENT,
        runtime=None,
        process=None,
        inputs=tuple(one for item in record.inputs if (one := _input(item, root)) is not None),
    )


def _environment(record: Record, store: RunStore) -> bytes:
    """The environment of this process; variables that only an import sets are as they were for the run."""
    now = describe_environment().described
    if record.environment is not None:
        then = msgspec.json.decode(store.read(record.environment)).get("variables") or {}
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
    """The file's name in a git repository that names its objects as long as `like`."""
    data = _content(path)
    hasher = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    hasher.update(b"blob %d\0" % len(data) + data)
    return hasher.hexdigest()


def _function(function: Function, root: Path) -> Function:
    """The function with the digest of its text as that is now, None where it is gone."""
    if function.file is None or function.source is None:
        return function
    file = root / function.file
    text = file.read_text(errors="replace") if file.is_file() else ""
    own = find_source(text, qualname=function.qualname, digest=function.source)
    own = own or find_source(text, qualname=function.qualname, digest=None)
    return replace(function, source=None if own is None else digest_json("source", own))


def _input(item: Input, root: Path) -> Input | None:
    path = root / item.path  # an absolute one stays what it is
    if not path.is_file():
        return None
    return replace(item, digest=digest_file(path), size_bytes=path.stat().st_size)
