"""Tests of the environment section of a diff: the order of its entries, and facts that only one side recorded."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from recorder.compare.diff import diff
from recorder.compare.entries import Entry
from recorder.digest import canonical_json
from recorder.records import Function, Process, Record, Runtime
from recorder.store.objects.objects import Objects
from recorder.store.store import RunStore

ENVIRONMENT: dict[str, Any] = {
    "python": {"version": "3.12.1"},
    "platform": {
        "release": "6.1",
        "cpu": {"model": "Xeon", "instructions": ["avx2", "fma"]},
        "gpu": [{"model": "H100", "driver": "550"}],
    },
    "packages": {"numpy": {"version": "1.0"}, "black": {"version": "1"}, "attrs": {"version": "1"}},
    "variables": {"TZ": "UTC"},
}
RUNTIME: dict[str, Any] = {
    "imported": ["numpy"],
    "libraries": [
        {"library": "libgomp", "threads": 2},
        {"library": "libgomp", "threads": 4},
    ],
    "torch": {"version": "2", "are_deterministic_algorithms_enabled": False},
    "start_method": None,
}


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Return the objects of an empty store."""
    return RunStore(tmp_path, create=True).objects


def changed(value: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """Return a copy with one value changed."""
    copy = json.loads(json.dumps(value))
    inside: Any = copy
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = to
    return copy  # type: ignore[no-any-return]


def run(
    objects: Objects,
    environment: dict[str, Any] = ENVIRONMENT,
    *,
    start: dict[str, Any] | None = RUNTIME,
    end: dict[str, Any] | None = None,
    **process: Any,
) -> Record:
    """Return a record with the given environment, runtime and process."""

    def put(value: dict[str, Any] | None) -> str | None:
        return None if value is None else objects.put_bytes(canonical_json(value))

    begun = put(start)
    return Record(
        id="a" * 20,
        experiment="e",
        function=Function(module="m", qualname="e"),
        started=datetime.now(timezone.utc),
        environment=put(environment),
        runtime=None if begun is None else Runtime(start=begun, end=put(end), numerics="blake3:"),
        process=Process(pid=1, host="h", user="u", argv=(), cwd="/", **process),
    )


def entries(a: Record, b: Record, objects: Objects) -> list[Entry]:
    """Return the entries of the section."""
    return list(diff(a, b, objects).sections["environment"])


def test_the_same_environments(objects: Objects) -> None:
    """Equal environments do not differ."""
    assert entries(run(objects), run(objects), objects) == []


def test_imported_packages_come_first(objects: Objects) -> None:
    """A package that a run imported comes first, and a package that is only installed comes last."""
    other = changed(ENVIRONMENT, "packages", "numpy", "version", to="2.0")
    other = changed(
        other, "packages", "attrs", to={"version": "1", "url": "file:///x", "editable": True}
    )
    other = changed(other, "platform", "cpu", "model", to="EPYC")
    del other["packages"]["black"]
    found = entries(run(objects), run(objects, other), objects)
    assert [(e.key, e.note) for e in found] == [
        ("packages.numpy", "imported"),
        ("platform.cpu.model", ""),
        ("packages.attrs", ""),
        ("packages.black", ""),
    ]
    assert (found[2].right, found[3].change) == ("1 editable file:///x", "removed")


def test_hardware_flags_and_libraries(objects: Objects) -> None:
    """Instruction sets, GPUs, flags and libraries of one name are separate differences."""
    environment = changed(ENVIRONMENT, "platform", "cpu", "instructions", to=["avx2", "avx512f"])
    environment = changed(environment, "platform", "gpu", 0, "driver", to="560")
    runtime = changed(RUNTIME, "torch", "are_deterministic_algorithms_enabled", to=True)
    runtime = changed(runtime, "libraries", 1, "threads", to=8)
    runtime = changed(runtime, "imported", to=["numpy", "scipy"])
    runtime = changed(runtime, "start_method", to="spawn")
    other = run(objects, environment, end=runtime, hash_seed="0")
    found = {entry.key: entry.change for entry in entries(run(objects), other, objects)}
    assert found == {
        "platform.cpu.instructions.avx512f": "added",
        "platform.cpu.instructions.fma": "removed",
        "platform.gpu[0].driver": "changed",
        "torch.are_deterministic_algorithms_enabled": "changed",
        "libraries.libgomp 2": "changed",
        "imports.scipy": "added",
        "process.PYTHONHASHSEED": "changed",
        "process.start_method": "changed",
    }


def test_flags_at_the_beginning(objects: Objects) -> None:
    """A flag that differs only at the beginning is reported as such; one that differs throughout is reported once."""
    other = changed(RUNTIME, "torch", "are_deterministic_algorithms_enabled", to=True)
    (begun,) = entries(run(objects), run(objects, start=other, end=RUNTIME), objects)
    assert begun.key == "torch, at the beginning, are_deterministic_algorithms_enabled"
    (stayed,) = entries(run(objects), run(objects, start=other), objects)
    assert stayed.key == "torch.are_deterministic_algorithms_enabled"


def test_facts_that_only_one_side_recorded_are_ignored(objects: Objects) -> None:
    """Facts that an earlier version of recorder did not record are not reported as differences."""
    old = changed(ENVIRONMENT, "python", to={"version": "3.12.1", "later": True})
    del old["variables"]
    del old["platform"]["cpu"]["instructions"]
    assert entries(run(objects, old, start=None), run(objects), objects) == []
    assert entries(run(objects), run(objects, old, start=None), objects) == []
