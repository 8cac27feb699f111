"""Tests of check and repair: every flipped bit is found, and nothing is ever deleted."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from project import Project
from stores import begin

from recorder.errors import DamageError
from recorder.records import Output
from recorder.store.live.recovery import NO_FOLDER
from recorder.store.maintenance.check import Finding, check, check_format, repair, repair_store
from recorder.store.maintenance.gc import UnexplainedError, collect
from recorder.store.store import RunStore

SCRIPT = """
import sys
from pathlib import Path
from recorder import record, save, log

@record
def train(n=1, seed=0):
    data = Path("data.txt").read_text()
    Path("model.txt").write_text(f"model {n} " * 2000)
    save("model.txt")
    Path("folder").mkdir(exist_ok=True)
    Path("folder/a").write_text(f"a {n}" * 10)
    Path("folder/b").write_text("b")
    save("folder")
    save({"big": list(range(5000))}, name="value")
    for i in range(600):
        log(loss=1 / (i + 1))
    print("x" * 6000)
    return n

if __name__ == "__main__":
    train(int(sys.argv[1]))
"""
# Locks are empty, and caches can be made again.
UNCHECKED = ("workspaces/", "envs/", "live/", "objects.gate", "code.gate")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with three runs, one snapshot packed, one loose, and a killed run."""
    root = tmp_path_factory.mktemp("made") / "project"
    root.mkdir()
    project = Project(root)
    project.write("train.py", SCRIPT)
    project.write("data.txt", "some data")
    project.write(".gitignore", "model.txt\n")
    project.commit()
    project.python("train.py", "1")
    project.python("train.py", "2")
    store = RunStore(root)
    store.snapshots.run_git(["repack", "-a", "-d", "-n", "-q"])
    project.write("data.txt", "other data")
    project.python("train.py", "3")
    return root


@pytest.fixture
def store(made: Path, tmp_path: Path) -> RunStore:
    """Return the store in a copy of that project."""
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    return RunStore(tmp_path / "project")


def files(store: RunStore) -> Iterator[Path]:
    """Yield the files that a check verifies."""
    for path in sorted(store.path.rglob("*")):
        name = path.relative_to(store.path).as_posix()
        is_lock = ".lock" in name
        if (
            path.is_file()
            and path.stat().st_size
            and not is_lock
            and not name.startswith(UNCHECKED)
        ):
            yield path


