"""A run's project, environment and inputs as they are now: nothing is written for it, nothing run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from .capture.code import describe_tree, find_root
from .capture.environment import describe_environment
from .capture.source import find_source
from .digest import canonical_json, digest_file, digest_json
from .errors import SnapshotError
from .records import Code, Function, Input, Project, Record
from .store.store import Store

# What of a record there is to say of a project in which nothing has been run yet.
KNOWN = ("code", "environment", "inputs")
_ENVIRONMENT = "environment as it is now"


def find_project(code: Code, store: Store) -> Path:
    """The folder of the run's project: where it was, else, as after the project has been moved, beside the store."""
    return Path(code.root) if Path(code.root).is_dir() else store.path.parent


class Present(NamedTuple):
    """The record with what is so now in its place, numbered 0, and where what it names is read from.

    It is read as `recorder.store.objects.Objects` and `recorder.store.snapshots.Snapshots` are.
    """

    record: Record
    store: Store
    trees: Mapping[str, Path]
    listed: Mapping[str, Mapping[str, str]]
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
        return self.listed[tree] if tree in self.listed else self.store.snapshots.files(tree)

    def read_file(self, tree: str, path: str) -> bytes:
        """A file's bytes. Raises SnapshotError."""
        if tree in self.trees:
            return _content(self.trees[tree] / path)
        return self.store.snapshots.read(tree, path)


def look(store: Store, record: Record, *, folder: Path) -> Present:
    """How things are now for the run `record`, in `folder`'s project.

    Where the folder lies in the run's own project that is meant, else the project that holds it, as a clone of the
    run's does. Raises SnapshotError for a run without a snapshot of its code.
    """
    code = record.code
    if code is None or code.snapshot is None:
        raise SnapshotError(f"run {record.number} has no snapshot of its code to compare with")
    own, here = find_project(code, store), folder.resolve()
    root = own if here.is_relative_to(own) else find_root(None, cwd=here)
    trees, listed = {}, {}

    def take(path: Path, exclude: list[Path], outputs: frozenset[str]) -> Code:
        tree = describe_tree(path, exclude=exclude, outputs=outputs)
        name = f"the files in {path}"
        trees[name] = path
        listed[name] = {file: _blob(path / file, like=str(code.snapshot)) for file in tree.files}
        return Code(
            root=str(path),
            snapshot=name,
            commit=tree.commit,
            branch=tree.branch,
            remote=tree.remote,
            dirty=tree.dirty,
            submodules=tree.submodules,
        )

    def take_project(project: Project) -> Project:
        if not Path(project.root).is_dir():
            return replace(project, snapshot=None, commit=None)
        now = take(Path(project.root), [], frozenset())
        return replace(project, snapshot=now.snapshot, commit=now.commit)

    now = take(root, [store.path], store.known_outputs.read())
    now = replace(now, projects=tuple(map(take_project, code.projects)))
    found = replace(
        record,
        number=0,
        code=now,
        function=_function(record.function, root),
        environment=None if record.environment is None else _ENVIRONMENT,
        runtime=None,
        process=None,
        inputs=tuple(one for item in record.inputs if (one := _input(item, root)) is not None),
    )
    described = canonical_json(describe_environment().described)
    return Present(found, store, trees, listed, described)


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
