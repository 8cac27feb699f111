"""What is otherwise where a replay runs than where its run was recorded, in the order in which it may matter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from ..capture.seeding.determinism import THREADS
from ..compare import ObjectReader
from ..compare.environment import facts
from ..environments.interpreter import Interpreter
from ..records import JSON, Part, Record
from ..store.store import RunStore

# What is compared beforehand: variables and locale are restored, and what is loaded shows only as it runs.
_SECTIONS = ("python", "platform", "packages")
# What of these decides what is computed. The rest is listed after it.
_MATTERS = (
    "python.version", "python.implementation", "python.gil", "python.optimize", "platform.system", "platform.machine",
    "platform.libc", "platform.cpu.model", "platform.cpu.instructions.", "platform.gpu", "platform.cuda",
)  # fmt: skip
# In this order; what begins with none of them comes last.
_LIKELY = ("packages.", "python.", "platform.cpu.", "platform.gpu", "platform.cuda", "platform.machine",
           "platform.system", "platform.libc")  # fmt: skip
_NOW = "now"
_THREADS_OF = {
    "openblas": "OPENBLAS_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
    "blis": "BLIS_NUM_THREADS",
    "openmp": "OMP_NUM_THREADS",
}


class Deviation(Part, frozen=True):
    """A fact of the environment, by its key as in `recorder diff`, that is another one now; None where it is not there.

    `matters` says that it can decide what is computed: a package does if the run had imported it.
    """

    key: str
    recorded: JSON = None
    now: JSON = None
    matters: bool = False


def find_deviations(
    store: RunStore, record: Record, interpreter: Interpreter
) -> tuple[Deviation, ...]:
    """How `interpreter` and this machine differ from what the record says, what matters first."""
    if record.environment is None or not interpreter.environment:
        return ()
    recorded: dict[str, Any] = msgspec.json.decode(store.read(record.environment))
    here = {name: interpreter.environment.get(name) for name in _SECTIONS}
    there = msgspec.structs.replace(record, environment=_NOW)
    known = {_NOW: msgspec.json.encode({**recorded, **here})}
    a, b = facts(record, there, _Objects(store.objects, known))
    found = [
        Deviation(
            key=key,
            recorded=a.known.get(key),
            now=b.known.get(key),
            matters=key.startswith(_MATTERS) or key.removeprefix("packages.") in a.imported,
        )
        for key in dict.fromkeys([*a.known, *b.known])
        if key.startswith(_SECTIONS) and a.known.get(key) != b.known.get(key)
    ]
    return tuple(sorted(found, key=_likelihood))


def _likelihood(deviation: Deviation) -> tuple[bool, int, int]:
    """By which to sort: what is likelier to change what comes out first; a patch of Python is less than a package."""
    key, step = deviation.key, _step(deviation)
    place = next((i for i, group in enumerate(_LIKELY) if key.startswith(group)), len(_LIKELY))
    if key == "python.version" and step < 2:
        place = -1
    return not deviation.matters, place, step if key.startswith("packages.") else 0


def _step(deviation: Deviation) -> int:
    """The first part of a version that is another one: 0 for the major one, or where one side has none."""
    sides = [str(side).split(" ")[0].split(".") for side in (deviation.recorded, deviation.now)]
    same = [a == b for a, b in zip(*sides, strict=False)]
    return same.index(False) if False in same else len(same)


def thread_variables(store: RunStore, record: Record) -> dict[str, str]:
    """The variables by which BLAS and OpenMP libraries take as many threads as they did, {} where they would anyway.

    Without a variable they take one for each processor, and a sum that is split among another number is rounded
    otherwise.
    """
    said = {} if record.environment is None else msgspec.json.decode(store.read(record.environment))
    if record.runtime is None or any(name in (said.get("variables") or {}) for name in THREADS):
        return {}
    # As the run began, where they were loaded by then: the program may have set another number since.
    for digest in (record.runtime.start, record.runtime.last):
        libraries = msgspec.json.decode(store.read(digest)).get("libraries") or []
        if libraries:
            break
    here = processors()
    return {
        _THREADS_OF[one["api"]]: str(one["threads"])
        for one in libraries
        if one.get("api") in _THREADS_OF and one.get("threads") not in (None, here)
    }


def processors() -> int:
    """How many processors this process may use."""
    ask = getattr(os, "sched_getaffinity", None)
    return len(ask(0)) if ask is not None else os.cpu_count() or 1


class _Objects:
    """The store's objects, and those that are known beside."""

    def __init__(self, objects: ObjectReader, known: dict[str, bytes]) -> None:
        self._known = known
        self._objects = objects
        self.path = objects.path
        self.verify = objects.verify

    def read(self, digest: str) -> bytes:
        return self._known[digest] if digest in self._known else self._objects.read(digest)


def describe_deviations(deviations: tuple[Deviation, ...]) -> Iterator[str]:
    """In words: a line for each that matters, with instruction sets as one, and how many others there are."""
    sets = "platform.cpu.instructions."
    matter = [one for one in deviations if one.matters]
    for one in matter:
        if not one.key.startswith(sets):
            yield f"{_name(one.key)}: {_value(one.recorded)} -> {_value(one.now)}"
    signed = [
        ("-" if one.now is None else "+") + one.key[len(sets) :]
        for one in matter
        if one.key.startswith(sets)
    ]
    if signed:
        yield f"processor's instruction sets: {' '.join(signed)}"
    packages = sum(one.key.startswith("packages.") for one in deviations if not one.matters)
    if packages:
        noun = "package" if packages == 1 else "packages"
        yield f"{packages} {noun} that the run had not imported"


def _name(key: str) -> str:
    if key.startswith("packages."):
        return key.removeprefix("packages.")
    words = {
        "python.version": "Python",
        "platform.cpu.model": "processor",
        "platform.libc": "C library",
    }
    return words.get(key, key.removeprefix("platform."))


def _value(value: JSON) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(_value(part) for part in value) or "none"
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values() if part is not None)
    return str(value)
