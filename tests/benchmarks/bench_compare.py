"""What a verdict costs, as ratios measured side by side: ``python tests/benchmarks/bench_compare.py [MEGABYTES]``.

Arrays beside NumPy's own array_equal and allclose, a series beside reading its text once. Ratios hold from machine to
machine; times do not. Needs NumPy, and four times the size given (1024 MB) on the disk.
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

from recorder.compare.verify import verify
from recorder.digest import digest_file
from recorder.records import Content, Function, Output, Record
from recorder.store.objects import Objects

ROUNDS = 3
POINTS = 1_000_000


def best(call: Callable[[], object]) -> float:
    """The least of several measurements, in seconds."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def record(output: Output | None = None, series: Content | None = None) -> Record:
    """A finished record with that output or series."""
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
    """The verdict on two large .npy outputs: equal, one element off, all off, another order in memory."""
    array = np.random.default_rng(0).normal(size=(megabytes, 1 << 17))
    variants = {"original": array, "all elements differ": array * (1 + 1e-6)}
    one_off = array.copy()
    one_off[-1, -1] += 1
    variants["one element differs"] = one_off
    records, path = {}, folder / "w.npy"
    for name, values in variants.items():
        np.save(path, values)
        digest, size = objects.put_file(path, sync=False)
        records[name] = record(Output(name="w.npy", kind="file", digest=digest, size_bytes=size))
    other = variants["all elements differ"]
    paths = [objects.path(r.outputs[0].digest) for r in records.values()]
    floors = {
        "digest of one file": best(lambda: digest_file(paths[0])),
        "array_equal in memory": best(lambda: np.array_equal(array, one_off)),
        "array_equal, np.load": best(lambda: np.array_equal(np.load(paths[0]), np.load(paths[2]))),
        "allclose in memory": best(lambda: np.allclose(array, other)),
    }
    for name, seconds in floors.items():
        show(f"  {name}", seconds, floors["array_equal, np.load"])
    cases = {"same digest": ("original", {}), "one element differs": ("one element differs", {}),
             "all differ": ("all elements differ", {}), "all close": ("all elements differ", {"rtol": 1e-5})}  # fmt: skip
    for name, (key, tolerance) in cases.items():
        a, b = records["original"], records[key]
        seconds = best(lambda a=a, b=b, t=tolerance: verify(a, b, objects, **t))  # type: ignore[misc]
        show(f"verdict: {name}", seconds, floors["array_equal, np.load"])


def measure_series(objects: Objects) -> None:
    """The verdict on two series of a million points."""
    texts = [
        "name,step,time_s,value\n"
        + "".join(
            f"loss,{i},{i / 50:.3f},{1 / (i + 1 + off * (i >= 400))!r}\n" for i in range(POINTS)
        )
        for off in (0.0, 0.25)
    ]
    contents = [
        Content(digest=objects.put_bytes(t.encode(), sync=False), size_bytes=len(t)) for t in texts
    ]
    floor = best(lambda: [t.split("\n") for t in texts])
    a, b = (record(series=content) for content in contents)
    show("  splitting both texts into lines", floor, floor)
    show("verdict: a million points, the same", best(lambda: verify(a, a, objects)), floor)
    show(
        "verdict: a million points, all but 400 differ", best(lambda: verify(a, b, objects)), floor
    )


def show(what: str, seconds: float, floor: float) -> None:
    """One line."""
    print(f"{what:48} {seconds:8.3f} s   x {seconds / floor:6.2f}")


def main() -> None:
    """Measure, in a folder that is gone afterwards."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"arrays of {megabytes} MB, beside array_equal of both loaded")
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
