"""Where a replay gets each file from that the run read: its snapshot, the store, where it lies, or where one says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ...digest import digest_file
from ...errors import ConfigError
from ...records import Input, Part, Project, Record
from ...secrets.filenames import is_secret_file
from ...secrets.register import secret_digest
from ...store.store import RunStore
from ..request import Request

_READ_AT = ("in place", "given")
# Of the inputs a note names no more.
_SAID = 4

Kind = Literal["snapshot", "store", "in place", "given", "missing"]


class InputSource(Part, frozen=True):
    """Where the file comes from that the run read at `path` (relative to the root where `in_root`).

    `kind` is snapshot, store (as an object of that `digest`), in place (where it lay, or lies in the project), given
    (by the user) or missing; `at` is where it is, for a snapshot that one's id. `changed` says that its content there
    is not the recorded one, and `changed_in_place` that the file in its old place, which is not used, is gone or has
    another content.
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
        """Whether it is another file than the one of its path that the replay reads."""
        return self.kind == "given" or (self.kind == "store" and self.changed_in_place)


def find_sources(store: RunStore, record: Record, request: Request) -> tuple[InputSource, ...]:
    """The source of each of the run's inputs. Raises ConfigError for a path given that the run did not read."""
    _check_given(record, request.inputs)
    search = _InputSearch(store, record, request)
    return tuple(search.find(item) for item in record.inputs)


def live_input(record: Record, item: Input) -> Path:
    """Where a file of the project lay that the run read."""
    return Path(record.code.root if record.code is not None else ".") / item.path


def input_blockers(
    record: Record, sources: tuple[InputSource, ...], *, live: bool
) -> Iterator[str]:
    """What stands in the way, with how to supply it; with `live` a changed file does not."""
    for source in sources:
        give = f"--input {source.path}=PATH"
        if source.kind == "missing" and source.changed_in_place and not source.in_root:
            yield (
                f"the input {source.path} has changed since, or is gone, and the store has only its digest: put the"
                f" recorded file there, say where it is with {give}, or replay with the one there: --current-inputs"
            )
        elif source.kind == "missing" and is_secret_file(source.path):
            yield (
                f"it reads {source.path}, which is not kept for its name: put it at {source.at}, or {give}"
            )
        elif source.kind == "missing":
            yield f"the input {source.path} was not kept in the store: say where it is with {give}"
        elif source.kind == "given" and source.changed and not live:
            yield (
                f"{source.at} has another content than {source.path} had for run {record.number}: to replay with it"
                " all the same, add --current-inputs"
            )


def changed_inputs(sources: tuple[InputSource, ...]) -> Iterator[str]:
    """The inputs whose content is not the recorded one where they are read."""
    for one in sources:
        if one.kind in _READ_AT and one.changed:
            yield f"changed input: {one.at}"


def input_notes(record: Record, sources: tuple[InputSource, ...]) -> Iterator[str]:
    """What of the inputs is otherwise than it was."""
    changed = [str(one.at) for one in sources if one.kind in _READ_AT and one.changed]
    stored = [
        one.path
        for one in sources
        if one.kind == "store" and one.changed_in_place and not one.in_root
    ]
    if changed:
        yield f"changed since run {record.number}: {_listed(changed)}"
    if stored:
        yield (
            f"changed since run {record.number}, or gone, and taken from the store: {_listed(stored)}"
        )
    children = any(hazard.kind == "child process" for hazard in record.hazards)
    if children and any(source.is_moved for source in sources if not source.in_root):
        yield "the child processes that it starts look for inputs outside the project in their old place"


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - _SAID} more inputs" if len(paths) > _SAID else ""
    first = ", ".join(paths[:_SAID])
    return f"{'the input ' if len(paths) == 1 else 'the inputs ' if not more else ''}{first}{more}"


class _InputSearch:
    def __init__(self, store: RunStore, record: Record, request: Request) -> None:
        self._store = store
        self._record = record
        self._request = request
        code = record.code
        self._snapshot = None if code is None else code.snapshot
        self._projects: tuple[Project, ...] = () if code is None else code.projects

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
        if same or (is_there and self._request.live_inputs):
            return self._source(item, "in place", at=item.path, changed=not same)
        if self._store.objects.has(item.digest):
            return self._source(item, "store", changed_in_place=True)
        if self._is_in_project(path):
            return self._source(item, "snapshot", changed_in_place=True)
        return self._source(item, "missing", changed_in_place=True)

    def _is_in_project(self, path: Path) -> bool:
        """Whether a project's snapshot has it, from where the run imports that project."""
        for project in self._projects:
            if project.snapshot is not None and path.is_relative_to(project.root):
                inside = path.relative_to(project.root).as_posix()
                return inside in self._store.snapshots.files(project.snapshot)
        return False


def _is_same(path: Path, item: Input) -> bool:
    digest = digest_file(path)
    return item.digest in (digest, secret_digest(digest))


def _given_place(item: Input, given: Mapping[str, str]) -> str | None:
    """The file that the user gives for it: by its own path, or that of a folder above it."""
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
                f"run {record.number} did not read {old}: it read {read}{more}", key=old
            )
        for item in named:
            place = _given_place(item, {old: new})
            if place is None or not Path(place).is_file():
                raise ConfigError(f"no file {place} for the input {item.path}", key=old)