def flip(path: Path, at: int, bit: int) -> None:
    """Flip one bit of the file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)


def found(store: RunStore) -> list[Finding]:
    """Return the findings of a new check, with the journal and the settings read again."""
    first = list(check_format(store.path))
    if first:
        return first
    return list(check(RunStore(store.path)))


def kinds(store: RunStore) -> list[str]:
    """Return the kinds of the findings."""
    return [finding.kind for finding in found(store)]


def test_a_whole_store_has_no_findings(store: RunStore) -> None:
    """An undamaged store has no findings."""
    assert found(store) == []
    names = {path.relative_to(store.path).parts[0] for path in files(store)}
    assert names >= {"FORMAT", ".gitignore", "runs.jsonl", "outputs", "objects", "code.git"}


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_flipped_bit_is_found_in_every_file(store: RunStore) -> None:
    """A flipped bit in any file of the store, at seeded random positions, is found with its place."""
    chance = random.Random(20261124)
    by_kind: dict[str, list[Path]] = {}
    for path in files(store):
        name = path.relative_to(store.path).as_posix()
        kind = name if not name.startswith(("objects/", "code.git/objects/")) else name[:16]
        by_kind.setdefault(kind, []).append(path)
    packs = list((store.path / "code.git" / "objects" / "pack").iterdir())
    chosen = [chance.choice(paths) for paths in by_kind.values()] + packs
    assert len(chosen) > 12
    for path in chosen:
        whole = path.read_bytes()
        for _ in range(3):
            at, bit = chance.randrange(len(whole)), chance.randrange(8)
            flip(path, at, bit)
            assert found(store), f"{path}: bit {bit} of byte {at}"
            flip(path, at, bit)
        assert path.read_bytes() == whole
    assert found(store) == []


def test_every_bit_of_small_files_is_found(store: RunStore) -> None:
    """Any flipped bit of FORMAT, of a ref, and of the known outputs is found."""
    refs = sorted((store.path / "code.git" / "refs" / "snapshots").iterdir())
    for path in (store.path / "FORMAT", store.path / "outputs", refs[0]):
        for at in range(path.stat().st_size):
            for bit in range(8):
                flip(path, at, bit)
                if path.name == "FORMAT":
                    assert list(check_format(store.path)), (at, bit)
                elif path.name == "outputs":
                    is_last_newline = at == path.stat().st_size - 1
                    assert RunStore(store.path).known_outputs.damaged() or is_last_newline, (
                        at,
                        bit,
                    )
                else:
                    text = path.read_bytes()
                    assert text != path.name.encode() + b"\n"
                flip(path, at, bit)


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_one_flipped_bit_in_the_journal_is_put_right(store: RunStore) -> None:
    """Whichever bit of a line is flipped, a repair restores the record exactly."""
    path = store.path / "runs.jsonl"
    collect(store)
    before = [record.to_document() for record in RunStore(store.path).runs()]
    chance = random.Random(7)
    size = path.stat().st_size
    for at in [0, 8, 15, 16, *(chance.randrange(size - 1) for _ in range(12))]:
        flip(path, at, chance.randrange(8))
        outcomes = list(repair(check(RunStore(store.path))))
        assert [o.is_repaired for o in outcomes if o.finding.is_damage] == [True], at
        assert [record.to_document() for record in RunStore(store.path).runs()] == before
    assert found(store) == []


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_line_beyond_repair_is_kept_elsewhere(store: RunStore) -> None:
    """A line beyond repair stays, and nothing is collected, until it is discarded to lost+found byte for byte."""
    path = store.path / "runs.jsonl"
    collect(store)
    lines = path.read_bytes().splitlines(keepends=True)
    broken = lines[1][:50] + b"XXXX" + lines[1][54:]
    path.write_bytes(lines[0] + broken + lines[2])
    objects = set(store.objects)
    (outcome,) = repair_store(RunStore(store.path))
    assert not outcome.is_repaired and outcome.finding.runs == (2,)
    assert path.read_bytes() == lines[0] + broken + lines[2]
    with pytest.raises(DamageError, match="nothing was removed"):
        collect(RunStore(store.path))
    (outcome,) = repair_store(RunStore(store.path), discard=True)
    assert outcome.is_repaired and "lost+found" in outcome.done
    assert [record.number for record in RunStore(store.path).runs()] == [1, 3]
    assert broken in [file.read_bytes() for file in (store.path / "lost+found").iterdir()]
    assert found(store) == []
    assert RunStore(store.path).runs()[-1].number == 3
    collect(RunStore(store.path))  # what the discarded line mentions is still kept
    assert set(store.objects) == objects


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """Return a store with two finished runs and the running lines of both, without code."""
    store = RunStore(tmp_path_factory.mktemp("plain") / ".recorder", create=True)
    for n in range(2):
        record, live = begin(store, tags=("J",))
        digest = store.objects.put_bytes(b"weights %d" % n * 999)
        output = Output(name="model", kind="file", digest=digest, size_bytes=9 * 999)
        done = msgspec.structs.replace(record, status="finished", result=n, outputs=(output,))
        store.finish(done)
        live.close()
    return store


def copy_of(store: RunStore, tmp_path: Path, name: str = "copy") -> RunStore:
    """Return a store that is a copy of `store`."""
    shutil.copytree(store.path, tmp_path / name, symlinks=True)
    return RunStore(tmp_path / name)


def documents(store: RunStore) -> list[dict[str, Any]]:
    """Return the documents of the runs as a new process reads them."""
    return [record.to_document() for record in RunStore(store.path).runs()]


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
@pytest.mark.parametrize("what", ["check, repair", "gc, repair", "repair, gc", "list, repair, gc"])
def test_repair_and_gc_never_lose_a_finished_run(
    plain: RunStore, tmp_path: Path, what: str
) -> None:
    """After a flipped bit in the line of a finished run, in any order of repair and gc, the run is whole again."""
    before, objects = documents(plain), set(plain.objects)
    lines = (plain.path / "runs.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 4  # each run as running and as finished
    start = len(lines[0])
    places = [start + 40, start + len(lines[1]) // 2, sum(map(len, lines[:3])) + 60]
    places += [start + lines[1].index(b"blake3:") + 20]
    for n, at in enumerate(places):
        store = copy_of(plain, tmp_path, str(n))
        flip(store.path / "runs.jsonl", at, n)
        for step in what.split(", "):
            if step == "gc":
                with contextlib.suppress(DamageError):
                    collect(RunStore(store.path))
            elif step == "repair":
                results = list(repair_store(RunStore(store.path)))
                assert all(one.is_repaired for one in results)
            else:
                assert len(documents(store)) == 2
        assert documents(store) == before and set(store.objects) == objects
        assert found(store) == []


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_flip_that_splits_a_line_is_repaired(plain: RunStore, tmp_path: Path) -> None:
    """A flipped bit that makes a byte of a line a newline is found, and the two parts are joined again."""
    store = copy_of(plain, tmp_path)
    path = store.path / "runs.jsonl"
    data = path.read_bytes()
    at = data.rindex(b"J")  # one bit from a newline
    flip(path, at, (data[at] ^ 10).bit_length() - 1)
    assert path.read_bytes()[at] == 10
    (result,) = repair_store(RunStore(store.path))
    assert result.is_repaired and path.read_bytes() == data


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_stale_finding_changes_nothing(plain: RunStore, tmp_path: Path) -> None:
    """A repair whose bytes have changed since the check is refused, and a run that has finished since is not lost."""
    store = copy_of(plain, tmp_path)
    path = store.path / "runs.jsonl"
    data = path.read_bytes()
    flip(path, len(data) - 100, 0)
    stale = list(check(RunStore(store.path)))
    path.write_bytes(data)
    results = {one.finding.kind: one for one in repair(stale)}
    assert not results["damaged line"].is_repaired
    assert "has finished meanwhile" in results["lost run"].done
    assert path.read_bytes() == data and found(store) == []
    # A run that finishes, and removes its folder, between the check and the repair.
    record, live = begin(store)
    live._folder.release()  # as if its process had died
    (lost,) = check(RunStore(store.path))
    assert lost.kind == "lost run" and live.seize()
    store.finish(msgspec.structs.replace(record, status="finished", result="kept"))
    live.close()
    (result,) = repair([lost])
    assert "has finished meanwhile" in result.done and not live.path.exists()
    assert RunStore(store.path).get(3).result == "kept" and found(store) == []


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_run_is_not_taken_for_lost_while_a_line_is_damaged(
    plain: RunStore, tmp_path: Path
) -> None:
    """A run whose final line is beyond repair is named as damaged, and never finished as lost."""
    store = copy_of(plain, tmp_path)
    path = store.path / "runs.jsonl"
    flip(path, path.stat().st_size - 100, 0)
    flip(path, path.stat().st_size - 90, 3)
    data = path.read_bytes()
    for _ in range(2):
        results = {one.finding.kind: one for one in repair_store(RunStore(store.path))}
        assert not results["damaged line"].is_repaired and not results["lost run"].is_repaired
        assert path.read_bytes() == data
    list(repair_store(RunStore(store.path), discard=True))
    (warning,) = RunStore(store.path).get(2).warnings
    assert warning == NO_FOLDER and found(store) == []


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
@pytest.mark.parametrize("how", ["deleted", "emptied", "cut at a line", "older copy"])
def test_a_journal_that_lost_lines(plain: RunStore, tmp_path: Path, how: str) -> None:
    """A check reports a journal that lost lines, and gc deletes nothing without confirmation, with or without a mark."""
    for has_mark in (True, False):
        store = copy_of(plain, tmp_path, str(has_mark))
        path = store.path / "runs.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        count = {"deleted": 0, "emptied": 0, "cut at a line": 3, "older copy": 2}[how]
        path.write_bytes(b"".join(lines[:count]))
        if how == "deleted":
            path.unlink()
        if not has_mark:
            (store.path / "runs.jsonl.mark").unlink()
        findings = found(store)
        if has_mark or count in (0, 3):
            assert any(one.is_damage for one in findings), findings
        if has_mark or not count:
            with pytest.raises(UnexplainedError, match="--yes"):
                collect(RunStore(store.path))
            assert len(list(store.objects)) == 2
        collect(RunStore(store.path), confirmed=True)
        assert len(list(store.objects)) == min(count, 2) // 2
        assert found(store) == [] or count == 3


@pytest.mark.filterwarnings("ignore::recorder.errors.RecorderWarning")
def test_a_flip_in_a_folder_does_not_let_gc_delete_its_files(store: RunStore) -> None:
    """While the list of a saved folder is damaged, gc deletes nothing, since it may name any object."""
    folder = next(o for o in store.get(1).outputs if o.kind == "folder")
    objects = set(store.objects)
    data = store.objects.read(folder.digest)
    for at in (3, data.index(b"blake3:") + 20):
        flip(store.objects.path(folder.digest), at, 0)
        with pytest.raises(DamageError):
            collect(RunStore(store.path))
        flip(store.objects.path(folder.digest), at, 0)
        assert set(store.objects) == objects
    collect(RunStore(store.path))
    assert found(store) == []


def test_gc_keeps_a_snapshot_without_its_ref(store: RunStore) -> None:
    """A snapshot that a run needs is not pruned if its ref is missing, and nothing is if a ref is damaged."""
    code = store.get(1).code
    assert code is not None and code.snapshot is not None
    ref = store.snapshots.git_dir / "refs" / "snapshots" / code.snapshot
    ref.unlink()
    collect(RunStore(store.path))
    assert RunStore(store.path).snapshots.read(code.snapshot, "data.txt") == b"some data"
    flip(ref, 3, 0)
    with pytest.raises(DamageError, match="ref"):
        collect(RunStore(store.path))


def test_a_damaged_object_is_moved_and_found_again(store: RunStore) -> None:
    """A damaged object goes to lost+found, and is restored from the project if the file is still there."""
    record = store.get(1)
    (model,) = (o for o in store.get(3).outputs if o.name == "model.txt")
    lost = next(o for o in record.outputs if o.name == "model.txt")
    for output in (model, lost):
        flip(store.objects.path(output.digest), 11, 1)
    # Files that were recorded under another path are searched for there.
    by_run = {finding.runs: finding for finding in found(store)}
    assert set(by_run) == {(1,), (3,)} and by_run[(1,)].kind == "damaged object"
    copy = store.path.parent / "lost+found copy"
    copy.write_bytes(b"not it")
    outcomes = list(repair(found(store)))
    assert all(outcome.is_repaired for outcome in outcomes)
    assert len(list((store.path / "lost+found").iterdir())) == 2
    left = found(store)
    assert [(f.kind, f.runs, f.repair) for f in left] == [("missing object", (1,), "")]
    assert store.objects.verify(model.digest)


def test_what_is_missing_is_found_with_whom_it_affects(store: RunStore) -> None:
    """A missing object, folder member or snapshot is found, with the runs that need it."""
    record = store.get(2)
    folder = next(o for o in record.outputs if o.kind == "folder")
    member = store.objects.read_tree(folder.digest).entries[0]
    assert member.digest is not None and record.environment is not None
    for digest in (member.digest, record.environment):
        store.objects.path(digest).unlink()
    assert record.code is not None
    (store.path / "code.git" / "refs" / "snapshots" / str(record.code.snapshot)).unlink()
    by_kind: dict[str, list[Finding]] = {}
    for finding in found(store):
        by_kind.setdefault(finding.kind, []).append(finding)
    assert sorted(f.runs for f in by_kind["missing object"]) == [(1, 2, 3), (2,)]
    (snapshot,) = by_kind["missing snapshot"]
    assert snapshot.runs == (1, 2) and snapshot.repair == "sets the ref again"
    list(repair(found(store)))
    assert kinds(store) == ["missing object"] * 2


def test_a_damaged_snapshot_is_taken_from_the_users_repository(store: RunStore) -> None:
    """A damaged git object is restored from the user's repository, or from the file itself."""
    objects = store.path / "code.git" / "objects"
    loose = [f for folder in objects.iterdir() if len(folder.name) == 2 for f in folder.iterdir()]
    assert len(loose) == 2  # the changed file, and the tree that contains it
    for path in loose:
        flip(path, 4, 2)
    outcomes = list(repair(found(store)))
    assert {o.finding.kind for o in outcomes} == {"damaged git object"}
    assert all(o.finding.runs == (3,) for o in outcomes)
    # The file still exists; the tree was never in the user's repository.
    assert sum("restored from" in o.done for o in outcomes) == 1
    assert {"missing git object", "missing snapshot"} & set(kinds(store))


