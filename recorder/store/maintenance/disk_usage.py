"""The disk usage of runs and experiments: bytes that only they use, and bytes shared with others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...errors import ObjectNotFoundError
from ...records import Record
from ..references import kept_inputs, objects_of, references
from ..store import RunStore
from .gc import tree_bytes


class Size(NamedTuple):
    """The size of the objects that a run, or the runs of an experiment, refer to.

    Removing it would free `own_bytes`; others refer to `shared_bytes` too.
    """

    name: str
    runs: int
    own_bytes: int
    shared_bytes: int

    @property
    def total_bytes(self) -> int:
        """The size of all objects that it refers to."""
        return self.own_bytes + self.shared_bytes


class Sizes(NamedTuple):
    """The disk usage of a store: by run (number), by experiment, and by entry of its folder (bytes on disk)."""

    runs: list[Size]
    experiments: list[Size]
    on_disk: dict[str, int]


def measure(store: RunStore) -> Sizes:
    """Measure the disk usage of a store.

    An object counts once for each run and once for each experiment that refers to it. Snapshots are compressed
    together, so they are included only in `on_disk`.
    """
    records = store.runs()
    held = {record.number: _objects(store, record) for record in records}
    sizes = _sizes(store, held)
    experiments: dict[str, list[int]] = {}
    for record in records:
        experiments.setdefault(record.experiment, []).append(record.number)
    by_experiment = {
        name: set[str]().union(*(held[n] for n in numbers)) for name, numbers in experiments.items()
    }
    return Sizes(
        runs=_split({str(n): objects for n, objects in held.items()}, sizes, {}),
        experiments=_split(by_experiment, sizes, {n: len(r) for n, r in experiments.items()}),
        on_disk={path.name: tree_bytes(path) for path in sorted(store.path.iterdir())},
    )


def _objects(store: RunStore, record: Record) -> set[str]:
    needed = (*references(record), *kept_inputs(record))
    return {reference.name for reference in objects_of(needed, store.objects)}


def _sizes(store: RunStore, held: Mapping[int, Iterable[str]]) -> dict[str, int]:
    sizes = {}
    for digest in set[str]().union(*held.values()):
        try:
            sizes[digest] = store.objects.size(digest)
        except ObjectNotFoundError:
            continue  # an input in the snapshot
    return sizes


def _split(
    held: Mapping[str, set[str]], sizes: Mapping[str, int], runs: Mapping[str, int]
) -> list[Size]:
    holders = Counter(digest for objects in held.values() for digest in objects)
    split = []
    for name, objects in held.items():
        own = sum(sizes.get(digest, 0) for digest in objects if holders[digest] == 1)
        total = sum(sizes.get(digest, 0) for digest in objects)
        split.append(Size(name, runs.get(name, 1), own, total - own))
    return split
