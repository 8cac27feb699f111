"""Crashes: processes that are killed while they record, and the contents of the store afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from project import Project

from recorder import codec
from recorder.errors import RecorderWarning
from recorder.formats.points import parse_series
from recorder.records import Record
from recorder.store.snapshots import Snapshots
from recorder.store.store import RunStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork, signals and /proc")

# A project that records one run after the other, in children forked by `serve`, which kills each of them. A child
# prints its next step, and the runs that it has finished.
RECORDING = """
import json, os, random, select, signal, sys, time
from pathlib import Path
from recorder import current_run, log, record, save
import recorder.recording.run, recorder.store.store, recorder.store.journal.table, recorder.capture.console.console, git

told = -1

def say(*words):
    if told >= 0:
        os.write(told, " ".join(map(str, words)).encode() + b"\\n")

@record
def work(n, long):
    say("begun", current_run().number)
    print("run", n, flush=True)
    log(loss=n)
    say("logged")
    log(loss=n + 1, other=n / 7)
    scratch = Path("scratch") / str(n)
    scratch.mkdir(parents=True)
    (scratch / "a.bin").write_bytes(bytes([n % 251]) * long)
    (scratch / "b.txt").write_text(f"b of {n}")
    save(scratch / "a.bin", name="a")
    say("saved")
    save(scratch, name="folder")
    save({"n": n}, name="value")
    (current_run().dir / "own.txt").write_text(f"own {n}")
    say("returning")
    return {"n": n, "text": str(n) * long}

def record_on(seed):
    chance = random.Random(seed)
    for n in range(seed * 1000, seed * 1000 + 999):
        if chance.random() < 0.3:
            Path("module.py").write_text(f"N = {n}\\n")
        say("calling")
        work(n, chance.choice([10, 6000]))
        say("tee", recorder.capture.console.console._scribe.pid)
        say("done", current_number())

def current_number():
    from recorder.store.store import RunStore
    return len(RunStore())

