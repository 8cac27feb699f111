"""The workloads of `bench_store.py`, each run in a new process in a project: ``python workloads.py NAME ARG...``.

The last printed line is JSON: figures by name, in the unit of the table.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recorder import log, record, save
from recorder.store.store import RunStore

PAYLOAD = 10_000
POINTS = 1_000_000
LARGE = 1 << 30
STORE = Path(".recorder")


@record
def small(
    a: int = 1, b: float = 2.0, c: str = "x", d: bool = True, e: None = None, g: Any = (1, 2),
    h: Any = frozenset({"i"}), j: float = 0.5, k: str = "y", seed: int = 0,
) -> dict[str, float]:  # fmt: skip
    """Take ten values, log a metric, save a file of 10 KB, and return a JSON result."""
    Path("out.bin").write_bytes(os.urandom(PAYLOAD))
    log(loss=0.5)
    save("out.bin")
    return {"accuracy": 0.9}


def by_hand(folder: Path, *, name_too: bool = False) -> None:
    """Write the same bytes: stage, sync and rename a 10 KB file, and append and sync a line.

    With `name_too`, the file's new name is synced as well. Without it, a power cut can leave the line but not the file.
    """
    name = secrets.token_hex(8)
    with (folder / name).open("wb") as file:
        file.write(os.urandom(PAYLOAD))
        file.flush()
        os.fsync(file.fileno())
    (folder / name).rename(folder / f"{name}.object")
    if name_too:
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    with (folder / "journal").open("ab") as file:
        file.write(b'{"x": 1}' * 250 + b"\n")
        file.flush()
        os.fdatasync(file.fileno())


def elapsed(work: Callable[[], object]) -> float:
    """Return the time of a call, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def call(rounds: str) -> dict[str, float]:
    """Measure the first recorded call, and recorded calls and their baselines in turn, in milliseconds.

    Of each, the first decile counts, because other processes use the disk too.
    """
    first = elapsed(small)
    time.sleep(0.1)  # so that files written a moment ago can be distinguished from changed ones
    small()
    folder = STORE / "by-hand"
    folder.mkdir(exist_ok=True)
    works = (small, lambda: by_hand(folder), lambda: by_hand(folder, name_too=True))
    times = [[elapsed(work) for work in works] for _ in range(int(rounds))]
    found = [statistics.quantiles(one, n=10)[0] * 1e3 for one in zip(*times, strict=True)]
    return {"first": first * 1e3, **dict(zip(("call", "floor", "durable"), found, strict=True))}


def fill(count: str) -> dict[str, float]:
    """Fill the store up to `count` runs, each with the two lines that a run writes: running and finished."""
    small()
    table = RunStore(STORE).journal.table("runs")
    finished = dict(next(iter(table)))
    running = {**finished, "status": "running", "finished": None, "result": None, "outputs": []}
    running = {**running, "metrics": {}, "series": None, "usage": None, "fingerprint": None}
    from recorder.records import new_id
    from recorder.store.journal.lines import make_line

    with (STORE / "runs.jsonl").open("ab") as file:
        for number in range(len(table) + 1, int(count) + 1):
            own = {"id": new_id(), "number": number, "config": {"lr": number / 1e5, "seed": number}}
            file.write(make_line("runs", number, {**running, **own}))
            file.write(make_line("runs", number, {**finished, **own}))
        file.flush()
        os.fsync(file.fileno())
    # Opening a journal that has grown by 16 MB rewrites its index.
    return {"open": elapsed(lambda: len(RunStore(STORE)))}


def open_store() -> dict[str, float]:
    """Measure opening the store and reading the last 20 runs, a query over all runs, and reading the same bytes."""
    bare = memory_mb()
    start = time.perf_counter()
    store = RunStore(STORE)
    last = store.runs(last=20)
    opened = time.perf_counter() - start
    assert len(last) == 20
    from tinydb import where

    table = store.journal.table("runs")
    start = time.perf_counter()
    found = table.search(where("config")["lr"] > 0.99)
    query = time.perf_counter() - start
    assert len(found) == len(store) // 100, len(found)
    peak = memory_mb()
    floor = min(elapsed(lambda: zlib.crc32((STORE / "runs.jsonl").read_bytes())) for _ in range(3))
    return {
        "open": opened, "query": query, "memory": peak, "bare": bare, "floor": floor, "parse": parse()
    }  # fmt: skip


