"""The source of each input of a replay: the snapshot, the store, its recorded place, or a place that the user gives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ...digest import digest_file
from ...errors import ConfigError
from ...records import EditableProject, Input, Part, Record
from ...secrets.filenames import is_secret_file
from ...secrets.register import secret_digest
from ...store.store import RunStore
from ..request import Request

_READ_AT = ("in place", "given")
_MOST_NAMED = 4

Kind = Literal["snapshot", "store", "in place", "given", "missing"]


class InputSource(Part, frozen=True):
    """The source of a file that the run read.

    Attributes:
        path: The recorded path, relative to the root where `in_root`.
        digest: The recorded digest.
        kind: ``snapshot``; ``store``, an object of that digest; ``in place``, the recorded path or, for a file of the
            project, the live tree; ``given`` by the user; or ``missing``.
        in_root: Whether the file belongs to the project.
        at: The path to read; for a snapshot its id.
        changed: Whether the content there differs from the recorded one.
        changed_in_place: Whether the file at the recorded path, which is not read, is gone or differs.
    """

    path: str
    digest: str
    kind: Kind
    in_root: bool = False
    at: str | None = None
    changed: bool = False
    changed_in_place: bool = False

    @property
    def is_moved(self) -> bool:
        """True if the replay reads another file than the one at the recorded path."""
        return self.kind == "given" or (self.kind == "store" and self.changed_in_place)


def find_sources(store: RunStore, record: Record, request: Request) -> tuple[InputSource, ...]:
    """Return the source of each of the run's inputs.

    Raises:
        ConfigError: The request gives a place for a path that the run did not read, or a place without a file.
    """
    _check_given(record, request.inputs)
    search = _InputSearch(store, record, request)
    return tuple(search.find(item) for item in record.inputs)


def live_input(record: Record, item: Input) -> Path:
    """Return the path of an input of the project in the live tree."""
    return Path(record.code.root if record.code is not None else ".") / item.path


def input_blockers(
    record: Record, sources: tuple[InputSource, ...], *, current: bool
) -> Iterator[str]:
    """Yield the inputs that block the replay, each with its cure; with `current` a changed file does not."""
    for source in sources:
        give = f"--input {source.path}=PATH"
        if source.kind == "missing" and source.changed_in_place and not source.in_root:
            yield (
                f"the input {source.path} is gone or has changed, and the store has only its digest; restore it, give"
                f" its place with {give}, or read the present file with --current-inputs"
            )
        elif source.kind == "missing" and is_secret_file(source.path):
            yield (
                f"it reads {source.path}, whose name marks it as a secret, so the store does not keep it; put it at"
                f" {source.at} or use {give}"
            )
        elif source.kind == "missing":
            yield f"the store did not keep the input {source.path}; give its place with {give}"
        elif source.kind == "given" and source.changed and not current:
            yield (
                f"{source.at} differs from {source.path} of run {record.number}; to replay with it anyway, add"
                " --current-inputs"
            )


def changed_inputs(sources: tuple[InputSource, ...]) -> Iterator[str]:
    """Yield the inputs that the replay reads with other content than recorded, in words."""
    for one in sources:
        if one.kind in _READ_AT and one.changed:
            yield f"changed input: {one.at}"


def input_notes(record: Record, sources: tuple[InputSource, ...]) -> Iterator[str]:
    """Yield notes about inputs that have changed or come from another place."""
    changed = [str(one.at) for one in sources if one.kind in _READ_AT and one.changed]
    stored = [
        one.path
        for one in sources
        if one.kind == "store" and one.changed_in_place and not one.in_root
    ]
    if changed:
        yield f"changed since run {record.number}: {_list_inputs(changed)}"
    if stored:
        yield f"gone or changed since run {record.number}, so read from the store: {_list_inputs(stored)}"
    children = any(hazard.kind == "child process" for hazard in record.hazards)
    if children and any(source.is_moved for source in sources if not source.in_root):
        yield "its child processes read inputs outside the project at their recorded paths"


def _list_inputs(paths: list[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more inputs" if len(paths) > _MOST_NAMED else ""
    first = ", ".join(paths[:_MOST_NAMED])
    return f"{'the input ' if len(paths) == 1 else 'the inputs ' if not more else ''}{first}{more}"


class _InputSearch:
    def __init__(self, store: RunStore, record: Record, request: Request) -> None:
        self._store = store
        self._record = record
        self._request = request
        code = record.code
        self._snapshot = None if code is None else code.snapshot
        self._projects: tuple[EditableProject, ...] = () if code is None else code.projects

    def find(self, item: Input) -> InputSource:
        given = _given_place(item, self._request.inputs)
        if given is not None:
            same = _is_same(Path(given), item)
            return self._source(item, "given", at=given, changed=not same)
        return self._find_inside(item) if item.in_root else self._find_outside(item)

    def _source(self, item: Input, kind: Kind, **more: Any) -> InputSource:
        place: dict[str, Any] = {"path": item.path, "digest": item.digest, "in_root": item.in_root}
        return InputSource(kind=kind, **place, **more)

    def _find_inside(self, item: Input) -> InputSource:
        if self._store.objects.has(item.digest):
            return self._source(item, "store")
        if self._snapshot is not None and item.path in self._store.snapshots.files(self._snapshot):
            return self._source(item, "snapshot", at=self._snapshot)
        live = live_input(self._record, item)
        if is_secret_file(item.path) and live.is_file():
            return self._source(item, "in place", at=str(live), changed=not _is_same(live, item))
        return self._source(item, "missing", at=str(live))

    def _find_outside(self, item: Input) -> InputSource:
        path = Path(item.path)
        is_there = path.is_file()
        same = is_there and _is_same(path, item)
        if same or (is_there and self._request.current_inputs):
            return self._source(item, "in place", at=item.path, changed=not same)
        if self._store.objects.has(item.digest):
            return self._source(item, "store", changed_in_place=True)
        if self._is_in_project(path):
            return self._source(item, "snapshot", changed_in_place=True)
        return self._source(item, "missing", changed_in_place=True)

    def _is_in_project(self, path: Path) -> bool:
        """Return whether the snapshot of an imported project outside the root has the file."""
        for project in self._projects:
            if project.snapshot is not None and path.is_relative_to(project.root):
                inside = path.relative_to(project.root).as_posix()
                return inside in self._store.snapshots.files(project.snapshot)
        return False


def _is_same(path: Path, item: Input) -> bool:
    digest = digest_file(path)
    return item.digest in (digest, secret_digest(digest))


def _given_place(item: Input, given: Mapping[str, str]) -> str | None:
    """Return the file that the user gives for an input, by its path or that of a folder above it; None without one."""
    for old, new in given.items():
        if item.path == old or item.path.startswith(old.rstrip("/") + "/"):
            return os.path.abspath(new + item.path[len(old.rstrip("/")) :])  # noqa: PTH100
    return None


def _check_given(record: Record, given: Mapping[str, str]) -> None:
    for old, new in given.items():
        named = [item for item in record.inputs if _given_place(item, {old: new})]
        if not named:
            read = ", ".join(item.path for item in record.inputs[:5]) or "no file"
            more = ", ..." if len(record.inputs) > 5 else ""
            raise ConfigError(
                f"run {record.number} did not read {old}; it read {read}{more}", key=old
            )
        for item in named:
            place = _given_place(item, {old: new})
            if place is None or not Path(place).is_file():
                raise ConfigError(f"no file {place} for the input {item.path}", key=old)
