"""Differences between the recording and the replay environment, most relevant first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from ..capture.seeding.determinism import THREADS
from ..compare import ObjectReader
from ..compare.environment import facts
from ..environments.interpreter import Interpreter
from ..environments.recorded import RecordedEnvironment
from ..records import JSON, Part, Record
from ..store.store import RunStore

# Variables and the locale are restored, and the loaded libraries are known only while the replay runs.
_SECTIONS = ("python", "platform", "packages")
# Facts that can decide a result; the others are listed after them.
_MATTERS = (
    "python.version", "python.implementation", "python.gil", "python.optimize", "platform.system", "platform.machine",
    "platform.libc", "platform.cpu.model", "platform.cpu.instructions.", "platform.gpu", "platform.cuda",
)  # fmt: skip
# By likelihood of changing a result.
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
    """A fact of the environment that differs from the recorded one.

    Attributes:
        key: The fact's key as in `recorder diff`, ``packages.numpy``.
        recorded: The recorded value; None where there was none.
        now: The present value; None where there is none.
        matters: Whether the fact can decide a result. A package can if the run imported it.
    """

    key: str
    recorded: JSON = None
    now: JSON = None
    matters: bool = False


def find_deviations(
    store: RunStore, record: Record, environment: RecordedEnvironment, interpreter: Interpreter
) -> tuple[Deviation, ...]:
    """Compare a run's environment with an interpreter and this machine; the most relevant differences come first."""
    if not environment.is_known or not interpreter.environment:
        return ()
    here = {name: interpreter.environment.get(name) for name in _SECTIONS}
    there = msgspec.structs.replace(record, environment=_NOW)
    known = {_NOW: msgspec.json.encode({**environment.described, **here})}
    a, b = facts(record, there, _Objects(store.objects, known))
    deviations = [
        Deviation(
            key=key,
            recorded=a.known.get(key),
            now=b.known.get(key),
            matters=key.startswith(_MATTERS) or key.removeprefix("packages.") in a.imported,
        )
        for key in dict.fromkeys([*a.known, *b.known])
        if key.startswith(_SECTIONS) and a.known.get(key) != b.known.get(key)
    ]
    return tuple(sorted(deviations, key=_relevance))


def _relevance(deviation: Deviation) -> tuple[bool, int, int]:
    """Return the sort key; a patch version of Python ranks after a package."""
    key, step = deviation.key, _version_step(deviation)
    place = next((i for i, group in enumerate(_LIKELY) if key.startswith(group)), len(_LIKELY))
    if key == "python.version" and step < 2:
        place = -1
    return not deviation.matters, place, step if key.startswith("packages.") else 0


def _version_step(deviation: Deviation) -> int:
    """Return the index of the first version part that differs: 0 for the major version."""
    sides = [str(side).split(" ")[0].split(".") for side in (deviation.recorded, deviation.now)]
    same = [a == b for a, b in zip(*sides, strict=False)]
    return same.index(False) if False in same else len(same)


def thread_variables(
    store: RunStore, record: Record, environment: RecordedEnvironment
) -> dict[str, str]:
    """Return the variables that give BLAS and OpenMP libraries the recorded number of threads.

    The result is {} where the libraries would use that number anyway. Without a variable they use one thread for each
    processor, and a sum that is split among another number of threads rounds differently.
    """
    if record.runtime is None or any(name in environment.variables for name in THREADS):
        return {}
    # The start of the run comes first: the program may have changed the number later.
    for digest in (record.runtime.start, record.runtime.last):
        libraries: list[dict[str, Any]] = (
            msgspec.json.decode(store.read(digest)).get("libraries") or []
        )
        if libraries:
            break
    here = processors()
    return {
        _THREADS_OF[library["api"]]: str(library["threads"])
        for library in libraries
        if library.get("api") in _THREADS_OF and library.get("threads") not in (None, here)
    }


def processors() -> int:
    """Return the number of processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class _Objects:
    """The objects of a store, and additional objects in memory."""

    def __init__(self, objects: ObjectReader, known: dict[str, bytes]) -> None:
        self._known = known
        self._objects = objects
        self.path = objects.path
        self.verify = objects.verify

    def read(self, digest: str) -> bytes:
        return self._known[digest] if digest in self._known else self._objects.read(digest)


def describe_deviations(deviations: tuple[Deviation, ...]) -> Iterator[str]:
    """Yield a line for each deviation that matters, one for all instruction sets, and the number of other packages."""
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
        yield f"{packages} {noun} that the run did not import"


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