def parse() -> float:
    """Return the time to parse every second line of the journal, in seconds; these are the current documents."""
    import msgspec

    lines = (STORE / "runs.jsonl").read_bytes().splitlines()[1::2]
    decode = msgspec.json.Decoder().decode
    return elapsed(lambda: [None for line in lines if decode(line) is None])


def memory_mb() -> float:
    """Return the largest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@record
def log_one() -> None:
    """Log many points, one per call."""
    for i in range(POINTS):
        log(loss=1 / (i + 1), step=i)


@record
def log_four() -> None:
    """Log the same number of points, four per call."""
    for i in range(POINTS // 4):
        value = 1 / (i + 1)
        log(step=i, loss=value, accuracy=value + 1, rate=value / 3, norm=value * 7)


def least() -> float:
    """Return the time of a call with a keyword that appends to a list, in microseconds."""
    taken: list[Any] = []

    def take(*, step: int, **named: float) -> None:
        taken.append((step, named))

    start = time.perf_counter()
    for i in range(POINTS):
        take(loss=0.5, step=i)
    return (time.perf_counter() - start) / POINTS * 1e6


def log_points() -> dict[str, float]:
    """Measure a point in microseconds, with one and four per call, and its largest size in the store in bytes."""
    workloads = {"one": log_one, "four": log_four}
    found = {
        name: min(elapsed(work) for _ in range(3)) / POINTS * 1e6
        for name, work in workloads.items()
    }
    store = RunStore(STORE)
    sizes = [store.objects.size(run.series.digest) for run in store.runs() if run.series]
    return {**found, "floor": min(least() for _ in range(3)), "bytes": max(sizes) / POINTS}


def large() -> dict[str, float]:
    """Measure storing, copying and digesting a file of 1 GB, in turn; the best of each counts, in seconds."""
    source, copied, objects = Path("large"), Path("copied"), RunStore(STORE, create=True).objects
    figures: dict[str, list[float]] = {"put": [], "copy": [], "move": [], "digest": []}
    work: dict[str, Callable[[], object]] = {
        "copy": lambda: copy(source, copied),
        "put": lambda: objects.put_file(source),
        "digest": lambda: digest(source),
        "move": lambda: objects.put_file(source, move=True),
    }
    for names in (("copy", "put"), ("put", "copy")) * 2:
        write_large(source)
        for name in (*names, "digest", "move"):
            figures[name].append(elapsed(work[name]))
            copied.unlink(missing_ok=True)
            drop_all(objects)
    return {name: min(times) for name, times in figures.items()}


def write_large(path: Path) -> None:
    """Write a new file of 1 GB and sync it."""
    block = os.urandom(1 << 24)
    with path.open("wb") as file:
        for i in range(LARGE // len(block)):
            file.write(i.to_bytes(8, "little") + block[8:])
        file.flush()
        os.fsync(file.fileno())


def copy(source: Path, dest: Path) -> None:
    """Copy with ``cp``, and sync as the store does."""
    subprocess.run(["cp", source, dest], check=True)
    with dest.open("rb") as file:
        os.fsync(file.fileno())


def digest(path: Path) -> None:
    """Digest with BLAKE3 on all cores."""
    from blake3 import blake3

    blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()


def drop_all(objects: Any) -> None:
    """Remove every object, and the memory of it."""
    for name in list(objects):
        objects.path(name).unlink()
    objects._durable.clear()


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {
    "call": call, "fill": fill, "open": open_store, "log": log_points, "large": large
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(WORKLOADS[sys.argv[1]](*sys.argv[2:])))
