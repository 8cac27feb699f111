"""What a replay will do, and what stands in its way, before anything runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import codec
from ..capture.scrub import REDACTED
from ..capture.secrets import marker_of, secret_digest
from ..capture.sifting import is_secret_file
from ..digest import digest_file
from ..errors import ReplayError
from ..grade import causes
from ..records import JSON, Input, Part, Record
from ..store.signature import is_trusted, standing
from ..store.store import Store
from .request import Request
from .secrets import take_secrets

# Of the hazards a note says no more.
_SAID = 5


class Plan(Part, frozen=True):
    """`blockers` make the replay impossible; `notes` may make it come out differently.

    `secrets` are the forms of the redacted arguments, by key, as they were given.
    """

    blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    secrets: Mapping[str, JSON] = {}

    def check(self, record: Record) -> None:
        """Raises ReplayError with the first blocker, if there is one."""
        if self.blockers:
            raise ReplayError(
                f"run {record.number} cannot be replayed: {self.blockers[0]}", run=record.number
            )


def make_plan(
    store: Store,
    record: Record,
    *,
    request: Request = Request(),  # noqa: B008 - frozen
) -> Plan:
    """Look at everything that the replay of `record` needs.

    Raises ConfigError for a secret that the run does not need.
    """
    given = take_secrets(store, record, secrets=request.secrets, settings=request.settings)
    return Plan(
        blockers=(*_blockers(store, record), *given.blockers),
        notes=(*given.notes, *_notes(store, record)),
        secrets=given.forms,
    )


def _distrust(record: Record) -> str | None:
    """Why its code should not be run without a word from the user, if there is a reason."""
    if is_trusted(record):
        return None
    advice = "replaying runs its code: look at it, then `recorder replay {} --trust`"
    advice = advice.format(record.number)
    kind = standing(record)
    if kind == "changed":
        return f"its record is not as you have signed it, so somebody has changed it; {advice}"
    if record.origin is not None:
        return f"it came from another store ({record.origin[:8]}); {advice}"
    if kind == "foreign":
        return f"another user, or you on another machine, recorded it; {advice}"
    return f"nobody has signed it (an earlier version of recorder did not); {advice}"


def _blockers(store: Store, record: Record) -> Iterator[str]:
    distrust = _distrust(record)
    if distrust is not None:
        yield distrust
    if record.status == "running":
        yield "it is still running"
    function, code = record.function, record.code
    if function.kind == "block":
        script = function.file or "SCRIPT"
        yield (
            "it is a block of code, not a function: run the whole script again with"
            f" `recorder exec -- python {script}`"
        )
    if function.kind == "command" and any(REDACTED.decode() in arg for arg in argv_of(record)):
        yield "its command line held a credential, which is not in the store"
    if function.pickled is None and (function.file is not None or function.kind == "command"):
        if code is None or code.snapshot is None:
            yield "its code was not captured (see its warnings in `recorder show`)"
        elif not store.snapshots.has(code.snapshot):
            yield f"the snapshot {code.snapshot} of its code is not in the store"
    for project in () if code is None else code.projects:
        if project.snapshot is None or not store.snapshots.has(project.snapshot):
            yield f"the code of project {project.name} is not in the store"
    for name, form in record.config.items():
        what = _unusable(store, form)
        if what:
            yield f"argument {name!r} {what}"
    what = _unusable(store, function.pickled)
    if what:
        yield f"its function {what}"
    for item in record.inputs:
        if not item.in_root or _kept(store, record, item):
            continue
        if not is_secret_file(item.path):
            yield f"the input {item.path} was not kept in the store"
        elif not live_input(record, item).is_file():
            yield f"it reads {item.path}, which is not kept for its name: put it at {live_input(record, item)}"


def argv_of(record: Record) -> list[str]:
    """The command line of a recorded command, without credentials; none for any other run."""
    return [arg for arg in record.config.get("argv") or () if isinstance(arg, str)]


def live_input(record: Record, item: Input) -> Path:
    """Where a file of the project lay that the run read."""
    return Path(record.code.root if record.code is not None else ".") / item.path


def _kept(store: Store, record: Record, item: Input) -> bool:
    if store.objects.has(item.digest):
        return True
    code = record.code
    return (
        code is not None
        and code.snapshot is not None
        and item.path in store.snapshots.files(code.snapshot)
    )


def _unusable(store: Store, form: Any) -> str | None:
    """What keeps the form from being turned into a value, if something does."""
    for digest in sorted(codec.references(form)):
        if not store.objects.has(digest):
            return f"needs the object {digest[:15]}, which is not in the store"
    for tag, said in _tags(form):
        if tag == "$opaque":
            return "was opaque: nothing could encode it"
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if tag == "$pickle" and isinstance(said, dict) and said.get("python") != version:
            return f"is a pickle of Python {said.get('python')}: replay it with that version, this is {version}"
    return None


def _tags(form: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(form, dict):
        for key, value in form.items():
            if key.startswith("$"):
                yield key, value
            yield from _tags(value)
    elif isinstance(form, list):
        for value in form:
            yield from _tags(value)


def _notes(store: Store, record: Record) -> Iterator[str]:
    ranks = None if record.process is None else record.process.ranks
    if ranks is not None:
        yield f"run {record.number} was the first of {ranks.count} ranks; its replay is one process"
    hazards = causes(record)
    if hazards:
        more = f"; and {len(hazards) - _SAID} more" if len(hazards) > _SAID else ""
        yield f"run {record.number} may come out otherwise: {'; '.join(hazards[:_SAID])}{more}"
    for item in record.inputs:
        path = live_input(record, item) if item.in_root else Path(item.path)
        if item.in_root and not (is_secret_file(item.path) and path.is_file()):
            continue
        if not path.is_file():
            yield f"the input {item.path} is not there any more"
        elif item.digest not in (digest := digest_file(path), secret_digest(digest)):
            yield f"the input {item.path} has changed since run {record.number}"
    for one in record.redacted:
        place, _, name = one.place.partition(".")
        if place == "variables" and marker_of(os.environ.get(name, "")) != one.marker:
            yield f"the variable {name} was redacted, and has not that value here"
        elif place.startswith("argv"):
            yield f"{place} was redacted: the program finds {REDACTED.decode()} in its place"
