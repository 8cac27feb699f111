"""Tests of the store: creating and opening it; beginning, finishing, losing and annotating runs."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stores import begin
from tinydb import Query, TinyDB
from waiting import wait_for_tick

import recorder.store.journal
from recorder.errors import DamageError, RunNotFoundError, StoreFormatError, StoreNotFoundError
from recorder.records import Record, new_id
from recorder.store.format import find_store
from recorder.store.journal import JournalStorage
from recorder.store.known_outputs import KnownOutputs
from recorder.store.live.live import Live, is_alive
from recorder.store.maintenance.gc import collect
from recorder.store.store import RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Return an empty store."""
    return RunStore(tmp_path / ".recorder", create=True)


def test_a_store_is_made_as_designed(store: RunStore) -> None:
    """A new store states its format, is ignored by git, and is found from below and by its parent's path."""
    said = json.loads((store.path / "FORMAT").read_text())
    assert (said["format"], said["digest"]) == (1, "blake3")
    assert (store.path / ".gitignore").read_text() == "*\n"
    below = store.path.parent / "a" / "b"
    below.mkdir(parents=True)
    assert find_store(below) == store.path
    assert RunStore(store.path.parent).id == RunStore(store.path).id == store.id
    assert RunStore(store.path, create=True).id == store.id


def test_what_is_no_store(tmp_path: Path) -> None:
    """A missing store, a folder of other files, and a store of a newer format raise different errors."""
    with pytest.raises(StoreNotFoundError):
        RunStore(tmp_path / "none")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "x").write_text("")
    with pytest.raises(StoreFormatError):
        RunStore(tmp_path / "else", create=True)
    newer = RunStore(tmp_path / "newer", create=True)
    (newer.path / "FORMAT").write_text('{"format": 2, "store": "x"}')
    with pytest.raises(StoreFormatError, match="format 2") as caught:
        RunStore(newer.path)
    assert caught.value.format == 2
    (newer.path / "FORMAT").write_text("{broken")
    with pytest.raises(StoreFormatError):
        RunStore(newer.path)


def _make(path: Path, start: Any, made: Any) -> None:
    start.wait()
    made.put(RunStore(path, create=True).id)


