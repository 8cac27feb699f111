"""Reuse: a finished run that decided everything as a call would, in place of the call.

Before a run its inputs are not known, nor what it will load. So the code, the function, the config, the seed, the
environment and how the process was started are matched first (`recorder.records.prospect`), and then what the found
run read, and which other projects and native libraries it used, is held against what there is now. What it wrote
below the project or the working directory is laid out again, as running it would.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .. import codec
from ..capture.config import encode_config
from ..capture.environment.process import describe_process
from ..capture.environment.runtime import numerics_of
from ..digest import digest_file
from ..errors import RecorderError
from ..records import JSON, Input, Output, Record, prospect
from ..secrets.filenames import is_secret_file
from ..secrets.register import Secrets, secret_digest
from ..store.query.catalogue import RUNS
from ..store.signature import is_trusted
from ..store.store import RunStore
from .current import current, is_replaying
from .invocation import Call
from .project import Setting

_logger = logging.getLogger("recorder")


class Reused(NamedTuple):
    """The run that stands for a call, and what its function returned."""

    record: Record
    result: Any


def reuse(call: Call) -> Reused | None:
    """The newest run that can stand for the call, its files laid out; None where it has to run.

    A replay, and a run that has not finished, never can; nor one whose result cannot be read back, or came from
    elsewhere; nor any in a job of several ranks, where the others would wait for the first.
    """
    if call.ranks is not None or is_replaying():
        return None
    expected = _foresee(call)
    if expected is None:
        return None
    record, setting = expected
    for found in _finished.find(setting.store, record):
        reused = _take(found, setting) if _still_holds(found, setting) else None
        if reused is not None:
            _report(reused, setting)
            return reused
    return None


def _report(reused: Reused, setting: Setting) -> None:
    """Say it, to a run around it too, whose inputs are what the reused one read."""
    run, around = reused.record, current.get()
    if around is not None and around.is_ours:
        for item in run.inputs:
            around.track_input(item.path if setting.root is None else setting.root / item.path)
    _logger.info("%s: run %d is reused", run.experiment, run.number)


def _foresee(call: Call) -> tuple[Record, Setting] | None:
    """The record that the call would begin with, and its setting as captured; None where that cannot be told.

    A function that is known by its value alone may bear other values than one of the same text.
    """
    if call.function.pickled is not None:
        return None
    secrets = Secrets(named=call.secrets, public=call.public)
    secrets.add(call.redacted)
    config = encode_config(call.arguments, secrets=secrets, receiver=call.receiver)
    setting = call.setting.capture(_ignore)
    if config.opaque or setting.code is None or setting.code.snapshot is None:
        return None
    record = Record(
        id="",
        experiment=call.experiment,
        function=call.function,
        started=datetime.now(timezone.utc),
        config=config.forms,
        seed_info=call.seed,
        code=setting.code,
        environment=setting.environment,
        process=describe_process(root=setting.root, ranks=None, secrets=secrets),
    )
    return record, setting


def _ignore(warning: str) -> None:
    """The run itself says it, where there is one."""


class _Finished:
    """The finished runs of stores by what decided them beforehand; each is read once a process."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, str], set[int]] = {}
        self._numbers: dict[tuple[Path, str], dict[str, list[int]]] = {}

    def find(self, store: RunStore, wanted: Record) -> Iterator[Record]:
        """Those that were decided as `wanted` would be, the newest first."""
        key = (store.path, wanted.experiment)
        numbers = self._numbers.setdefault(key, {})
        self._look(store, wanted.experiment, self._seen.setdefault(key, set()), numbers)
        for number in sorted(numbers.get(prospect(wanted), ()), reverse=True):
            try:
                yield store.get(number)
            except RecorderError:
                continue  # it has been removed, or damaged

    def _look(
        self, store: RunStore, experiment: str, seen: set[int], numbers: dict[str, list[int]]
    ) -> None:
        view = store.journal.view(RUNS)
        for number in view.ids():
            if number in seen:
                continue
            try:
                document = view.read(number)
                if document.get("experiment") == experiment:
                    if document.get("status") == "running":
                        continue
                    self._add(document, numbers)
            except (RecorderError, msgspec.ValidationError):
                pass  # damaged: `recorder check` says so
            seen.add(number)

    @staticmethod
    def _add(document: Mapping[str, JSON], numbers: dict[str, list[int]]) -> None:
        if document.get("status") == "finished" and document.get("replay_of") is None:
            record = Record.from_document(document)
            numbers.setdefault(prospect(record), []).append(record.number)


