"""What a replay will do, and what stands in its way, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .. import codec
from ..environments.blueprint import Blueprint, draw
from ..environments.interpreter import Interpreter, describe_interpreter
from ..environments.rebuild import describe_rebuilt
from ..errors import ReplayError
from ..hazards import causes
from ..records import JSON, Code, Part, Record
from ..secrets.register import marker_of
from ..secrets.scrub import REDACTED
from ..store.signature import is_trusted, standing
from ..store.store import RunStore
from .deviations import Deviation, describe_deviations, find_deviations, thread_variables
from .request import Request
from .secrets import take_secrets
from .workspace.inputs import InputSource, changed_inputs, find_sources, input_blockers, input_notes

# Of the hazards a note says no more.
_SAID = 5


class Plan(Part, frozen=True):
    """What the replay of a run will do. `blockers` make it impossible; `notes` may make it come out differently.

    `code` says what runs, `python` the interpreter's version; `deviations` is how the environment differs, `sources`
    where the inputs come from, `threads` the variables by which libraries get as many threads as they had, and
    `not_restored` what no replay gives back. `live_code` is the project's own as it is now, where that is to run.
    `secrets` are the forms of the redacted arguments, by key, as given; `blueprint` what the environment is built from,
    where it is to be built again.
    """

    run: int
    experiment: str
    code: str
    python: str
    blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    sources: tuple[InputSource, ...] = ()
    threads: Mapping[str, str] = {}
    not_restored: tuple[str, ...] = ()
    live_code: Code | None = None
    secrets: Mapping[str, JSON] = {}
    blueprint: Blueprint | None = None

    def check(self) -> None:
        """Raises ReplayError with the first blocker, if there is one."""
        if self.blockers:
            more = len(self.blockers) - 1
            rest = f" (and {more} more: recorder replay {self.run} --plan)" if more else ""
            said = f"run {self.run} cannot be replayed: {self.blockers[0]}{rest}"
            raise ReplayError(said, run=self.run)

    def causes(self) -> Iterator[str]:
        """What is otherwise now, and may be why something else comes out, in words."""
        yield from describe_deviations(tuple(one for one in self.deviations if one.matters))
        yield from changed_inputs(self.sources)

    def lines(self) -> Iterator[str]:
        """It in words, one line where nothing differs."""
        differs = list(describe_deviations(self.deviations))
        matters = any(one.matters for one in self.deviations)
        head = f"replaying run {self.run} ({self.experiment}) from {self.code} with Python {self.python}"
        same = (
            "" if matters else "; nothing that matters differs" if differs else "; nothing differs"
        )
        if self.blueprint is not None:
            head += f" and its {len(self.blueprint.lines)} packages, built again"
        yield f"{head}{same}; not restored: {', '.join(self.not_restored)}"
        if matters:
            yield from (f"  differs: {line}" for line in differs)
        if self.threads:
            said = " ".join(f"{name}={value}" for name, value in self.threads.items())
            yield f"  threads as it had: {said}"
        yield from (f"note: {note}" for note in self.notes)


def make_plan(
    store: RunStore,
    record: Record,
    *,
    request: Request = Request(),  # noqa: B008 - frozen
) -> Plan:
    """Look at everything that the replay of `record` needs, and at what is otherwise now.

    Raises ConfigError for a secret or an input that the run does not need, ReplayError where there is no interpreter.
    """
    given = take_secrets(store, record, secrets=request.secrets, settings=request.settings)
    blueprint = draw(store, record) if request.rebuild else None
    if blueprint is None:
        interpreter = describe_interpreter(request.interpreter, cache=store.path / "envs")
    else:
        interpreter = describe_rebuilt(store, blueprint)
    sources = find_sources(store, record, request)
    left_out: list[str] = []
    live_code = _take_live_code(store, record, left_out) if request.here else None
    run = record if live_code is None else msgspec.structs.replace(record, code=live_code)
    distrust = _distrust(record)
    blocked = [
        *([distrust] if distrust is not None else []),
        *(() if blueprint is None else blueprint.missing),
        *_blockers(store, run, interpreter),
        *input_blockers(record, sources, live=request.live_inputs),
        *given.blockers,
    ]
    return Plan(
        run=record.number,
        experiment=record.experiment,
        code=_describe_code(record) if live_code is None else "its project's code as it is now",
        python=interpreter.version,
        blockers=tuple(blocked),
        notes=(
            *given.notes,
            *(() if blueprint is None else blueprint.notes),
            *_notes(record),
            *input_notes(record, sources),
            *left_out,
        ),
        deviations=find_deviations(store, record, interpreter),
        sources=sources,
        threads=thread_variables(store, record),
        not_restored=_not_restored(store, record),
        live_code=live_code,
        secrets=given.forms,
        blueprint=blueprint,
    )


def _take_live_code(store: RunStore, record: Record, left_out: list[str]) -> Code:
    from .workspace.live_code import (
        take_live_code,  # with all that captures code, which other replays do not need here
    )

    return take_live_code(store, record, left_out.append)


def _describe_code(record: Record) -> str:
    code = record.code
    if record.function.pickled is not None and record.function.file is None:
        return "its pickled function"
    if code is None or code.snapshot is None:
        return "what is installed"
    return f"its snapshot {code.snapshot[:10]}"


def _not_restored(store: RunStore, record: Record) -> tuple[str, ...]:
    environment = {}
    if record.environment is not None:
        environment = msgspec.json.decode(store.read(record.environment))
    gpu = ("GPU model",) if (environment.get("platform") or {}).get("gpu") else ()
    return ("clock", "network", *gpu)


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


def _blockers(store: RunStore, record: Record, interpreter: Interpreter) -> Iterator[str]:
    if interpreter.problem:
        yield interpreter.problem
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
        what = _unusable(store, form, interpreter)
        if what:
            yield f"argument {name!r} {what}"
    what = _unusable(store, function.pickled, interpreter)
    if what:
        yield f"its function {what}"


def argv_of(record: Record) -> list[str]:
    """The command line of a recorded command, without credentials; none for any other run."""
    return [arg for arg in record.config.get("argv") or () if isinstance(arg, str)]


def _unusable(store: RunStore, form: Any, interpreter: Interpreter) -> str | None:
    """What keeps the form from being turned into a value, if something does."""
    for digest in sorted(codec.references(form)):
        if not store.objects.has(digest):
            return f"needs the object {digest[:15]}, which is not in the store"
    for tag, said in _tags(form):
        if tag == "$opaque":
            return "was opaque: nothing could encode it"
        version = interpreter.minor
        if tag == "$pickle" and isinstance(said, dict) and said.get("python") != version:
            return (
                f"is a pickle of Python {said.get('python')}, which another version cannot be trusted to load: replay"
                f" it with that version (--env rebuild, or --env PATH), this is {version}"
            )
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


def _notes(record: Record) -> Iterator[str]:
    ranks = None if record.process is None else record.process.ranks
    if ranks is not None:
        yield f"run {record.number} was the first of {ranks.count} ranks; its replay is one process"
    hazards = causes(record)
    if hazards:
        more = f"; and {len(hazards) - _SAID} more" if len(hazards) > _SAID else ""
        yield f"run {record.number} may come out otherwise: {'; '.join(hazards[:_SAID])}{more}"
    for one in record.redacted:
        place, _, name = one.place.partition(".")
        if place == "variables" and marker_of(os.environ.get(name, "")) != one.marker:
            yield f"the variable {name} was redacted, and has not that value here"
        elif place.startswith("argv"):
            yield f"{place} was redacted: the program finds {REDACTED.decode()} in its place"