def test_processes_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    """Six processes that create the same store at once get the same one."""
    start, made = multiprocessing.Event(), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=_make, args=(tmp_path / "s", start, made)) for _ in range(6)
    ]
    for process in processes:
        process.start()
    start.set()
    ids = {made.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert ids == {RunStore(tmp_path / "s").id}
    assert list((tmp_path / "s" / "staging").iterdir()) == []


def test_a_run_from_beginning_to_end(store: RunStore) -> None:
    """A run is running while its lock is held, finished after `finish`, and lost in any other case."""
    record, live = begin(store)
    assert record.number == 1 and store.get(1).status == "running"
    store.finish(msgspec.structs.replace(record, status="finished", result=3))
    live.close()
    assert store.get(1).result == 3 and store.get(1).status == "finished"
    other, live = begin(store)
    live.close(keep=True)
    assert store.get(2).status == "lost"
    assert [run.number for run in store] == [1, 2] and len(store) == 2
    assert store.find_id(other.id) == store.get(2) and store.find_id("nothing") is None


def test_records_come_back_whole(store: RunStore) -> None:
    """A record with every field reads back equal, also through another handle."""
    record, live = begin(store, config={"a": {"$tuple": [1, 2.5]}}, tags=("x",), warnings=("w",))
    record = msgspec.structs.replace(record, status="finished", duration_s=0.5, result={"é": None})
    store.finish(record)
    live.close()
    assert RunStore(store.path).get(1) == store.find(record.id[:6])
    assert msgspec.structs.replace(store.get(1), signature=record.signature) == record
    assert Record.from_document(json.loads(json.dumps(record.to_document()))) == record


def test_annotations(store: RunStore) -> None:
    """Only tags, note and verdict can be set later."""
    _, live = begin(store)
    live.close(keep=True)
    assert store.annotate(1, tags=("paper",), note="n").tags == ("paper",)
    assert store.find("paper").note == "n"
    with pytest.raises(TypeError, match="frozen"):
        store.annotate(1, result=2)
    with pytest.raises(RunNotFoundError):
        store.get(9)


def test_annotations_of_a_run_in_progress(store: RunStore) -> None:
    """Annotations of a run in progress are kept when it finishes; annotating a lost run keeps it lost."""
    record, live = begin(store, tags=("x",))
    store.annotate(1, tags=("x", "y"), note="n")
    assert store.get(1).status == "running"
    store.finish(msgspec.structs.replace(record, status="finished"))
    live.close()
    done = store.get(1)
    assert (done.status, done.tags, done.note) == ("finished", ("x", "y"), "n")
    _, live = begin(store)
    live.close(keep=True)
    assert store.annotate(2, note="killed").status == "lost"
    document = store.journal.table("runs").get(doc_id=2)
    assert document is not None and document["status"] == "running"


def test_a_record_that_does_not_validate(store: RunStore) -> None:
    """A document that is not a record raises an error that names the run."""
    store.journal.table("runs").insert({"number": 1, "id": 5})
    with pytest.raises(DamageError, match="run 1"):
        store.get(1)


def test_content_is_inline_where_it_is_small_text(store: RunStore, tmp_path: Path) -> None:
    """Small text is stored inline, large and binary content as an object; both read back."""
    for data, inline in ((b"small", True), (b"\xff\xfe", False), (b"x" * 5000, False)):
        content = store.keep(data)
        assert (content.text is not None) == inline
        assert store.read_content(content) == data
        (tmp_path / "file").write_bytes(data)
        assert store.keep_file(tmp_path / "file") == content
    assert store.keep_file(tmp_path / "missing") is None and store.read_content(None) == b""


def test_tinydb_opens_the_journal(store: RunStore) -> None:
    """TinyDB itself, with its own queries, works on the store's journal."""
    for lr in (0.1, 0.2):
        _, live = begin(store, config={"lr": lr})
        live.close()
    db = TinyDB(store.path / "runs.jsonl", storage=JournalStorage)
    assert [d.doc_id for d in db.table("runs").search(Query().config.lr > 0.15)] == [2]


def test_known_outputs(tmp_path: Path) -> None:
    """Paths are stored once, are visible to another handle, and an incomplete line is skipped."""
    one, other = KnownOutputs(tmp_path / "outputs"), KnownOutputs(tmp_path / "outputs")
    assert one.read() == frozenset()
    one.add(["a", "b\n"])
    other.add(["b\n", "c"])
    assert one.read() == {"a", "b\n", "c"}
    assert len((tmp_path / "outputs").read_text().splitlines()) == 3
    with (tmp_path / "outputs").open("a") as file:
        file.write('"cut')
    assert other.read() == {"a", "b\n", "c"}


def wait_until_empty(folder: Path) -> None:
    """Wait for the end of the thread that empties the folders of ended runs."""
    deadline = time.monotonic() + 60
    while any(thread.name == "recorder-spare" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not any(file.stat().st_size for file in folder.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="a folder with an open file cannot be renamed there")
def test_a_live_folder_serves_the_next_run(store: RunStore) -> None:
    """The next run of a process reuses the emptied folder of an ended one, with a new age, locked, and kept by gc."""
    _, live = begin(store)
    inode, lock = live.path.stat().st_ino, live.path / "lock"
    for file in (live.stdout, live.series, live.outputs, live.files / "own", live.path / "else"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("of the first")
    for file in (live.path, lock):
        os.utime(file, (1, 1))
    live.close(reuse=True)
    assert not list((store.path / "live").iterdir())
    (spare,) = (store.path / "spare").iterdir()
    wait_until_empty(spare)
    wait_for_tick(store.path)  # gc deletes only files older than its start
    collect(store)
    assert is_alive(spare)
    _, live = begin(store)
    assert live.path.stat().st_ino == inode and is_alive(live.path)
    assert not list((store.path / "spare").iterdir())
    assert {file.name for file in live.path.iterdir()} <= {
        "lock",
        "stdout",
        "series.csv",
        "outputs.jsonl",
    }
    assert not any(file.stat().st_size for file in live.path.iterdir())
    assert min(live.path.stat().st_mtime, (live.path / "lock").stat().st_mtime) > 1


@pytest.mark.skipif(os.name == "nt", reason="a folder with an open file cannot be renamed there")
def test_a_live_folder_that_was_swept_away_is_made_anew(store: RunStore) -> None:
    """If the folder of an ended run, or its lock file, is gone, the next run gets a new folder with a lock."""
    for what in ("lock", "folder"):
        _, live = begin(store)
        live.close(reuse=True)
        spare = store.path / "spare" / live.id
        wait_until_empty(spare)
        (spare / "lock").unlink()
        if what == "folder":
            shutil.rmtree(spare)
        _, live = begin(store)
        assert is_alive(live.path)
        live.close(reuse=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_takes_no_folder_of_its_parents(store: RunStore) -> None:
    """A folder waiting for the next run of its process is not taken by a forked child, and outlives it."""
    _, live = begin(store)
    live.close(reuse=True)
    (spare,) = (store.path / "spare").iterdir()
    wait_until_empty(spare)
    pid = os.fork()
    if pid == 0:
        other = Live(store.path / "live" / new_id())
        other.begin()
        os._exit(0 if spare.exists() and is_alive(other.path) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert is_alive(spare)


def test_what_a_process_kept_is_gone_with_it(tmp_path: Path) -> None:
    """A process that ends leaves no folder behind; gc removes the folders of one that was killed."""
    code = """
import os, signal, sys
from recorder.records import new_id
from recorder.store.live.live import Live, is_alive
from recorder.store.store import RunStore
store = RunStore(sys.argv[1], create=True)
for _ in range(2):
    live = store.reserve()
    live.close(reuse=True)
if sys.argv[2:]:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", code, str(tmp_path / ".recorder")]
    subprocess.run(command, check=True)
    spares = tmp_path / ".recorder" / "spare"
    assert not list(spares.iterdir())
    if os.name != "nt":
        subprocess.run([*command, "killed"])
        assert list(spares.iterdir())
        collect(RunStore(tmp_path))
        assert not list(spares.iterdir())


def test_the_last_runs(store: RunStore) -> None:
    """The last runs are those with the highest numbers, in order, and are found without reading the others."""
    for n in range(5):
        record, live = begin(store, config={"n": n})
        store.finish(msgspec.structs.replace(record, status="finished"))
        live.close()
    whole = store.runs()
    assert store.runs(last=2) == whole[-2:] and store.runs(last=50) == whole
    assert store.runs(last=0) == []
    assert (store.find("last"), store.find("last~4")) == (whole[-1], whole[0])
    with pytest.raises(RunNotFoundError, match="only 5 runs"):
        store.find("last~5")


def test_the_public_path_of_the_journal_storage(tmp_path: Path) -> None:
    """`TinyDB(path, storage=recorder.store.journal.JournalStorage)` works, and the package alone loads no TinyDB."""
    db = TinyDB(tmp_path / "db.jsonl", storage=recorder.store.journal.JournalStorage)
    assert db.insert({"x": 1}) == 1 and db.all() == [{"x": 1}]
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        recorder.store.journal.Nothing  # noqa: B018
    code = "import sys, recorder.store.journal; print('tinydb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