_finished = _Finished()


def _still_holds(record: Record, setting: Setting) -> bool:
    """Whether what the run met on its way is as it was: inputs, other projects, libraries."""
    return (
        is_trusted(record)
        and _same_libraries(record, setting)
        and all(_is_unchanged(item, setting) for item in record.inputs)
        and all(
            setting.snapshot_of(Path(project.root), _ignore) == project.snapshot is not None
            for project in (record.code.projects if record.code is not None else ())
        )
    )


def _same_libraries(record: Record, setting: Setting) -> bool:
    """Whether what is loaded now was loaded then, as the run began or, in the same process before this, as it ended."""
    ours, theirs = setting.runtime, record.runtime
    if ours is None or theirs is None or ours.start == theirs.start:
        return ours is not None and theirs is not None
    started = numerics_of(msgspec.json.decode(setting.store.read(theirs.start)))
    return ours.numerics in (started, theirs.numerics)


def _is_unchanged(item: Input, setting: Setting) -> bool:
    if item.in_root and setting.holds(item.path):
        return True  # a file of the snapshot, which is the same
    path = Path(item.path) if setting.root is None else setting.root / item.path
    try:
        digest = digest_file(path)
    except OSError:
        return False
    return item.digest in (digest, secret_digest(digest) if is_secret_file(item.path) else digest)


def _take(record: Record, setting: Setting) -> Reused | None:
    """The run's result, and its files in their places; None where one of them cannot be had."""
    store = setting.store
    if any(codec.has_tag(record.result, tag) for tag in ("$opaque", "$redacted")):
        return None
    try:
        result = codec.decode(record.result, store.read)
        missing = [
            (output, place)
            for output in record.outputs
            if (place := _place(output, setting)) is not None
            and not _is_there(output, place, store)
        ]
        if not all(_can_lay_out(output, place, store) for output, place in missing):
            return None
        for output, place in missing:
            _lay_out(output, place, store)
    except (RecorderError, OSError):
        return None
    return Reused(record, result)


def _place(output: Output, setting: Setting) -> Path | None:
    """Where the output lay; None for a value, and for what lay outside the project and the working directory."""
    cwd, root = Path.cwd(), setting.root or Path.cwd()
    if output.path is None or output.kind == "value" or Path(output.path).is_absolute():
        return None
    place = Path(os.path.normpath(cwd / output.path))
    if not output.found and cwd != root and not place.exists():
        place = root / output.path  # what was saved and lay outside the working directory
    if place.is_relative_to(setting.store.path):
        return None  # the run's own folder
    return place if place.is_relative_to(root) or place.is_relative_to(cwd) else None


def _is_there(output: Output, place: Path, store: RunStore) -> bool:
    if output.kind == "folder":
        return place.is_dir() and store.objects.put_tree(place).digest == output.digest
    return place.is_file() and digest_file(place) == output.digest


def _can_lay_out(output: Output, place: Path, store: RunStore) -> bool:
    """A folder that is there with other files is left alone: the function would know what to do with them."""
    if output.kind == "folder" and place.exists():
        return False
    return output.stored and store.objects.has(output.digest) and not place.is_dir()


def _lay_out(output: Output, place: Path, store: RunStore) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if output.kind == "folder":
        store.objects.restore_tree(output.digest, place)
        return
    staged = place.with_name(f".{place.name}.{os.getpid()}.recorder")
    store.objects.restore_file(output.digest, staged)
    if place.exists():
        staged.chmod(place.stat().st_mode & 0o777)
    staged.replace(place)
