"""What each kind of hazard means, what to do about it, and how far a run with hazards can be replayed.

A hazard is one of three weights: a *note* leaves the grade as it is; what wants *care* may make a replay come out
otherwise; a *blocker* makes one impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from .records import Hazard, Record

Weight: TypeAlias = Literal["note", "care", "blocker"]
Grade: TypeAlias = Literal["replayable", "replayable with care", "not replayable"]


class Kind(NamedTuple):
    """A kind of hazard: how much it weighs, a sentence that says what it means, and what to do about it."""

    weight: Weight
    meaning: str
    advice: str


KINDS: dict[str, Kind] = {
    "opaque argument": Kind(
        "blocker",
        "nothing can encode the argument, so that no replay can be given it",
        "pass what it is made from, and make it in the function",
    ),
    "code not captured": Kind(
        "blocker",
        "the code that ran is in no snapshot",
        "the run's warnings say why",
    ),
    "code left out": Kind(
        "blocker",
        "a file that the run imported was left out of the snapshot, for its size or its name",
        "make it smaller, rename it, or install it as a package",
    ),
    "input lost": Kind(
        "blocker",
        "a file of the project that the run read could not be kept",
        "leave it in its place until the run has ended",
    ),
    "input not kept": Kind(
        "care",
        "a file that the run read is in the store by its digest only: it was too large, or gone by the end",
        "keep it where it is, unchanged",
    ),
    "input withheld": Kind(
        "care",
        "a file whose name is that of a secret is never kept",
        "keep it where it is, unchanged",
    ),
    "redacted": Kind(
        "care",
        "an argument is a credential, which is not in the store",
        "hand it to the replay with --secret",
    ),
    "opaque value": Kind(
        "care",
        "nothing can encode the value, so that it cannot be compared",
        "return or save what it consists of",
    ),
    "function by value": Kind(
        "care",
        "no file holds the function, so it was kept as a pickle, which wants the same Python minor version",
        "define it at the top level of a file",
    ),
    "hash order": Kind(
        "care",
        "the order of a set of texts, and hash(), are others in each process while PYTHONHASHSEED is not fixed",
        "sort the set first, or start Python with PYTHONHASHSEED=0",
    ),
    "clock": Kind(
        "care",
        "the time reaches a result, metric or output",
        "keep times in names that a tolerance covers, or out of results",
    ),
    "clock read": Kind("note", "the clock is read", "see that no result depends on it"),
    "address": Kind("note", "id() is another number in each process", "see that no result has it"),
    "network": Kind(
        "care",
        "what another machine answers is not in the store",
        "save the answer to a file, and read that",
    ),
    "local connection": Kind(
        "note",
        "what another program on this machine answers is not in the store",
        "have it running for the replay",
    ),
    "entropy": Kind(
        "care",
        "random bytes came straight from the operating system, which no seed decides",
        "draw from a generator with a seed",
    ),
    "child process": Kind(
        "care",
        "what a child process reads, draws and connects to is not seen",
        "name its files as arguments, and its seed",
    ),
    "GPU": Kind(
        "care",
        "CUDA's kernels may add up in another order each time",
        "torch.use_deterministic_algorithms(True), and CUBLAS_WORKSPACE_CONFIG=:4096:8",
    ),
    "threads": Kind(
        "note",
        "results may differ in the last bits with another number of threads, or where they add to the same places",
        "replay with the same number, or set OMP_NUM_THREADS=1",
    ),
}
# What a version to come has found: it means something, and this one does not know what.
_UNKNOWN = Kind("care", "a later version of recorder noted it", "look at the run with that version")


def kind_of(hazard: Hazard) -> Kind:
    """What the hazard's kind means."""
    return KINDS.get(hazard.kind, _UNKNOWN)


def grade(record: Record) -> Grade:
    """How far the run can be replayed, by what its record says; an old record has no hazards but those.

    It looks at the record alone: what the store or this machine lacks by now is for a replay's plan to say.
    """
    weights = {kind_of(hazard).weight for hazard in all_hazards(record)}
    if "blocker" in weights:
        return "not replayable"
    return "replayable with care" if "care" in weights else "replayable"


def all_hazards(record: Record) -> tuple[Hazard, ...]:
    """The record's hazards, and what else in it stands in a replay's way."""
    return tuple(dict.fromkeys([*inherent(record), *record.hazards]))


def inherent(record: Record) -> Iterator[Hazard]:
    """The hazards that every part of the record but its hazards says, so that they are not written twice."""
    function, code = record.function, record.code
    if function.pickled is not None:
        yield Hazard(kind="function by value", detail=function.qualname)
    elif (function.file or function.kind == "command") and (code is None or code.snapshot is None):
        yield Hazard(kind="code not captured", detail=function.file or function.qualname)
    if function.kind == "command":
        yield Hazard(kind="child process", detail=function.qualname)
    for one in record.redacted:
        if one.place.startswith("config."):
            yield Hazard(kind="redacted", detail=one.place.removeprefix("config."))
    withheld = {one.place for one in record.redacted}
    for item in record.inputs:
        if not item.stored:
            secret = f"inputs.{item.path}" in withheld
            kind = (
                "input withheld" if secret else "input lost" if item.in_root else "input not kept"
            )
            yield Hazard(kind=kind, detail=item.path)


def say(hazards: Iterable[Hazard], *, weights: Iterable[Weight] = ("care", "blocker")) -> list[str]:
    """Each hazard of those weights in a few words, the gravest first: ``network: example.org:80 (train.py:3)``."""
    wanted = sorted(weights)
    found = [one for one in hazards if kind_of(one).weight in wanted]
    found.sort(key=lambda one: kind_of(one).weight)
    return [phrase(one) for one in found]


def advise(
    hazards: Iterable[Hazard], *, weights: Iterable[Weight] = ("care", "blocker")
) -> list[str]:
    """What to do about the hazards of those weights, once each."""
    wanted = sorted(weights)
    kinds = [kind_of(one) for one in hazards]
    return list(dict.fromkeys(kind.advice for kind in kinds if kind.weight in wanted))


def causes(*records: Record) -> list[str]:
    """What in the records may have made a replay come out otherwise than its original, in words."""
    found = [one for record in records for one in all_hazards(record)]
    return list(dict.fromkeys(say(one for one in found if one.kind not in _NO_CAUSES)))


def rounding_causes(*records: Record) -> list[str]:
    """What in the records may have made numbers come out otherwise in their last digits, in words."""
    found = [one for record in records for one in all_hazards(record) if one.kind == "threads"]
    return list(dict.fromkeys(say(found, weights=("note",))))


# They stand in a replay's way; what is said of one that took place has other causes.
_NO_CAUSES = ("redacted", "function by value", "opaque value")


def phrase(hazard: Hazard) -> str:
    """The hazard in a few words."""
    said = f"{hazard.kind}: {hazard.detail}" if hazard.detail else hazard.kind
    return f"{said} ({hazard.place})" if hazard.place else said