def kill_one(seed, events, delay_s, group):
    global told
    reading, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.setpgid(0, 0)
        record_on(seed)
    os.close(told)
    said = b""
    while said.count(b"\\n") < events and (more := os.read(reading, 4096)):
        said += more
    os.setpgid(pid, pid)
    time.sleep(delay_s)
    os.kill(-pid if group else pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    while more := os.read(reading, 4096):
        said += more
    os.close(reading)
    return {"said": said.decode().splitlines(), "status": status}

def serve():
    for line in sys.stdin:
        print(json.dumps(kill_one(*json.loads(line))), flush=True)

if __name__ == "__main__":
    serve()
"""


class Killer:
    """A project, and a process that forks children which record in it and kills them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        project.write("exp.py", RECORDING)
        project.write(".gitignore", "scratch\n.recorder\n")
        project.write("module.py", "N = 0\n")
        project.commit()
        self.process = subprocess.Popen(
            [sys.executable, "exp.py"],
            cwd=project.root,
            env={**project.env, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_one(self, seed: int, *, events: int, delay_s: float, group: bool) -> list[list[str]]:
        """Return the words of a child that was killed `delay_s` after its `events`-th word, alone or with its children."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps([seed, events, delay_s, group]), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert answer["status"] == signal.SIGKILL
        return [line.split() for line in answer["said"]]

    def end(self) -> str:
        """End the process, and return the error output of the children."""
        return self.process.communicate(timeout=60)[1]


@pytest.fixture
def killer(project: Project) -> Iterator[Killer]:
    """A killer, which is ended after the test."""
    found = Killer(project)
    yield found
    found.end()


def verify(store: RunStore, run: Record) -> None:
    """Assert that everything a finished run refers to is in the store, byte for byte, and matches the run."""
    (n, long) = (codec.decode(run.config[name], store.read) for name in ("n", "long"))
    assert codec.decode(run.result, store.read) == {"n": n, "text": str(n) * long}
    outputs = {output.name: output for output in run.outputs}
    assert set(outputs) == {"a", "folder", "value", "own.txt"}
    assert store.read(outputs["a"].digest) == bytes([n % 251]) * long
    assert store.read(outputs["own.txt"].digest) == b"own %d" % n
    tree = store.objects.read_tree(outputs["folder"].digest)
    assert [e.path for e in tree.entries] == ["a.bin", "b.txt"]
    assert all(store.objects.verify(e.digest or "") for e in tree.entries)
    assert codec.decode(outputs["value"].form, store.read) == {"n": n}
    assert store.read_content(run.stdout) == b"run %d\n" % n
    points = parse_series(store.read_content(run.series).decode())
    assert [p.value for p in points["loss"]] == [n, n + 1] and [
        p.value for p in points["other"]
    ] == [n / 7]
    assert store.read(run.environment or "")
    assert run.code is not None and run.code.snapshot is not None
    assert "exp.py" in store.snapshots.files(run.code.snapshot)


def is_gone(pid: int) -> bool:
    """Return whether the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition: Callable[[], bool], *, within_s: float = 60) -> None:
    """Wait for a condition; the time limit makes a failing test end."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_instant(killer: Killer, seed: int) -> None:
    """After each of a hundred kills the store opens, finished runs are complete, and only the last run is lost."""
    chance, seen, tees = random.Random(seed), 0, set()
    for n in range(100):
        events, delay_s = (
            chance.randrange(20),
            chance.choice([0, 0.001, 0.004, 0.02]) * chance.random(),
        )
        said = killer.kill_one(
            seed * 100 + n, events=events, delay_s=delay_s, group=chance.random() < 0.3
        )
        reported = [int(words[1]) for words in said if words[0] == "done"]
        tees |= {int(words[1]) for words in said if words[0] == "tee"}
        if not (killer.project.root / ".recorder" / "FORMAT").exists():
            assert not reported
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecorderWarning)  # a line may have been cut short
            runs = RunStore(killer.project.root).runs()
        assert [run.number for run in runs] == list(range(1, len(runs) + 1))
        new, seen = runs[seen:], len(runs)
        assert [run.status for run in new[:-1]] == ["finished"] * (len(new) - 1)
        assert all(run.status in ("finished", "lost") for run in new)
        assert {run.number for run in new if run.status == "finished"} >= set(reported)
        store = RunStore(killer.project.root)
        for run in new:
            if run.status == "finished":
                verify(store, run)
            else:
                assert (store.path / "live" / run.id / "lock").exists()
    assert seen > 50
    wait_until(lambda: all(is_gone(pid) for pid in tees))
    finish_with_a_run(killer)


def finish_with_a_run(killer: Killer) -> None:
    """Assert that a new run works, the journal and the snapshots are intact, and the list can be read."""
    project, store = killer.project, RunStore(killer.project.root)
    assert "Traceback" not in killer.end()
    project.python("-c", "import exp; exp.work(7, 10)", env={"PYTHONWARNINGS": "ignore"})
    assert store.runs()[-1].status == "finished"
    verify(store, store.runs()[-1])
    assert store.journal.damage() == []
    for digest in store.objects:
        assert store.objects.verify(digest)
    code = f"--git-dir={store.path / 'code.git'}"
    project.git(code, "fsck", "--full", "--strict")
    listed = project.recorder("list").stdout
    assert "finished" in listed and "lost" in listed


QUIET = """
import sys, time
from pathlib import Path
from recorder import current_run, log, record, save

@record
def work():
    for i in range(3):
        log(loss=i)
        print("line", i)
    Path("out.txt").write_text("kept")
    save("out.txt")
    (current_run().dir / "own.txt").write_text("mine")
    Path("ready").write_text("")
    time.sleep(600)

work()
"""


def test_what_a_lost_run_wrote_is_kept(project: Project) -> None:
    """Metrics, console lines and files of a run are on disk while it computes, and survive when it is killed."""
    project.write("exp.py", QUIET)
    project.commit()
    child = subprocess.Popen(
        [sys.executable, "exp.py"], cwd=project.root, env=project.env, stdout=subprocess.DEVNULL
    )
    wait_until((project.root / "ready").exists)
    store = RunStore(project.root)
    (run,) = store.runs()
    assert run.status == "running"
    live = store.path / "live" / run.id

    def points() -> list[Any]:
        file = live / "series.csv"
        return parse_series(file.read_text()).get("loss", []) if file.exists() else []

    wait_until(lambda: len(points()) == 3)
    wait_until(lambda: (live / "stdout").read_text() == "line 0\nline 1\nline 2\n")
    child.kill()
    child.wait()
    assert store.get(1).status == "lost"
    assert [p.value for p in points()] == [0, 1, 2]
    assert (live / "stdout").read_text() == "line 0\nline 1\nline 2\n"
    assert (live / "files" / "own.txt").read_text() == "mine"
    (line,) = (live / "outputs.jsonl").read_bytes().splitlines()
    checksum, _, document = line.partition(b" ")
    assert int(checksum, 16) == zlib.crc32(document)
    output = json.loads(document)
    assert store.read(output["digest"]) == b"kept"
    assert "lost" in project.recorder("list").stdout


INTERRUPTED = """
import os, random, signal, sys, time
from recorder import Store, current_run, log, record

@record
def work(n):
    log(loss=n)
    time.sleep(0.002)
    return n

signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
chance, stdout, state = random.Random(1), os.fstat(1), None
work(0)
for n in range(150):
    state = random.getstate()
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.random() * 0.02 + 1e-6)
        work(n)
        time.sleep(0.02)
    except KeyboardInterrupt:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert current_run() is None and random.getstate() == state
work(0)
assert os.path.samestat(os.fstat(1), stdout)
print(*(run.status for run in Store()))
"""


def test_ctrl_c_at_any_instant(project: Project) -> None:
    """An interrupt at any instant of a run leaves no run in progress and no console tap in a process that continues."""
    project.write("exp.py", INTERRUPTED)
    project.commit()
    for _ in range(4):
        # Between two bytecodes, when a with block is left, nothing can catch it: about one process in ten hits that.
        done = project.python("exp.py", status=None)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    said = done.stdout.split()
    assert said[0] == said[-1] == "finished" and said.count("interrupted") > 15
    assert {*said} <= {"finished", "interrupted", "lost"} and said.count("lost") < 8


ORPHAN = """
import os, time
from recorder import record

@record
def work():
    if os.fork() == 0:
        open("orphan", "w").write(str(os.getpid()))
        time.sleep(600)
        os._exit(0)
    time.sleep(600)

work()
"""


def test_a_child_of_a_killed_run_does_not_keep_it_alive(project: Project) -> None:
    """A run whose process was killed is lost even if a process that it forked continues."""
    project.write("exp.py", ORPHAN)
    child = subprocess.Popen(
        [sys.executable, "exp.py"], cwd=project.root, env=project.env, stdout=subprocess.DEVNULL
    )
    orphan = project.root / "orphan"
    wait_until(lambda: orphan.exists() and orphan.read_text() != "")
    try:
        assert RunStore(project.root).get(1).status == "running"
        child.kill()
        child.wait()
        assert not is_gone(int(orphan.read_text()))
        assert RunStore(project.root).get(1).status == "lost"
    finally:
        os.kill(int(orphan.read_text()), signal.SIGKILL)


def test_readers_of_a_lost_run_agree(tmp_path: Path) -> None:
    """Processes that check at the same time whether a run is alive do not mistake each other for it."""
    from recorder.store.live.live import Live, is_alive

    live = Live(tmp_path / "live")
    live.begin()
    assert is_alive(live.path)
    live.close(keep=True)
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(int(any(is_alive(live.path) for _ in range(2000))))
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4


FULL = """
import resource, signal
from pathlib import Path
from recorder import log, record, save

Path("out.txt").write_text("x" * 5000)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

@record
def work():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, most))
    for i in range(20):
        log(loss=i)
        save("out.txt")
        save(i, name=f"value {i}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    save("out.txt")
    return "its own result"

print(work())
"""


def test_a_full_disk_does_not_end_the_experiment(project: Project) -> None:
    """If the disk is full the experiment continues with a warning; data that could be written later is in the record."""
    project.write("exp.py", FULL)
    project.commit()
    done = project.python("exp.py")
    assert done.stdout == "its own result\n" and "RecorderWarning" in done.stderr
    store = RunStore(project.root)
    (run,) = store.runs()
    assert run.status == "finished" and len(run.warnings) >= 2
    points = parse_series(store.read_content(run.series).decode())
    assert [p.value for p in points["loss"]] == list(range(20))
    assert {"out.txt", "value 0", "value 19"} <= {output.name for output in run.outputs}


# A power cut leaves the bytes that were synced, under the names that were synced.

SYNCED = """
import os, sys
from pathlib import Path
from recorder import current_run, log, record, save
from recorder.store.store import RunStore

store = Path(".recorder").absolute()
bytes_of, names_of, finished, lacking = set(), {}, [], set()
fsync, fdatasync = os.fsync, os.fdatasync

def note(fd):
    path = Path(os.readlink(f"/proc/self/fd/{fd}"))
    if path.is_dir():
        names_of[os.fstat(fd).st_ino] = {(entry.name, entry.inode()) for entry in os.scandir(path)}
    elif path.name == "runs.jsonl":
        check()
    else:
        bytes_of.add(os.fstat(fd).st_ino)

def check():
    # Collected: an assertion error here would be reported as a failure to save.
    finished.append(1)
    objects, code = RunStore().objects, store / "code.git"
    written = [store / "FORMAT", *(objects.path(digest) for digest in objects)]
    written += [code / "HEAD", code / "config", code / "info" / "attributes"]
    # (git itself syncs the bytes of what it writes.)
    by_git = [*code.glob("objects/??/*"), *code.glob("refs/snapshots/*")]
    lacking.update(str(path) for path in written if path.stat().st_ino not in bytes_of)
    for path in [store, store / "runs.jsonl", *written, *by_git]:
        while path != store.parent:
            if (path.name, path.stat().st_ino) not in names_of.get(path.parent.stat().st_ino, ()):
                lacking.add(str(path))
            path = path.parent

os.fsync = lambda fd: (fsync(fd), note(fd))[0]
os.fdatasync = lambda fd: (fdatasync(fd), note(fd))[0]

@record
def work(long):
    print("x" * long)
    for i in range(300):
        log(loss=i)
    Path("scratch").mkdir(exist_ok=True)
    Path("scratch/a").write_bytes(os.urandom(long))
    Path("scratch/b").write_text("b")
    save("scratch")
    save(b"z" * long, name="value")
    (current_run().dir / "own").write_text(str(long))
    return "y" * long

for long in (5000, 6000, 6000):
    Path("module.py").write_text(f"N = {long}")
    work(long)
print(len(finished), "finished", len(list(RunStore().objects)) > 8, sorted(lacking))
"""


def test_what_a_record_names_is_durable_before_it(project: Project) -> None:
    """When a record's line is synced, the bytes, names and folders of its objects are synced already, and the code too."""
    project.write("exp.py", SYNCED)
    project.write(".gitignore", "scratch\n")
    project.commit()
    assert project.python("exp.py").stdout.splitlines()[-1] == "3 finished True []"


# Snapshots: git is a separate process, and is not killed together with recorder.


def test_a_git_that_was_killed_blocks_nobody(tmp_path: Path) -> None:
    """The locks that a killed git leaves on the index and on the ref do not prevent the snapshot of a later run."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    tree = Snapshots(tmp_path / "one.git").take(root, ["a.py"])
    other = Snapshots(tmp_path / "two.git")
    (root / "a.py").write_text("a = 2\n")
    other.take(root, ["a.py"])
    (index,) = (p for p in other.git_dir.glob("index-*") if p.suffix == "")
    index.with_name(index.name + ".lock").write_bytes(b"cut")
    (other.git_dir / "refs" / "snapshots" / f"{tree}.lock").write_bytes(b"")
    (root / "a.py").write_text("a = 1\n")
    assert Snapshots(other.git_dir).take(root, ["a.py"]) == tree and other.has(tree)


def test_a_git_that_outlives_its_recorder_is_waited_for(tmp_path: Path) -> None:
    """While the git of a killed recorder still writes the index, no other process writes it."""
    root, git = tmp_path / "tree", shutil.which("git")
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *update-index*) touch started; sleep 1; {git} "$@"; touch ended;;'
        f' *) exec {git} "$@";; esac\n'
    )
    slow.chmod(0o755)
    code = "import sys; from pathlib import Path; from recorder.store.snapshots import Snapshots\n"
    code += "Snapshots(Path(sys.argv[1])).take(Path.cwd(), ['a.py'])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "code.git")],
        cwd=root,
        env={**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}"},
    )
    wait_until((root / "started").exists)
    child.kill()
    child.wait()
    assert not (root / "ended").exists()
    tree = Snapshots(tmp_path / "code.git").take(root, ["a.py"])
    assert (root / "ended").exists()
    assert list(Snapshots(tmp_path / "code.git").files(tree)) == ["a.py"]


# Maintenance commands may be killed too.


def tidy(store: Path, other: Path, work: str) -> None:
    """Collect garbage, repair, or import, in the store."""
    from recorder.store.archive.transfer import StoreSource, import_runs
    from recorder.store.maintenance.check import check, repair
    from recorder.store.maintenance.gc import collect

    if work == "gc":
        collect(RunStore(store))
    elif work == "repair":
        for _ in repair(check(RunStore(store))):
            pass
    else:
        import_runs(RunStore(store), StoreSource(RunStore(other)))


@pytest.fixture
def used(killer: Killer) -> Path:
    """A store with finished and lost runs, one of them removed, and leftovers."""
    for seed, events in enumerate((16, 12, 9, 18)):
        killer.kill_one(seed + 1, events=events, delay_s=0, group=False)
    store = RunStore(killer.project.root)
    store.remove([1])
    (store.path / "staging" / "left").write_bytes(b"over")
    return store.path


@pytest.mark.parametrize("work", ["gc", "repair", "import"])
def test_tidying_up_killed_at_any_instant(used: Path, tmp_path: Path, work: str) -> None:
    """If a collection, repair or import is killed at any point, every run is intact, and the next one completes it."""
    chance, other = random.Random(work), tmp_path / "other"
    before = {run.id: run.status for run in RunStore(used).runs()}
    shutil.copytree(used, other)
    tidy(other, other, "repair")
    start = tmp_path / "start"
    if work == "import":
        RunStore(start, create=True)
    else:
        shutil.copytree(used, start)
    longest = 0.0
    for n in range(30):
        store = tmp_path / f"store{n}"
        shutil.copytree(start, store)
        begun, pid = time.monotonic(), os.fork()
        if pid == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tidy(store, other, work)
            os._exit(0)
        if n:
            time.sleep(chance.random() * longest)
            os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == 0 or n
        longest = longest or time.monotonic() - begun
        hold(store, before, work)
        tidy(store, other, work)
        hold(store, before, work)
        assert work != "import" or {run.id for run in RunStore(store)} == set(before)
        shutil.rmtree(store)


def hold(path: Path, before: dict[str, str], work: str) -> None:
    """Assert that the contents of the store are intact, and that nothing is missing."""
    store = RunStore(path)
    runs = store.runs()
    assert {run.id for run in runs} <= set(before)
    assert work == "import" or {run.id for run in runs} == set(before)
    for run in runs:
        if run.status == "finished":
            verify(store, run)
        assert run.status == before[run.id]
    assert [digest for digest in store.objects if not store.objects.verify(digest)] == []
