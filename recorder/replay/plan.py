"""The plan of a replay: its steps, and every obstacle that is known before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .. import codec
from ..environments.blueprint import Blueprint, draw
from ..environments.interpreter import Interpreter, describe_interpreter
from ..environments.rebuild import describe_rebuilt
from ..environments.recorded import RecordedEnvironment, load_environment
from ..errors import ReplayError
from ..hazards import causes
from ..records import JSON, Code, Part, Record
from ..secrets.register import marker_of
from ..secrets.scrub import REDACTED
from ..store.signature import is_trusted, standing
from ..store.store import RunStore
from .deviations import Deviation, describe_deviations, find_deviations, thread_variables
from .missing_packages import missing_packages
from .request import Request
from .secrets import take_secrets
from .workspace.inputs import InputSource, changed_inputs, find_sources, input_blockers, input_notes
from .workspace.repository import asks_git, find_objects

_MOST_HAZARDS = 5
# The sections of the environment that are compared: their words, and the words for their relevant part.
_SECTIONS = (
    ("python.", "Python", "Python version"),
    ("packages.", "packages", "imported packages"),
    ("platform.", "machine", "processor and system"),
)


class Plan(Part, frozen=True):
    """The plan of a replay.

    Attributes:
        run: The number of the run to replay.
        experiment: The name of its experiment.
        code: The source of the code, in words.
        python: The version of the interpreter.
        blockers: Obstacles that make the replay impossible, each with its cure.
        notes: Facts that may make the replay diverge.
        deviations: Differences between the recorded and the present environment.
        compared: The parts of the environment and inputs that were compared and are unchanged, in words.
        sources: The source of each input.
        variables: The recorded environment variables.
        threads: Variables that give libraries the recorded number of threads.
        not_restored: Conditions that no replay restores, in words.
        live_code: The project's current code, where the replay runs that.
        secrets: The codec's forms of the redacted arguments, by key.
        blueprint: The environment to rebuild; None to use an existing one.
    """

    run: int
    experiment: str
    code: str
    python: str
    blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    compared: tuple[str, ...] = ()
    sources: tuple[InputSource, ...] = ()
    variables: Mapping[str, str] = {}
    threads: Mapping[str, str] = {}
    not_restored: tuple[str, ...] = ()
    live_code: Code | None = None
    secrets: Mapping[str, JSON] = {}
    blueprint: Blueprint | None = None

    def check(self) -> None:
        """Raise ReplayError with the first blocker, if there is one."""
        if self.blockers:
            more = len(self.blockers) - 1
            rest = f" (and {more} more: recorder replay {self.run} --plan)" if more else ""
            message = f"run {self.run} cannot be replayed: {self.blockers[0]}{rest}"
            raise ReplayError(message, run=self.run)

    def causes(self) -> Iterator[str]:
        """Yield the changes since the recording that may explain a divergence, in words."""
        yield from describe_deviations(tuple(one for one in self.deviations if one.matters))
        yield from changed_inputs(self.sources)

    def lines(self) -> Iterator[str]:
        """Yield the lines that `recorder replay` shows first; a single line where nothing is remarkable."""
        head = f"replaying run {self.run} ({self.experiment}) from {self.code} with Python {self.python}"
        if self.blueprint is not None:
            head += f" and its {len(self.blueprint.lines)} packages, rebuilt"
        unchanged = f"; unchanged: {', '.join(self.compared)}" if self.compared else ""
        yield f"{head}{unchanged}; not restored: {', '.join(self.not_restored)}"
        if any(one.matters for one in self.deviations):
            yield from (f"  differs: {line}" for line in describe_deviations(self.deviations))
        if self.threads:
            variables = " ".join(f"{name}={value}" for name, value in self.threads.items())
            yield f"  sets the recorded number of threads: {variables}"
        yield from (f"note: {note}" for note in self.notes)


def make_plan(
    store: RunStore,
    record: Record,
    *,
    request: Request = Request(),  # noqa: B008 - frozen
) -> Plan:
    """Check everything that a replay needs, and compare the present environment with the recorded one.

    Raises:
        ConfigError: The request has a secret or an input that the run does not need.
        ReplayError: There is no such interpreter.
    """
    given = take_secrets(store, record, secrets=request.secrets, settings=request.settings)
    environment = load_environment(store, record)
    blueprint = draw(environment, record) if request.rebuild else None
    if blueprint is None:
        interpreter = describe_interpreter(request.interpreter, cache=store.path / "envs")
    else:
        interpreter = describe_rebuilt(store, blueprint)
    sources = find_sources(store, record, request)
    left_out: list[str] = []
    live_code = _take_live_code(store, record, left_out) if request.current_code else None
    run = record if live_code is None else msgspec.structs.replace(record, code=live_code)
    distrust = _distrust(record)
    deviations = find_deviations(store, record, environment, interpreter)
    return Plan(
        run=record.number,
        experiment=record.experiment,
        code=_describe_code(record) if live_code is None else "its project's current code",
        python=interpreter.version,
        blockers=(
            *([distrust] if distrust is not None else []),
            *(() if blueprint is None else blueprint.missing),
            *_blockers(store, run, interpreter),
            *missing_packages(store, run, deviations),
            *input_blockers(record, sources, current=request.current_inputs),
            *given.blockers,
        ),
        notes=(
            *given.notes,
            *(() if blueprint is None else blueprint.notes),
            *_notes(record),
            *input_notes(record, sources),
            *left_out,
        ),
        deviations=deviations,
        compared=tuple(_unchanged(environment, interpreter, deviations, sources)),
        sources=sources,
        variables=environment.variables,
        threads=thread_variables(store, record, environment),
        not_restored=(
            "clock",
            "network",
            *(("GPU model",) if environment.platform.get("gpu") else ()),
        ),
        live_code=live_code,
        secrets=given.forms,
        blueprint=blueprint,
    )


def _unchanged(
    environment: RecordedEnvironment,
    interpreter: Interpreter,
    deviations: tuple[Deviation, ...],
    sources: tuple[InputSource, ...],
) -> Iterator[str]:
    """Yield the parts that were compared and have no relevant difference; nothing is claimed of any other part."""
    if environment.is_known and interpreter.environment:
        for prefix, whole, relevant in _SECTIONS:
            differing = [one for one in deviations if one.key.startswith(prefix)]
            if not any(one.matters for one in differing):
                yield relevant if differing else whole
    if sources and not any(source.changed or source.changed_in_place for source in sources):
        yield "inputs"


def _take_live_code(store: RunStore, record: Record, left_out: list[str]) -> Code:
    # This imports everything that captures code, which other replays do not need in this process.
    from .workspace.live_code import take_live_code

    return take_live_code(store, record, left_out.append)


def _describe_code(record: Record) -> str:
    code = record.code
    if record.function.pickled is not None and record.function.file is None:
        return "its pickled function"
    if code is None or code.snapshot is None:
        return "installed packages"
    return f"snapshot {code.snapshot[:10]}"


def _distrust(record: Record) -> str | None:
    """Return the reason why the user must confirm that this code may run, None where no confirmation is necessary."""
    if is_trusted(record):
        return None
    kind = standing(record)
    if kind == "changed":
        reason = "its record was changed after you signed it"
    elif record.origin is not None:
        reason = f"it came from another store ({record.origin[:8]})"
    elif kind == "foreign":
        reason = "another user or another machine recorded it"
    else:
        reason = "its record is not signed (an earlier version of recorder did not sign)"
    return f"{reason}, and replaying runs its code; review the code, then: recorder replay {record.number} --trust"


def _blockers(store: RunStore, record: Record, interpreter: Interpreter) -> Iterator[str]:
    if interpreter.problem:
        yield interpreter.problem
    if record.status == "running":
        yield "it is still running"
    function, code = record.function, record.code
    if function.kind == "block":
        script = function.file or "SCRIPT"
        yield (
            "it recorded a block of code, not a function; to run the whole script again:"
            f" recorder exec -- python {script}"
        )
    if function.kind == "command" and any(REDACTED.decode() in arg for arg in argv_of(record)):
        yield "its command line held a credential, which the store does not keep"
    if function.pickled is None and (function.file is not None or function.kind == "command"):
        if code is None or code.snapshot is None:
            yield f"its code was not captured; recorder show {record.number} lists the reasons"
        elif not store.snapshots.has(code.snapshot):
            yield f"snapshot {code.snapshot} of its code is not in the store"
    for project in () if code is None else code.projects:
        if project.snapshot is None or not store.snapshots.has(project.snapshot):
            yield f"the code of project {project.name} is not in the store"
    for name, form in record.config.items():
        problem = _decoding_problem(store, form, interpreter)
        if problem:
            yield f"argument {name!r} {problem}"
    problem = _decoding_problem(store, function.pickled, interpreter)
    if problem:
        yield f"its function {problem}"


def argv_of(record: Record) -> list[str]:
    """Return the command line of a recorded command, credentials redacted; [] for any other run."""
    return [arg for arg in record.config.get("argv") or () if isinstance(arg, str)]


def _decoding_problem(store: RunStore, form: Any, interpreter: Interpreter) -> str | None:
    """Return the reason why a codec's form cannot become a value there, None where it can."""
    for digest in sorted(codec.references(form)):
        if not store.objects.has(digest):
            return f"needs object {digest[:15]}, which is not in the store"
    for tag, content in _tags(form):
        if tag == "$opaque":
            return "is opaque: recorder could not encode its value"
        version = interpreter.minor
        if tag == "$pickle" and isinstance(content, dict) and content.get("python") != version:
            return (
                f"is a pickle of Python {content.get('python')}, which Python {version} cannot load reliably; try:"
                " --env rebuild, or --env PATH with that version"
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
        yield f"run {record.number} was the first of {ranks.count} ranks; its replay is a single process"
    hazards = causes(record)
    if hazards:
        hidden = len(hazards) - _MOST_HAZARDS
        more = f"; and {hidden} more" if hidden > 0 else ""
        yield f"run {record.number} may diverge: {'; '.join(hazards[:_MOST_HAZARDS])}{more}"
    code = record.code
    if code is not None and asks_git(record) and find_objects(code) is None:
        yield f"commit {str(code.commit)[:10]} is not in {code.root}, so git finds no repository in the workspace"
    for one in record.redacted:
        place, _, name = one.place.partition(".")
        if place == "variables" and marker_of(os.environ.get(name, "")) != one.marker:
            yield f"the variable {name} was redacted, and its present value is not the recorded one"
        elif place.startswith("argv"):
            yield f"{place} was redacted; the program receives {REDACTED.decode()} instead"
