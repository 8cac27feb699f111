"""Reuse a finished run in place of a call, if everything that decides the call is the same.

The inputs of a call and the libraries that it loads are unknown before it runs. So the code, function, config, seed,
environment and process start are matched first (`recorder.records.prospect`); then the files that the matching run
read, and its other projects and native libraries, are compared with the present ones. The files that it wrote below
the project or the working directory are restored, as a call would write them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .. import codec
from ..capture.config import encode_config
from ..capture.environment.process import describe_process
from ..capture.environment.runtime import numerics_of
from ..capture.seeding.seed import program_states
from ..digest import digest_file
from ..errors import RecorderError
from ..records import Input, Output, Record, prospect
from ..secrets.filenames import is_secret_file
from ..secrets.register import Secrets, secret_digest
from ..store.query.catalogue import RUNS
from ..store.signature import is_trusted
from ..store.store import RunStore
from .current import current, is_replaying
from .invocation import Call
from .project import Captured, Project, take_snapshot

_logger = logging.getLogger("recorder")


class Reused(NamedTuple):
    """The run that replaces a call, and the return value of its function."""

    record: Record
    result: Any


def reuse(call: Call) -> Reused | None:
    """Return the newest run that can replace the call, with its files restored; None if the call has to run.

    Never reused are replays, runs that did not finish, runs whose result cannot be read back, and imported runs. In a
    distributed job nothing is reused, as the other ranks would wait for the first.
    """
    if call.ranks is not None or is_replaying():
        return None
    expected = _foresee(call)
    if expected is None:
        return None
    record, captured = expected
    for found in _finished.find(call.project.store, record):
        reused = _take(found, captured.project) if _still_holds(found, captured) else None
        if reused is not None:
            _report(reused, captured.project)
            return reused
    return None


def _report(reused: Reused, project: Project) -> None:
    """Log the reuse, and add the reused run's inputs to those of an enclosing run."""
    run, enclosing = reused.record, current.get()
    if enclosing is not None and enclosing.is_ours:
        for item in run.inputs:
            enclosing.track_input(item.path if project.root is None else project.root / item.path)
    _logger.info("%s: run %d is reused", run.experiment, run.number)


def _foresee(call: Call) -> tuple[Record, Captured] | None:
    """Return the record that the call would begin with, and the captured project; None if they cannot be known.

    A pickled function is not known: two functions of the same source may close over different values.
    """
    if call.function.pickled is not None:
        return None
    secrets = Secrets(named=call.secrets, public=call.public)
    secrets.add(call.redacted)
    config = encode_config(call.arguments, secrets=secrets, receiver=call.receiver)
    captured = call.captured or call.project.capture()
    code = captured.code
    if config.opaque or code is None or code.snapshot is None:
        return None
    record = Record(
        id="",
        experiment=call.experiment,
        function=call.function,
        started=datetime.now(timezone.utc),
        config=config.forms,
        seed_info=call.seed
        if call.seed.applies_to_all
        else msgspec.structs.replace(call.seed, kept=program_states()),
        code=code,
        environment=captured.environment,
        process=describe_process(root=call.project.root, ranks=None, secrets=secrets),
    )
    return record, captured


def _ignore(warning: str) -> None:
    """Drop a warning that the run itself reports, if there is one."""


