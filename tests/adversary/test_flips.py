"""Adversarial test of check, repair and gc: random flipped bits, followed by any order of the three commands.

The quick form tries 20 flips with fixed seeds and 5 with a random seed, which is printed if a test fails. For the long
form, set RECORDER_ADVERSARY_FLIPS to the number of additional random flips::

    RECORDER_ADVERSARY_FLIPS=3000 python -m pytest tests/adversary -s

Every flip must leave each finished run whole, or named by a check as damaged: never lost, and never gone in silence.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stores import begin

from recorder.errors import RecorderError
from recorder.records import Code, Output
from recorder.store.maintenance.check import Finding, check, check_format, repair, repair_store
from recorder.store.maintenance.gc import collect
from recorder.store.store import RunStore

pytestmark = pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
MORE = int(os.environ.get("RECORDER_ADVERSARY_FLIPS", "5"))
SEED = random.SystemRandom().randrange(1 << 32)
# Locks are empty, and caches can be made again.
UNCHECKED = (".gate", ".lock", ".lock-recorder", ".index")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """Return a store with finished runs, a removed one, a killed one, saved folders and two code snapshots."""
    root = tmp_path_factory.mktemp("whole")
    store = RunStore(root / ".recorder", create=True)
    folder = root / "project"
    (folder / "sub").mkdir(parents=True)
    for n in range(6):
        record, live = begin(store, config={"n": n}, tags=("J*",))
        (folder / "sub" / "code.py").write_text(f"x = {n // 3}\n" * 50)
        (folder / "README").write_text("readme\n" * 50)
        tree = store.objects.put_tree(folder)
        digest = store.objects.put_bytes(b"weights %d " % n * 700)
        outputs = (
            Output(name="folder", kind="folder", digest=tree.digest, size_bytes=tree.size_bytes),
            Output(name="model", kind="file", digest=digest, size_bytes=7000),
        )
        snapshot = store.snapshots.take(folder, ["README", "sub/code.py"])
        code = Code(root="/nowhere", snapshot=snapshot)
        store.finish(
            msgspec.structs.replace(
                record, status="finished", result=[n] * 50, outputs=outputs, code=code
            )
        )
        live.close()
    store.remove([5])
    _, live = begin(store)
    live.stdout.write_text("killed\n")
    live._folder.release()  # as if its process had been killed
    return store


def state(store: RunStore, number: int) -> dict[str, Any]:
    """Return everything that a run holds: its document, its objects and its code. Raises RecorderError."""
    record = store.get(number)
    held: dict[str, Any] = {"document": record.to_document()}
    for output in record.outputs:
        held[output.name] = store.objects.read(output.digest)
        if output.kind == "folder":
            entries = store.objects.read_tree(output.digest).entries
            held |= {entry.path: store.objects.read(entry.digest or "") for entry in entries}
    if record.code is not None and record.code.snapshot is not None:
        files = store.snapshots.files(record.code.snapshot)
        held |= {f"code {f}": store.snapshots.read(record.code.snapshot, f) for f in files}
    return held


def findings(path: Path) -> list[Finding]:
    """Return the findings of a new check."""
    return list(check_format(path)) or list(check(RunStore(path)))


def do_repair(path: Path) -> None:
    list(repair(check_format(path)))
    list(repair_store(RunStore(path)))


def do_gc(path: Path) -> None:
    collect(RunStore(path))


STEPS: tuple[Callable[[Path], Any], ...] = (do_repair, do_gc, findings)


def attack(whole: RunStore, path: Path, chance: random.Random) -> None:
    """Flip one or two bits of a file of a copy of the store, run commands in a random order, and look at each run."""
    shutil.copytree(whole.path, path, symlinks=True)
    files = [p for p in sorted(path.rglob("*")) if p.is_file() and p.stat().st_size]
    files = [p for p in files if not p.name.endswith(UNCHECKED)]
    target = path / "runs.jsonl" if chance.random() < 0.4 else chance.choice(files)
    data = bytearray(target.read_bytes())
    for _ in range(chance.choice((1, 1, 2))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    mode = target.stat().st_mode
    target.chmod(0o644)
    target.write_bytes(data)
    target.chmod(mode)
    steps = [chance.choice(STEPS) for _ in range(chance.randrange(1, 4))]
    for step in (*steps, do_repair, do_gc, do_repair):
        with contextlib.suppress(RecorderError):  # refused, with a reason
            step(path)
    damage = [finding for finding in findings(path) if finding.is_damage]
    named = {number for finding in damage for number in finding.runs}
    is_unknown = any(
        not finding.runs and finding.place.startswith("runs.jsonl") for finding in damage
    )
    what = f"{target.relative_to(path)}, {[step.__name__ for step in steps]}, {damage}"
    store = RunStore(path)
    for number in (1, 2, 3, 4, 6):
        expected = state(whole, number)
        try:
            actual = state(store, number)
        except RecorderError as error:
            assert number in named or is_unknown, f"run {number}: {error}: {what}"
        else:
            is_named = number in named or is_unknown
            assert actual == expected or is_named, f"run {number} has changed: {what}"
            if actual["document"]["status"] == "lost":
                assert is_named, f"run {number} is lost: {what}"


@pytest.mark.parametrize("seed", range(20))
def test_a_flip_with_a_fixed_seed(whole: RunStore, tmp_path: Path, seed: int) -> None:
    """After flipped bits and any order of check, repair and gc, each run is whole or named as damaged."""
    attack(whole, tmp_path / ".recorder", random.Random(seed))


def test_flips_with_a_random_seed(whole: RunStore, tmp_path: Path) -> None:
    """The same holds for flips with a random seed, which the assertion of a failure states."""
    for n in range(MORE):
        seed = SEED + n
        try:
            attack(whole, tmp_path / str(n) / ".recorder", random.Random(seed))
        except AssertionError as error:
            raise AssertionError(f"random.Random({seed}): {error}") from error
        shutil.rmtree(tmp_path / str(n))