def test_a_damaged_pack_is_unpacked_as_far_as_it_goes(store: RunStore) -> None:
    """Nothing of a damaged pack is deleted, and objects that the user's repository has are restored from it."""
    (pack,) = (store.path / "code.git" / "objects" / "pack").glob("*.pack")
    flip(pack, pack.stat().st_size // 2, 0)
    assert "damaged pack" in kinds(store)
    for _ in range(3):
        list(repair(found(store)))
    assert found(store) == []
    assert pack.name in {path.name for path in (store.path / "lost+found").iterdir()}
    root = store.path.parent
    assert (
        json.loads(Project(root).recorder("replay", "1", "--json").stdout)["verdict"]
        == "reproduced"
    )


def test_settings_and_caches_are_made_again(store: RunStore) -> None:
    """A changed setting, a damaged index, a foreign file and a writable object are repaired or moved."""
    (store.path / "code.git" / "config").write_text("[core]\n\tbare = false\n")
    (index,) = store.snapshots.indexes()
    flip(index, 30, 3)
    (store.path / ".gitignore").write_text("")
    (store.path / "objects" / "notes.txt").write_text("mine")
    (store.path / "mine").write_text("mine")
    one = next(iter(store.objects))
    store.objects.path(one).chmod(0o644)
    assert sorted(set(kinds(store))) == [
        "changed setting", "damaged index", "foreign file", "writable object",
    ]  # fmt: skip
    list(repair(found(store)))
    assert [(f.place, f.is_damage) for f in found(store)] == [("mine", False)]
    assert (store.path / "lost+found" / "notes.txt").read_text() == "mine"


def test_a_store_without_its_format_is_repaired(store: RunStore) -> None:
    """A store with a damaged or missing FORMAT cannot be opened, and can be after a repair, with the same id."""
    project = Project(store.path.parent)
    text = (store.path / "FORMAT").read_text()
    (store.path / "FORMAT").write_text(text.replace('"format"', '"fxrmat"'))
    assert project.recorder("list", status=3).stderr
    done = project.recorder("check", "--repair")
    assert (
        f"the id that can be read, {store.id}" not in done.stderr
        and "1 of 1 repaired" in done.stdout
    )
    assert (store.path / "FORMAT").read_text() == text
    (store.path / "FORMAT").unlink()
    project.recorder("--store", ".recorder", "check", status=1)
    project.recorder("--store", ".recorder", "check", "--repair")
    assert len(RunStore(store.path)) == 3


def test_a_killed_run_is_finished_with_what_it_had(store: RunStore) -> None:
    """A killed run is listed as lost with its console, series and files, before and after a repair finishes it."""
    project = Project(store.path.parent)
    project.write(
        "killed.py",
        """
        import os, signal, sys, time
        from recorder import record, log, save, current_run

        @record
        def killed():
            print("hello from it")
            log(loss=3.5)
            open("part.bin", "w").write("p" * 9000)
            save("part.bin")
            (current_run().dir / "own.txt").write_text("own")
            live = current_run().dir.parent
            until = time.monotonic() + 60
            while time.monotonic() < until:
                if (live / "stdout").read_text() and "loss" in (live / "series.csv").read_text():
                    break
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

        killed()
        """,
    )
    done = project.python("killed.py", status=None)
    assert done.returncode == -signal.SIGKILL
    fresh = RunStore(store.path)
    lost = fresh.get(4)
    assert lost.status == "lost" and lost.metrics["loss"].last == 3.5
    assert "hello from it" in fresh.read_content(lost.stdout).decode()
    assert [o.name for o in lost.outputs] == ["part.bin"]
    assert "hello from it" in project.recorder("show", "4").stdout
    (finding,) = found(store)
    assert (finding.kind, finding.runs, finding.is_damage) == ("lost run", (4,), False)
    assert "lost run" in project.recorder("check", status=0).stdout
    assert collect(fresh) and fresh.get(4) == lost  # gc removes nothing of it
    project.recorder("check", "--repair")
    sealed = RunStore(store.path).get(4)
    assert sealed.status == "lost" and sealed.outputs_digest and sealed.fingerprint
    assert {o.name for o in sealed.outputs} == {"part.bin", "own.txt"}
    assert not (store.path / "live" / sealed.id).exists()
    assert found(store) == []


def test_live_folders_without_a_record(store: RunStore) -> None:
    """The live folder of a run without a record is moved to lost+found, an empty one is removed."""
    for name, text in (("aaaaaaaaaaaaaaaaaaaa", "words"), ("bbbbbbbbbbbbbbbbbbbb", "")):
        (store.path / "live" / name).mkdir(parents=True)
        (store.path / "live" / name / "stdout").write_text(text)
    assert kinds(store) == ["live folder left behind"] * 2
    list(repair(found(store)))
    assert list((store.path / "live").iterdir()) == [] and found(store) == []
    assert (
        store.path / "lost+found" / "live-aaaaaaaaaaaaaaaaaaaa" / "stdout"
    ).read_text() == "words"


def test_a_run_in_progress_is_no_finding(store: RunStore) -> None:
    """While a run is in progress, a check reports nothing about it, and a repair leaves it alone."""
    project = Project(store.path.parent)
    project.write(
        "slow.py",
        """
        import sys
        from recorder import record

        @record
        def slow():
            print("begun", flush=True)
            sys.stdin.readline()

        slow()
        """,
    )
    process = subprocess.Popen(
        [sys.executable, "slow.py"],
        cwd=project.root, env=project.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    assert found(store) == []
    project.recorder("check", "--repair")
    process.communicate("go\n")
    assert process.returncode == 0 and RunStore(store.path).get(4).status == "finished"
    assert found(store) == []


def test_what_is_said(store: RunStore) -> None:
    """The command reports the defect, its place, the affected runs and the repair; status 1 for damage, 0 without."""
    project = Project(store.path.parent)
    assert "everything is as it was written" in project.recorder("check").stdout
    output = next(o for o in store.get(1).outputs if o.name == "model.txt")
    flip(store.objects.path(output.digest), 0, 0)
    said = project.recorder("check", status=1).stdout
    assert (
        "damaged object" in said and "output 'model.txt' of run 1" in said and "--repair:" in said
    )
    (document,) = json.loads(project.recorder("check", "--json", status=1).stdout)
    assert (
        document["runs"] == [1] and document["is_damage"] and document["kind"] == "damaged object"
    )
    assert (store.path / document["place"]).exists()