class _Finished:
    """The finished runs of stores by their `prospect`; each run is read once per process."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, str], set[int]] = {}
        self._numbers: dict[tuple[Path, str], dict[str, list[int]]] = {}

    def find(self, store: RunStore, wanted: Record) -> Iterator[Record]:
        """Yield the runs with the same `prospect` as `wanted`, newest first."""
        key = (store.path, wanted.experiment)
        numbers = self._numbers.setdefault(key, {})
        self._look(store, wanted.experiment, self._seen.setdefault(key, set()), numbers)
        for number in sorted(numbers.get(prospect(wanted), ()), reverse=True):
            try:
                yield store.get(number)
            except RecorderError:
                continue  # removed or damaged

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
                    if document.get("status") == "finished" and document.get("replay_of") is None:
                        record = Record.from_document(document)
                        numbers.setdefault(prospect(record), []).append(record.number)
            except (RecorderError, msgspec.ValidationError):
                pass  # damaged: `recorder check` reports it
            seen.add(number)


_finished = _Finished()


def _still_holds(record: Record, captured: Captured) -> bool:
    """Return whether the run's inputs, other projects and native libraries are unchanged."""
    store = captured.project.store
    projects = () if record.code is None else record.code.projects
    return (
        is_trusted(record)
        and _same_libraries(record, captured)
        and all(_is_unchanged(item, captured) for item in record.inputs)
        and all(
            take_snapshot(store, Path(project.root), _ignore)[1] == project.snapshot is not None
            for project in projects
        )
    )


def _same_libraries(record: Record, captured: Captured) -> bool:
    """Return whether the libraries loaded now match the run's: at its start, or at its end (in a later call)."""
    ours, theirs = captured.loaded.runtime, record.runtime
    if theirs is None or ours.start == theirs.start:
        return theirs is not None
    started = numerics_of(msgspec.json.decode(captured.project.store.read(theirs.start)))
    return ours.numerics in (started, theirs.numerics)


def _is_unchanged(item: Input, captured: Captured) -> bool:
    if item.in_root and captured.holds(item.path):
        return True  # a file of the snapshot, which is the same
    root = captured.project.root
    path = Path(item.path) if root is None else root / item.path
    try:
        digest = digest_file(path)
    except OSError:
        return False
    return item.digest in (digest, secret_digest(digest) if is_secret_file(item.path) else digest)


def _take(record: Record, project: Project) -> Reused | None:
    """Return the run's result and restore its files; None if either is impossible."""
    store = project.store
    if any(codec.has_tag(record.result, tag) for tag in ("$opaque", "$redacted")):
        return None
    try:
        result = codec.decode(record.result, store.read)
        missing = [
            (output, place)
            for output in record.outputs
            if (place := _place(output, project)) is not None
            and not _is_there(output, place, store)
        ]
        if not all(_can_restore(output, place, store) for output, place in missing):
            return None
        for output, place in missing:
            _restore(output, place, store)
    except (RecorderError, OSError):
        return None
    return Reused(record, result)


def _place(output: Output, project: Project) -> Path | None:
    """Return the output's path; None for a value, and for a path outside the project and the working directory."""
    cwd, root = Path.cwd(), project.root or Path.cwd()
    if output.path is None or output.kind == "value" or Path(output.path).is_absolute():
        return None
    place = Path(os.path.normpath(cwd / output.path))
    if not output.found and cwd != root and not place.exists():
        place = root / output.path  # saved, outside the working directory
    if place.is_relative_to(project.store.path):
        return None  # in the run's folder
    return place if place.is_relative_to(root) or place.is_relative_to(cwd) else None


def _is_there(output: Output, place: Path, store: RunStore) -> bool:
    if output.kind == "folder":
        return place.is_dir() and store.objects.put_tree(place).digest == output.digest
    return place.is_file() and digest_file(place) == output.digest


def _can_restore(output: Output, place: Path, store: RunStore) -> bool:
    """Return whether the output can be restored; a folder that has other contents by now is left to the function."""
    if output.kind == "folder" and place.exists():
        return False
    return output.stored and store.objects.has(output.digest) and not place.is_dir()


def _restore(output: Output, place: Path, store: RunStore) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if output.kind == "folder":
        store.objects.restore_tree(output.digest, place)
        return
    staged = place.with_name(f".{place.name}.{os.getpid()}.recorder")
    store.objects.restore_file(output.digest, staged)
    if place.exists():
        staged.chmod(place.stat().st_mode & 0o777)
    staged.replace(place)
