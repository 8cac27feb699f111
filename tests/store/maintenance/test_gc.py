"""Tests of garbage collection: unreferenced data is removed, needed data stays, also while others record."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from project import Project
from stores import begin
from waiting import wait_for_tick

from recorder.errors import RunInUseError, RunNotFoundError
from recorder.records import Output
from recorder.store.live.live import is_alive
from recorder.store.maintenance.check import check
from recorder.store.maintenance.disk_usage import measure
from recorder.store.maintenance.gc import collect
from recorder.store.store import RunStore

SCRIPT = """
import sys
from pathlib import Path
from recorder import record, save

@record
def train(n=1, seed=0):
    Path("out").mkdir(exist_ok=True)
    Path("out/own").write_text(f"own {n}" * 1000)
    Path("out/shared").write_text("shared" * 1000)
    save("out")
    return n

if __name__ == "__main__":
    train(int(sys.argv[1]))
"""


@pytest.fixture
def made(project: Project) -> Project:
    """Return a project with two runs of different code."""
    project.write("train.py", SCRIPT)
    project.commit()
    project.python("train.py", "1")
    project.write("train.py", SCRIPT + "# changed\n")
    project.python("train.py", "2")
    return project


def freed(store: RunStore, *, dry_run: bool = False) -> dict[str, tuple[int, int]]:
    """Return the freed items by kind."""
    done = collect(store, dry_run=dry_run, confirmed=True)
    return {one.kind: (one.items, one.size_bytes) for one in done}


def test_nothing_is_removed_that_a_run_needs(made: Project) -> None:
    """If no run was removed, only history and caches are collected, and every run still replays."""
    store = RunStore(made.root)
    found = freed(store)
    assert set(found) <= {"journal", "environment"}
    assert list(check(RunStore(store.path))) == []
    assert freed(store).keys() <= {"environment"}
    made.recorder("replay", "1")
    made.recorder("replay", "2")


def test_a_removed_run_takes_its_own_with_it(made: Project) -> None:
    """The objects of a removed run alone are freed; a dry run reports them before and changes nothing."""
    store = RunStore(made.root)
    store.remove([1])
    assert [r.number for r in store.runs()] == [2] and [r.number for r in store.trash()] == [1]
    before = sorted(str(p) for p in store.path.rglob("*") if p.is_file())
    said = freed(store, dry_run=True)
    assert sorted(str(p) for p in store.path.rglob("*") if p.is_file()) == before
    done = freed(store)
    for kind in ("run in the trash", "object", "snapshot"):
        assert said[kind][0] == done[kind][0]
    assert done["run in the trash"][0] == 1 and done["object"][0] == 2 and done["snapshot"][0] == 1
    assert said["object"] == done["object"]
    assert store.trash() == [] and list(check(RunStore(store.path))) == []
    made.recorder("replay", "2")
    # The number is not reused, and the removed snapshot can be taken again.
    made.write("train.py", SCRIPT)
    made.python("train.py", "3")
    assert [r.number for r in RunStore(store.path)] == [2, 3, 4]
    made.recorder("replay", "4")
    assert list(check(RunStore(store.path))) == []


def test_the_trash_gives_back(made: Project) -> None:
    """A removed run is restored completely under its number; a missing or running run raises an error."""
    store = RunStore(made.root)
    record = store.get(1)
    with pytest.raises(RunNotFoundError):
        store.remove([9])
    store.remove([1, 2])
    assert len(store) == 0
    with pytest.raises(RunNotFoundError):
        store.restore([3])
    assert store.restore([1]) == [record] and [r.number for r in store.trash()] == [2]
    assert [r.number for r in store.restore()] == [2]
    _, live = begin(store)
    with pytest.raises(RunInUseError):
        store.remove([1, 3])
    live.close(keep=True)
    assert len(store) == 3


def test_a_lost_run_keeps_what_it_had_until_it_is_removed(tmp_path: Path) -> None:
    """The saved outputs of a killed run stay; once it is removed and collected, its live folder goes too."""
    store = RunStore(tmp_path / "s", create=True)
    _, live = begin(store)
    live.stdout.write_text("words")
    digest = store.objects.put_bytes(b"saved" * 100)
    live.note_output(
        msgspec.json.encode(Output(name="x", kind="file", digest=digest, size_bytes=500))
    )
    live.close(keep=True)
    collect(store)
    assert store.objects.has(digest) and live.path.exists()
    assert [o.name for o in store.get(1).outputs] == ["x"]
    store.remove([1])
    assert live.path.exists()
    found = freed(store)
    assert found["live folder"][0] == 1 and found["object"][0] == 1
    assert not store.objects.has(digest) and not live.path.exists()


def test_what_a_run_in_progress_has_put_stays(tmp_path: Path) -> None:
    """An object that a run in progress has put or found is not collected before the run has ended."""
    store = RunStore(tmp_path / "s", create=True)
    old = store.objects.put_bytes(b"old, and nobody's")
    other = store.objects.put_bytes(b"old too")
    wait_for_tick(store.path)
    live = store.reserve()
    new = store.objects.put_bytes(b"new")
    assert store.objects.put_bytes(b"old, and nobody's") == old  # relied on from here
    collect(RunStore(store.path), confirmed=True)
    assert store.objects.has(old) and store.objects.has(new) and not store.objects.has(other)
    live.close()
    assert freed(store)["object"][0] == 2


def test_leftovers(tmp_path: Path) -> None:
    """Staged files of dead processes, empty live folders, workspaces and environments are removed; lost+found stays."""
    store = RunStore(tmp_path / "s", create=True)
    (store.path / "staging" / "cut").write_text("x" * 5000)
    (store.path / "runs.jsonl.index.99").write_text("x" * 5000)
    (store.path / "live" / "a").mkdir()
    for name in ("workspaces", "envs", "lost+found"):
        (store.path / name / "one").mkdir(parents=True)
        (store.path / name / "one" / "file").write_text("x")
        (store.path / name / "one").chmod(0o555)
    found = freed(store)
    assert {kind: items for kind, (items, _) in found.items()} == {
        "staged file": 2, "live folder": 1, "workspace": 1, "environment": 1,
    }  # fmt: skip
    assert (store.path / "lost+found" / "one" / "file").exists()
    assert list((store.path / "staging").iterdir()) == []


RECORD = """
import sys
from pathlib import Path
from recorder import record, save

