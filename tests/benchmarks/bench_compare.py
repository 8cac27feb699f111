"""Measure the cost of a verdict: ``python tests/benchmarks/bench_compare.py [MEGABYTES]``.

Arrays are compared with NumPy's array_equal on the same memory-mapped files, and a series with splitting its text into
lines. Ratios are comparable between machines; times are not. It needs NumPy, and five times the size (1024 MB by
default) on disk and in memory.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from recorder.compare.content import compare_files
from recorder.compare.verify import verify
from recorder.digest import digest_file
from recorder.records import Function, Output, Record, StoredBytes
from recorder.store.objects.objects import Objects

ROUNDS = 3
POINTS = 1_000_000


def best(call: Callable[[], object]) -> float:
    """Return the shortest of several measurements, in seconds."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def record(output: Output | None = None, series: StoredBytes | None = None) -> Record:
    """Return a finished record with the output or series."""
    return Record(
        id="a" * 20,
        experiment="f",
        function=Function(module="m", qualname="f"),
        started=datetime.now(timezone.utc),
        status="finished",
        outputs=() if output is None else (output,),
        series=series,
    )


def measure_arrays(folder: Path, objects: Objects, megabytes: int) -> None:
    """Measure large .npy outputs: equal, with one different element, all different, and in another memory order.

    For outputs with different digests, the verdict digests both files first, because a damaged object is not a
    divergence.
    """
    array = np.random.default_rng(0).normal(size=(megabytes, 1 << 17))
    made = {
        "original": array,
        "all elements differ": array * (1 + 1e-6),
        "one element differs": array.copy(),
        "another memory order": np.asfortranarray(array),
    }
    made["one element differs"][-1, -1] += 1
    records = {name: keep(values, folder / "w.npy", objects) for name, values in made.items()}
    del array, made
    paths = {name: objects.path(r.outputs[0].digest) for name, r in records.items()}
    floor = measure_floors(*(paths[name] for name in ("original", "all elements differ")))
    cases = {"same digest": ("original", {}), "one element differs": ("one element differs", {}),
             "all differ": ("all elements differ", {}), "all close": ("all elements differ", {"rtol": 1e-5}),
             "equal, another memory order": ("another memory order", {})}  # fmt: skip
    for name, (key, tolerance) in cases.items():
        a, b = records["original"], records[key]
        sides = [paths["original"], paths[key]]
        if a is not b:
            seconds = best(
                lambda s=sides, t=tolerance: compare_files("w.npy", *s, unlike=True, **t)
            )  # type: ignore[misc]
            show(f"content: {name}", seconds, floor)
        seconds = best(lambda a=a, b=b, t=tolerance: verify(a, b, objects, **t))  # type: ignore[misc]
        show(f"verdict: {name}", seconds, floor)


def keep(values: np.ndarray, path: Path, objects: Objects) -> Record:
    """Store the array; return the record of a run that has it as output."""
    np.save(path, values)
    digest, size = objects.put_file(path, sync=False)
    return record(Output(name="w.npy", kind="file", digest=digest, size_bytes=size))


def measure_floors(a: Path, b: Path) -> float:
    """Measure NumPy and BLAKE3 on the same two files; return the baseline, array_equal, in seconds."""

    def pair() -> tuple[np.ndarray, np.ndarray]:
        return np.load(a, mmap_mode="r"), np.load(b, mmap_mode="r")

    def errors() -> tuple[int, float, float]:
        x, y = pair()
        off = np.abs(x - y)
        scale = np.maximum(np.abs(x), np.abs(y))
        return int(np.count_nonzero(x != y)), float(off.max()), float((off / scale).max())

    floors = {
        "array_equal, memory-mapped": lambda: np.array_equal(*pair()),
        "allclose, memory-mapped": lambda: np.allclose(*pair()),
        "how many differ, and the largest errors": errors,
        "digests of both files": lambda: [digest_file(path) for path in (a, b)],
    }
    found = {name: best(call) for name, call in floors.items()}
    floor = found["array_equal, memory-mapped"]
    for name, seconds in found.items():
        show(f"  {name}", seconds, floor)
    return floor


def measure_series(objects: Objects) -> None:
    """Measure the verdict on two series of a million points."""
    texts = [
        "name,step,time_s,value\n"
        + "".join(
            f"loss,{i},{i / 50:.3f},{1 / (i + 1 + off * (i >= 400))!r}\n" for i in range(POINTS)
        )
        for off in (0.0, 0.25)
    ]
    contents = [
        StoredBytes(digest=objects.put_bytes(t.encode(), sync=False), size_bytes=len(t))
        for t in texts
    ]
    floor = best(lambda: [t.split("\n") for t in texts])
    a, b = (record(series=content) for content in contents)
    show("  splitting both texts into lines", floor, floor)
    show("verdict: a million points, the same", best(lambda: verify(a, a, objects)), floor)
    show(
        "verdict: a million points, all but 400 differ", best(lambda: verify(a, b, objects)), floor
    )


def show(what: str, seconds: float, floor: float) -> None:
    """Print one line of the result."""
    print(f"{what:48} {seconds:8.3f} s   x {seconds / floor:6.2f}")


def main() -> None:
    """Measure in a temporary folder, and print the results."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"arrays of {megabytes} MB, compared with array_equal on both files, memory-mapped")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("objects", "staging"):
            (folder / part).mkdir()
        objects = Objects(folder / "objects", staging=folder / "staging")
        measure_arrays(folder, objects, megabytes)
        print("series of a million points")
        measure_series(objects)


if __name__ == "__main__":
    main()
