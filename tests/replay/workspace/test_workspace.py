"""Tests of the workspace of a replay: its content, its isolation, and its lifetime."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import Project
from waiting import wait_for_tick

from recorder.replay.workspace.layout import lay_out
from recorder.store.filesystem.disk import has_process_locks
from recorder.store.maintenance.gc import collect
from recorder.store.store import RunStore


def tree_of(path: Path) -> dict[str, tuple[str, bytes]]:
    """Return the content of a folder: kind or mode, and bytes or link target, by relative path."""
    found = {}
    for entry in sorted(path.rglob("*")):
        name = str(entry.relative_to(path))
        if entry.is_symlink():
            found[name] = ("link", os.fsencode(entry.readlink()))
        elif entry.is_file():
            found[name] = (oct(entry.stat().st_mode), entry.read_bytes())
    return found


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[tuple[RunStore, str, Path]]:
    """Return a store with one snapshot, held by a run in progress, and the folder of the snapshot."""
    store = RunStore(tmp_path / "s", create=True)
    live = store.reserve()
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    (root / "deep" / "er" / "tool").write_bytes(b"\0\1\2" * 1000)
    (root / "deep" / "er" / "tool").chmod(0o755)
    (root / "link").symlink_to("deep/er/tool")
    (root / "deep" / "folder").symlink_to("er")
    files = ["a.py", "deep/er/tool", "link", "deep/folder"]
    yield store, store.snapshots.take(root, files), root
    live.close()


def workspaces(store: RunStore) -> list[str]:
    """Return the names of the folders of replays and cached snapshots."""
    return sorted(path.name for path in (store.path / "workspaces").iterdir())


def test_a_snapshot_is_copied_from_what_is_laid_out_once(
    taken: tuple[RunStore, str, Path], tmp_path: Path
) -> None:
    """Each copy has the snapshot's bytes, modes, and links, and a write to one copy changes no other."""
    store, snapshot, root = taken
    lay_out(store, snapshot, tmp_path / "one")
    made = (store.path / "workspaces" / snapshot / "whole").stat().st_mtime_ns
    (tmp_path / "one" / "a.py").write_text("overwritten in place")
    lay_out(store, snapshot, tmp_path / "two")
    assert tree_of(tmp_path / "two") == tree_of(root)
    assert (store.path / "workspaces" / snapshot / "whole").stat().st_mtime_ns == made


@pytest.mark.parametrize("what", ["changed", "added", "removed", "half made", "copied store"])
def test_a_kept_tree_that_was_touched_is_made_again(
    taken: tuple[RunStore, str, Path], tmp_path: Path, what: str
) -> None:
    """A modified cached tree is written again, even if its modification times were restored."""
    store, snapshot, root = taken
    lay_out(store, snapshot, tmp_path / "one")
    kept = store.path / "workspaces" / snapshot / "tree"
    wait_for_tick(tmp_path)
    if what == "changed":
        before = (kept / "a.py").stat()
        (kept / "a.py").write_text("x = 2\n")
        os.utime(kept / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == "added":
        (kept / "deep" / "new.py").write_text("")
    elif what == "removed":
        (kept / "deep" / "er" / "tool").unlink()
    elif what == "half made":
        (kept / "a.py").unlink()
        (kept.parent / "whole").unlink()
    else:
        subprocess.run(["cp", "-r", store.path, tmp_path / "copy"], check=True)
        store = RunStore(tmp_path / "copy")
    lay_out(store, snapshot, tmp_path / "two")
    assert tree_of(tmp_path / "two") == tree_of(root)


@pytest.mark.skipif(not has_process_locks(), reason="elsewhere a lock cannot be shared")
def test_gc_beside_processes_that_lay_out(
    taken: tuple[RunStore, str, Path], tmp_path: Path
) -> None:
    """Copies are complete while gc removes the cached tree."""
    store, snapshot, root = taken
    code = (
        "import sys; from pathlib import Path; from recorder.store.store import RunStore\n"
        "from recorder.replay.workspace.layout import lay_out\n"
        "for i in range(60): lay_out(RunStore(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) / str(i))"
    )
    copies = [tmp_path / name for name in ("x", "y", "z")]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, store.path, snapshot, copy])
        for copy in copies
    ]
    rounds = 0
    while any(process.poll() is None for process in processes):
        collect(store)
        rounds += 1
    assert [process.returncode for process in processes] == [0, 0, 0] and rounds > 3
    wanted = tree_of(root)
    assert all(tree_of(copy / str(i)) == wanted for copy in copies for i in range(60))


COLLECTS = """
import subprocess, sys
from pathlib import Path
from recorder import record

@record
def f():
    done = subprocess.run([sys.executable, "-m", "recorder", "gc"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    import later
    return Path("data.txt").read_text(), later.VALUE

if __name__ == "__main__":
    f()
"""


def test_gc_leaves_the_workspace_of_a_replay(project: Project) -> None:
    """gc keeps the workspace of a running replay, and removes a kept workspace afterwards."""
    project.write("f.py", COLLECTS)
    project.write("later.py", "VALUE = 1\n")
    project.write("data.txt", "data")
    project.python("f.py")
    project.recorder("replay", "1")
    store = RunStore(project.root / ".recorder")
    assert workspaces(store) == []
    project.recorder("replay", "1", "--keep-workspace")
    (kept,) = (store.path / "workspaces").iterdir()
    tree = kept / "files" / project.root.relative_to("/")
    assert (tree / "later.py").read_text() == "VALUE = 1\n"
    collect(store)
    assert workspaces(store) == []


WAITS = """
import sys, time
from pathlib import Path
from recorder import record

@record
def f(place: str = sys.argv[1]):
    Path(place, "begun").write_text("")
    for _ in range(600):
        if Path(place, "go on").exists():
            break
        time.sleep(0.05)
    return Path("data.txt").read_text()

if __name__ == "__main__":
    f()
"""


@pytest.fixture
def waiting(project: Project, tmp_path: Path) -> Iterator[tuple[Project, Path]]:
    """Return a project whose run, when replayed, waits for a file in a second folder."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "go on").touch()
    project.write("f.py", WAITS)
    project.write("data.txt", "data")
    project.python("f.py", str(place))
    for name in ("begun", "go on"):
        (place / name).unlink()
    yield project, place
    (place / "go on").touch()


def wait_for(path: Path, *, is_there: bool = True) -> None:
    """Wait until a path exists, or until it does not."""
    for _ in range(1200):
        if path.exists() is is_there:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} {'does not exist' if is_there else 'still exists'}")


@pytest.mark.skipif(not has_process_locks(), reason="a child inherits no lock there")
def test_gc_leaves_the_workspace_of_an_orphan(waiting: tuple[Project, Path]) -> None:
    """gc keeps the workspace of a replay whose parent was killed until the replay's process has ended."""
    project, place = waiting
    command = [sys.executable, "-m", "recorder", "replay", "1"]
    with subprocess.Popen(
        command, cwd=project.root, env=project.env, stdout=subprocess.DEVNULL
    ) as process:
        wait_for(place / "begun")
        process.send_signal(signal.SIGKILL)
    store = RunStore(project.root / ".recorder")
    collect(store)
    assert len([p for p in workspaces(store) if len(p) == 20]) == 1
    (place / "go on").touch()
    for _ in range(1200):
        if store.get(2).status == "finished":
            break
        time.sleep(0.05)
    assert project.show(2)["result"] == "data"
    for _ in range(200):  # the process ends shortly after its record is written
        collect(store)
        if not workspaces(store):
            return
        time.sleep(0.05)
    raise AssertionError(workspaces(store))