@record
def train(n, seed=0):
    save({"value": "v" * 5000, "n": n % 3}, name="a")  # an object that removed runs also had
    Path("file").write_text(f"{n % 4}" * 3000)
    save("file")
    return n

for n in range(int(sys.argv[1])):
    train(n)
"""


def test_collecting_while_others_record(project: Project) -> None:
    """While two processes record, runs are removed and collected at once, and every remaining run is intact."""
    project.write("train.py", RECORD)
    project.commit()
    project.python("train.py", "2")
    store = RunStore(project.root)
    processes = [
        subprocess.Popen([sys.executable, "train.py", "25"], cwd=project.root, env=project.env)
        for _ in range(2)
    ]
    rounds = 0
    while any(process.poll() is None for process in processes):
        numbers = [record.number for record in store.runs() if record.status == "finished"]
        store.remove(numbers[: len(numbers) // 2])
        collect(store)
        rounds += 1
        time.sleep(0.05)
    assert [process.wait() for process in processes] == [0, 0] and rounds >= 2
    findings = [finding for finding in check(RunStore(store.path)) if finding.is_damage]
    assert findings == []
    assert max(record.number for record in store.runs()) == 52


def test_puts_and_deletes_do_not_cross(tmp_path: Path) -> None:
    """A thread that repeatedly puts the same bytes always finds them while another thread collects."""
    store = RunStore(tmp_path / "s", create=True)
    missing: list[int] = []
    done = threading.Event()

    def put() -> None:
        try:
            mine = RunStore(store.path)
            for n in range(40):
                live = mine.reserve()
                digest = mine.objects.put_bytes(b"the same", sync=False)
                time.sleep(0.001)  # give the other thread time to delete it
                if not mine.objects.has(digest):
                    missing.append(n)
                live.close()
        finally:
            done.set()

    thread = threading.Thread(target=put)
    thread.start()
    while not done.is_set():
        collect(store)
        time.sleep(0.002)
    thread.join()
    assert missing == []


def test_a_run_begins_while_another_process_collects(tmp_path: Path) -> None:
    """The live folder of a run that is just beginning is not removed before it is locked."""
    store = RunStore(tmp_path / "s", create=True)
    code = f"""
from recorder.store.store import RunStore
from recorder.store.maintenance.gc import collect
store = RunStore({str(store.path)!r})
print("ready", flush=True)
while True:
    collect(store)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as collector:
        try:
            assert collector.stdout is not None and collector.stdout.readline() == b"ready\n"
            for _ in range(2000):
                live = store.reserve()
                assert is_alive(live.path)
                live.close()
        finally:
            collector.kill()


def test_sizes(made: Project) -> None:
    """An object of one run counts as its own, an object of several runs as shared, and once for an experiment."""
    store = RunStore(made.root)
    sizes = measure(store)
    one, two = sizes.runs
    assert one.own_bytes >= 5000 and one.shared_bytes >= 6000
    assert (one.name, two.name) == (
        "1",
        "2",
    ) and one.total_bytes == one.own_bytes + one.shared_bytes
    (experiment,) = sizes.experiments
    assert experiment.runs == 2 and experiment.shared_bytes == 0
    assert experiment.own_bytes == one.own_bytes + two.own_bytes + one.shared_bytes
    assert sizes.on_disk["objects"] >= experiment.own_bytes and "code.git" in sizes.on_disk


def test_the_commands(made: Project) -> None:
    """`remove` asks for confirmation, --undo restores, `gc` reports what it frees, `du` shows own and shared bytes.

    A query selects the matching runs, here as in export; if none matches, the command reports that and does nothing.
    """
    assert made.recorder("remove", "1", status=130, input="n\n").stdout
    assert "run 1" in made.recorder("remove", "1", input="y\n").stdout
    made.recorder("show", "1", status=3)
    assert "would free" in made.recorder("gc", "--dry-run").stdout
    assert made.recorder("remove", "--undo").stdout == "taken out of the trash: run 1\n"
    assert made.recorder("remove", "--undo").stdout == "the trash is empty\n"
    made.recorder("remove", status=2)
    assert "run 2" in made.recorder("export", "--where", "number > 1", "two.zip").stdout
    for command in (["remove", "--yes"], ["export", "none.zip"]):
        said = made.recorder(*command, "--where", "number > 2", status=3).stderr
        assert said == "recorder: no run matches --where 'number > 2'\n"
    assert not (made.root / "none.zip").exists()
    assert "removed: run 1;" in made.recorder("remove", "--where", "number < 2", "--yes").stdout
    kinds = {one["kind"] for one in json.loads(made.recorder("gc", "--json").stdout)}
    assert {"run in the trash", "object", "snapshot"} <= kinds
    made.recorder("remove", "--undo", "1", status=3)
    assert "train" in made.recorder("du").stdout
    assert [one["name"] for one in json.loads(made.recorder("du", "--json").stdout)["runs"]] == [
        "2"
    ]
