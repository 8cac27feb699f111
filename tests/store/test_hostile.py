"""Tests of stores that come from somebody else, or are damaged: links, FIFOs, signatures, live folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stores import begin

from recorder.errors import DamageError, StoreFormatError
from recorder.records import Output
from recorder.store.maintenance.check import check, repair_store
from recorder.store.maintenance.gc import collect
from recorder.store.store import RunStore

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="links and FIFOs of POSIX"),
    pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning"),
]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Return a store with a finished run, an object and a code snapshot."""
    store = RunStore(tmp_path / ".recorder", create=True)
    finish(store)
    (tmp_path / "a.py").write_text("x = 1\n")
    store.snapshots.take(tmp_path, ["a.py"])
    return store


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder with a precious file, old enough to be collected."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "thesis").write_text("precious")
    os.utime(folder / "thesis", (1, 1))
    return folder


def finish(store: RunStore, **fields: Any) -> None:
    record, live = begin(store)
    digest = store.objects.put_bytes(b"weights" * 999)
    output = Output(name="model", kind="file", digest=digest, size_bytes=7 * 999)
    store.finish(msgspec.structs.replace(record, status="finished", outputs=(output,), **fields))
    live.close()


@pytest.mark.parametrize("name", ["staging", "live", "objects", "spare", "envs", "runs.jsonl"])
def test_a_store_whose_entry_is_a_link_is_refused(store: RunStore, victim: Path, name: str) -> None:
    """A store with a link among its entries does not open, the error names the link, and its target is unchanged."""
    path = store.path / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(victim / "thesis" if name == "runs.jsonl" else victim)
    for command in (["list"], ["check", "--repair"], ["gc", "--yes"]):
        done = subprocess.run(
            [sys.executable, "-m", "recorder", "--store", str(store.path), *command],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 3 and name in done.stderr, done
    assert (victim / "thesis").read_text() == "precious"
    with pytest.raises(StoreFormatError, match="symbolic links"):
        RunStore(store.path)


def test_links_in_a_live_folder_are_not_followed(store: RunStore, victim: Path) -> None:
    """The target of a link in the live folder of a killed run is neither shown nor stored."""
    record, live = begin(store)
    live.stdout.symlink_to(victim / "thesis")
    live.files.symlink_to(victim)
    live._folder.release()  # as if its process had been killed
    assert store.get(record.number).stdout is None
    assert [one.is_repaired for one in repair_store(store)] == [True]
    lost = RunStore(store.path).get(record.number)
    assert (lost.status, lost.stdout, lost.outputs) == ("lost", None, ())
    _, live = begin(store)
    live._folder.release()
    shutil.rmtree(live.path)
    live.path.symlink_to(victim)
    list(repair_store(RunStore(store.path)))
    collect(RunStore(store.path))
    assert [path.name for path in victim.iterdir()] == ["thesis"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_links_and_fifos_in_a_store_are_reported(store: RunStore, victim: Path, kind: str) -> None:
    """An object, a git object and the list of outputs that are a link or a FIFO are found and moved, never opened."""
    (digest,) = store.objects
    git = next((store.snapshots.git_dir / "objects").glob("??/*"))
    paths = [store.objects.path(digest), git]
    if kind == "fifo":  # a store with a link among its entries does not open
        paths.append(store.path / "outputs")
    for path in paths:
        path.unlink(missing_ok=True)
        if kind == "link":
            path.symlink_to(victim / "thesis")
        else:
            os.mkfifo(path)
    store = RunStore(store.path)
    places = {finding.place for finding in check(store)}
    assert f"code.git/{git.relative_to(store.snapshots.git_dir).as_posix()}" in places
    assert kind == "link" or "outputs" in places
    with pytest.raises(DamageError):
        store.objects.read(digest)
    with pytest.raises(DamageError, match="nothing was removed"):
        collect(store)
    list(repair_store(store))
    assert not any(path.is_symlink() or path.is_fifo() for path in store.path.glob("[!l]*/**/*"))
    assert (victim / "thesis").read_text() == "precious"


def test_a_signature_that_is_not_ascii(store: RunStore) -> None:
    """A foreign record whose signature is not ASCII is foreign, and the commands for other runs work."""
    finish(store)
    document = dict(store.journal.table("runs").get(doc_id=2) or {})
    store.journal.table("runs").put(2, {**document, "signature": "\u00e9:1"})
    store = RunStore(store.path)
    assert list(check(store)) == []
    assert store.retag([1, 2], add=["x"])[1].tags == ("x",)


def test_damage_in_a_live_folder(store: RunStore) -> None:
    """A killed run whose live files are damaged is finished without the damaged parts, with a warning for each."""
    record, live = begin(store)
    live.note_output(
        msgspec.json.encode(
            Output(name="a", kind="file", digest="blake3:" + "0" * 64, size_bytes=1)
        )
    )
    live.note_output(
        msgspec.json.encode(
            Output(name="b", kind="value", digest="blake3:" + "0" * 64, size_bytes=1)
        )
    )
    data = bytearray(live.outputs.read_bytes())
    data[40] ^= 0x80
    live.outputs.write_bytes(data)
    live.series.write_text("name,step,time_s,value\nloss,0,0.1,1x\n")
    live._folder.release()  # as if its process had been killed
    collect(RunStore(store.path))
    assert [one.is_repaired for one in repair_store(RunStore(store.path)) if one.finding.mend]
    lost = RunStore(store.path).get(record.number)
    assert [output.name for output in lost.outputs] == ["b"] and lost.metrics == {}
    assert len(lost.warnings) == 3


def test_the_repository_has_the_permissions_of_the_umask(store: RunStore) -> None:
    """code.git can be read by whom the umask allows."""
    mask = os.umask(0)
    os.umask(mask)
    assert store.snapshots.git_dir.stat().st_mode & 0o777 == 0o777 & ~mask
