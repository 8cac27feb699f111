"""Hazards: the meaning of each kind, advice for it, and the replay grade of a run.

Each kind has one of three weights. A *note* does not change the grade. *care* means that a replay may differ. A
*blocker* makes a replay impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from .records import Hazard, Record

Weight: TypeAlias = Literal["note", "care", "blocker"]
Grade: TypeAlias = Literal["replayable", "replayable with care", "not replayable"]


class Kind(NamedTuple):
    """A kind of hazard: its weight, its meaning, and advice, as short phrases."""

    weight: Weight
    meaning: str
    advice: str


KINDS: dict[str, Kind] = {
    "opaque argument": Kind(
        "blocker",
        "the argument cannot be encoded, so a replay cannot pass it",
        "pass the values that it is built from, and build it inside the function",
    ),
    "code not captured": Kind(
        "blocker",
        "the code that ran is not in any snapshot",
        "see the run's warnings for the reason",
    ),
    "code left out": Kind(
        "blocker",
        "a file that the run imported is not in the snapshot, because of its size or its name",
        "make it smaller, rename it, or install it as a package",
    ),
    "input lost": Kind(
        "blocker",
        "a project file that the run read could not be stored",
        "leave the file in place until the run ends",
    ),
    "input not kept": Kind(
        "care",
        "only the digest of a file that the run read is stored: the file was too large, or gone before the run ended",
        "keep the file where it is, unchanged",
    ),
    "input withheld": Kind(
        "care",
        "a file whose name suggests a secret is never stored",
        "keep the file where it is, unchanged",
    ),
    "redacted": Kind(
        "care",
        "an argument is a credential, which is not stored",
        "pass it to the replay with --secret",
    ),
    "opaque value": Kind(
        "care",
        "the value cannot be encoded, so it cannot be compared",
        "return or save the data that it consists of",
    ),
    "function by value": Kind(
        "care",
        "the function is not in a file, so it is stored as a pickle, which needs the same Python minor version",
        "define it at the top level of a file",
    ),
    "hash order": Kind(
        "care",
        "set order and hash() of strings change between processes unless PYTHONHASHSEED is set",
        "sort the set first, or start Python with PYTHONHASHSEED=0",
    ),
    "listing order": Kind(
        "care",
        "the order in which a folder lists its files depends on the file system",
        "sort the names first",
    ),
    "completion order": Kind(
        "care",
        "the order in which threads, tasks, or workers finish changes from run to run",
        "collect results by their index or key, or sort them",
    ),
    "clock": Kind(
        "care",
        "the current time reaches a result, metric, or output",
        "leave times out of results, or give their names a tolerance",
    ),
    "clock read": Kind("note", "the run reads the clock", "check that no result depends on it"),
    "address": Kind("note", "id() differs between processes", "check that no result depends on it"),
    "network": Kind(
        "care",
        "responses from other machines are not stored",
        "save the response to a file, and read the file",
    ),
    "local connection": Kind(
        "note",
        "responses from other programs on this machine are not stored",
        "start the same program before the replay",
    ),
    "entropy": Kind(
        "care",
        "random bytes came directly from the operating system, which no seed controls",
        "draw from a seeded generator",
    ),
    "child process": Kind(
        "care",
        "the files, random draws, and connections of a child process are not observed",
        "pass its files and its seed as arguments",
    ),
    "GPU": Kind(
        "care",
        "CUDA kernels may add numbers in a different order each time",
        "call torch.use_deterministic_algorithms(True), and set CUBLAS_WORKSPACE_CONFIG=:4096:8",
    ),
    "threads": Kind(
        "note",
        "the last digits may change with the number of threads, or when threads add to the same memory",
        "replay with the same number of threads, or set OMP_NUM_THREADS=1",
    ),
}
# A kind that a later version of recorder wrote.
_UNKNOWN = Kind("care", "a later version of recorder noted it", "view the run with that version")


def kind_of(hazard: Hazard) -> Kind:
    """Return the kind of the hazard, with its weight, meaning, and advice."""
    return KINDS.get(hazard.kind, _UNKNOWN)


def grade(record: Record) -> Grade:
    """Return the replay grade of a run from its record alone.

    A replay plan checks what the store or this machine lacks by now. For records that predate hazards, only the
    inherent ones count.
    """
    weights = {kind_of(hazard).weight for hazard in all_hazards(record)}
    if "blocker" in weights:
        return "not replayable"
    return "replayable with care" if "care" in weights else "replayable"


def all_hazards(record: Record) -> tuple[Hazard, ...]:
    """Return the record's hazards, preceded by those that follow from its other parts."""
    return tuple(dict.fromkeys([*inherent(record), *record.hazards]))


def inherent(record: Record) -> Iterator[Hazard]:
    """Yield the hazards that follow from other parts of the record, and that are therefore not stored in it."""
    function, code = record.function, record.code
    if function.pickled is not None:
        yield Hazard(kind="function by value", detail=function.qualname)
    elif (function.file or function.kind == "command") and (code is None or code.snapshot is None):
        yield Hazard(kind="code not captured", detail=function.file or function.qualname)
    if function.kind == "command":
        yield Hazard(kind="child process", detail=function.qualname)
    for redacted in record.redacted:
        if redacted.place.startswith("config."):
            yield Hazard(kind="redacted", detail=redacted.place.removeprefix("config."))
    withheld = {redacted.place for redacted in record.redacted}
    for item in record.inputs:
        if not item.stored:
            secret = f"inputs.{item.path}" in withheld
            kind = (
                "input withheld" if secret else "input lost" if item.in_root else "input not kept"
            )
            yield Hazard(kind=kind, detail=item.path)


def say(hazards: Iterable[Hazard], *, weights: Iterable[Weight] = ("care", "blocker")) -> list[str]:
    """Return a phrase for each hazard of these weights, most severe first: ``network: example.org:80 (train.py:3)``."""
    wanted = sorted(weights)
    chosen = [hazard for hazard in hazards if kind_of(hazard).weight in wanted]
    chosen.sort(key=lambda hazard: kind_of(hazard).weight)
    return [phrase(hazard) for hazard in chosen]


def advise(
    hazards: Iterable[Hazard], *, weights: Iterable[Weight] = ("care", "blocker")
) -> list[str]:
    """Return the advice for the hazards of these weights, without repetition."""
    wanted = sorted(weights)
    kinds = [kind_of(hazard) for hazard in hazards]
    return list(dict.fromkeys(kind.advice for kind in kinds if kind.weight in wanted))


def causes(*records: Record) -> list[str]:
    """Return phrases for the hazards in the records that can make a replay differ from its original."""
    hazards = [hazard for record in records for hazard in all_hazards(record)]
    return list(dict.fromkeys(say(h for h in hazards if h.kind not in _NO_CAUSES)))


def rounding_causes(*records: Record) -> list[str]:
    """Return phrases for the hazards in the records that can change the last digits of numbers."""
    hazards = [h for record in records for h in all_hazards(record) if h.kind == "threads"]
    return list(dict.fromkeys(say(hazards, weights=("note",))))


# These can prevent a replay. They do not explain the differences of a replay that ran.
_NO_CAUSES = ("redacted", "function by value", "opaque value")


def phrase(hazard: Hazard) -> str:
    """Return the hazard as a short phrase."""
    described = f"{hazard.kind}: {hazard.detail}" if hazard.detail else hazard.kind
    return f"{described} ({hazard.place})" if hazard.place else described
