"""Tests for the files that a run reads, with real files and readers."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT

from recorder.capture.files import watch as watch_module
from recorder.capture.files.audit_hook import Reading, Watch, watch_inputs
from recorder.digest import digest_bytes, digest_file
from recorder.secrets.key import key

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for data."""
    found = tmp_path.resolve() / "data"
    found.mkdir()
    return found


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A watch that ends with the test."""
    found = watch_inputs()
    yield found
    found.stop()


def make(path: Path, data: bytes = b"content") -> Path:
    """Create a file dated an hour ago."""
    path.write_bytes(data)
    then = path.stat().st_mtime_ns - HOUR_NS
    os.utime(path, ns=(then, then))
    return path


def begin(path: Path, data: bytes = b"content") -> tuple[Path, Watch]:
    """Return an earlier file and a new watch."""
    return make(path, data), watch_inputs()


def paths(readings: tuple[Reading, ...]) -> list[Path]:
    return [Path(reading.path) for reading in readings]


def test_a_reading_tells_what_was_read(folder: Path) -> None:
    """A reading has the file's absolute path, digest, size, and time."""
    file, watch = begin(folder / "a.txt", b"some bytes")
    with file.open("rb") as opened:
        opened.read()
    [reading] = watch.stop()
    assert reading == Reading(str(file), digest_bytes(b"some bytes"), 10, file.stat().st_mtime_ns)


def test_the_usual_readers(folder: Path) -> None:
    """csv, json, NumPy, pandas, sqlite3, and plain calls are all noticed, in the order of the first read."""
    files = [
        make(folder / "a.csv", b"x,y\n1,2\n"),
        make(folder / "b.json", b"{}"),
        folder / "c.npy",
        folder / "d.npz",
        make(folder / "e.txt"),
        make(folder / "f.bin"),
        folder / "g.db",
        make(folder / "h.csv", b"x,y\n1,2\n"),
    ]
    np.save(files[2], np.arange(3))
    np.savez(files[3], a=np.arange(3))
    sqlite3.connect(files[6]).execute("create table t (x)")
    watch = watch_inputs()
    with files[0].open(newline="") as opened:
        list(csv.reader(opened))
    json.loads(files[1].read_text())
    np.load(files[2], mmap_mode="r")
    np.load(files[3])["a"]
    os.close(os.open(files[4], os.O_RDONLY))
    open(os.fsencode(files[5])).close()  # noqa: PTH123 - a name in bytes
    sqlite3.connect(files[6]).close()
    pd.read_csv(files[7])
    assert paths(watch.stop()) == files
    assert not watch.warnings and not watch.products


def test_read_again_counts_once(folder: Path) -> None:
    """A file read several times under several names is one reading."""
    file, watch = begin(folder / "a.txt")
    (folder / "link").symlink_to(file)
    (folder / "by").symlink_to(folder)
    for name in (file, folder / "link", folder / "by" / "a.txt", folder / ".." / "data" / "a.txt"):
        for _ in range(3):
            name.read_bytes()
    assert paths(watch.stop()) == [file]


@pytest.mark.parametrize("mode", ["w", "wb", "x", "a", "r+", "w+"])
def test_overwritten_after_it_was_read(folder: Path, mode: str) -> None:
    """The digest is that of the content at the first read, whatever happens to the file afterwards."""
    file, watch = begin(folder / "a.txt", b"before")
    file.read_bytes()
    if mode == "x":
        file.unlink()
    with file.open(mode) as opened:
        opened.write(b"after" if "b" in mode else "after")
    file.read_bytes()
    [reading] = watch.stop()
    assert reading.digest == digest_bytes(b"before") and reading.size_bytes == 6


def test_deleted_after_it_was_read(folder: Path) -> None:
    """A file that is deleted after it was read is still a reading."""
    file, watch = begin(folder / "a.txt")
    file.read_bytes()
    file.unlink()
    [reading] = watch.stop()
    assert reading.digest == digest_bytes(b"content")


@pytest.mark.parametrize("mode", ["r+", "a", "a+", "rb+"])
def test_changed_in_place(folder: Path, mode: str) -> None:
    """A file opened for changes counts with its earlier content."""
    file, watch = begin(folder / "a.txt", b"before")
    with file.open(mode) as opened:
        opened.write(b"!" if "b" in mode else "!")
    [reading] = watch.stop()
    assert reading.digest == digest_bytes(b"before")


def test_truncated_by_name(folder: Path) -> None:
    """os.truncate counts as a change of the earlier content."""
    file, watch = begin(folder / "a.txt", b"before")
    os.truncate(file, 2)
    file.read_bytes()
    [reading] = watch.stop()
    assert reading.digest == digest_bytes(b"before")


@pytest.mark.parametrize("mode", ["w", "x", "w+", "a"])
def test_what_the_run_wrote_is_no_input(folder: Path, watch: Watch, mode: str) -> None:
    """A file that the run created is not its input when it reads it."""
    with (folder / "a.txt").open(mode) as opened:
        opened.write("made here")
    (folder / "a.txt").read_text()
    assert watch.stop() == () and not watch.products


def test_emptied_by_the_run_is_no_input(folder: Path) -> None:
    """A file that the run overwrote before reading it is not an input."""
    file, watch = begin(folder / "a.txt", b"before")
    file.write_text("after")
    then = file.stat().st_mtime_ns - HOUR_NS
    os.utime(file, ns=(then, then))
    file.read_text()
    assert watch.stop() == ()


@pytest.mark.parametrize("move", [os.replace, os.rename, shutil.move, os.link])
def test_written_aside_and_moved_into_place(folder: Path, watch: Watch, move: object) -> None:
    """A file that the run wrote is not an input after it was renamed."""
    (folder / "a.tmp").write_text("made here")
    os.utime(folder / "a.tmp", (0, 0))
    move(folder / "a.tmp", folder / "a.txt")  # type: ignore[operator]
    (folder / "a.txt").read_text()
    assert watch.stop() == () and not watch.products


def test_moved_and_read_is_an_input(folder: Path) -> None:
    """An earlier file that the run moved and then read is an input under the name it was read by."""
    file, watch = begin(folder / "a.txt")
    file.rename(folder / "b.txt")
    (folder / "b.txt").read_text()
    assert paths(watch.stop()) == [folder / "b.txt"]


def test_what_a_child_wrote_is_a_product(folder: Path, watch: Watch) -> None:
    """A file created by a child process of the run is a product, not an input."""
    # The kernel dates files by its tick, so a file written at once is older than the watch. A probe file cannot tell
    # when the tick has passed, because the watch would see it.
    time.sleep(0.05)
    subprocess.run(["sh", "-c", f"echo made > '{folder}/a.txt'"], check=True)
    (folder / "a.txt").read_text()
    assert watch.stop() == () and watch.products == [folder / "a.txt"]


def test_a_time_in_the_future_is_an_input(folder: Path) -> None:
    """A file dated tomorrow was not created by the run, so it is an input."""
    file = make(folder / "a.txt")
    then = file.stat().st_mtime_ns + 48 * HOUR_NS
    os.utime(file, ns=(then, then))
    watch = watch_inputs()
    file.read_text()
    assert paths(watch.stop()) == [file]


def test_no_inputs(folder: Path, tmp_path: Path) -> None:
    """Code, packages, system files, excluded places, folders, pipes, and descriptors are not inputs."""
    for name in (
        "code.py",
        "site-packages/a/data.json",
        "__pycache__/x.txt",
        "store/objects/ab",
        "kept.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make(folder / name)
    (folder / "other").symlink_to(folder / "store")
    os.mkfifo(folder / "fifo")
    watch = watch_inputs(exclude=[folder / "other", folder / "kept.txt"])
    for name in (
        "code.py",
        "site-packages/a/data.json",
        "__pycache__/x.txt",
        "store/objects/ab",
        "kept.txt",
    ):
        (folder / name).read_bytes()
    for name in ("/proc/self/status", "/dev/null", "/etc/hostname", json.__file__, pd.__file__):
        Path(name).read_bytes()
    os.close(os.open(folder, os.O_RDONLY))
    os.close(os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK))
    read, write = os.pipe()
    os.close(write)
    with open(read, "rb") as opened:  # noqa: PTH123 - a descriptor
        opened.read()
    assert watch.stop() == () and not watch.warnings


def test_failing_to_open_is_the_programs_own_affair(folder: Path, watch: Watch) -> None:
    """A missing file, a folder, and an invalid name raise the usual errors, and are not inputs."""
    with pytest.raises(FileNotFoundError):
        (folder / "missing").read_text()
    with pytest.raises(IsADirectoryError):
        folder.read_text()
    with pytest.raises(ValueError, match="null"):
        open("a\0b").close()  # noqa: PTH123
    assert watch.stop() == () and not watch.warnings


def test_missing_first_and_there_later(folder: Path, watch: Watch) -> None:
    """A file that cannot be opened at first is an input once it can."""
    with pytest.raises(FileNotFoundError):
        (folder / "a.txt").read_text()
    subprocess.run(
        ["sh", "-c", f"echo x > '{folder}/a.txt'; touch -d 2001-01-01 '{folder}/a.txt'"], check=True
    )
    (folder / "a.txt").read_text()
    assert paths(watch.stop()) == [folder / "a.txt"]


def test_relative_to_where_the_run_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name is resolved in the working directory at the time."""
    (folder / "sub").mkdir()
    make(folder / "a.txt", b"outer")
    make(folder / "sub" / "a.txt", b"inner")
    watch = watch_inputs()
    monkeypatch.chdir(folder)
    Path("a.txt").read_text()
    monkeypatch.chdir("sub")
    Path("a.txt").read_text()
    assert paths(watch.stop()) == [folder / "a.txt", folder / "sub" / "a.txt"]


def test_names_that_are_no_text(folder: Path) -> None:
    """A name that is not UTF-8 is kept with surrogates, as in Python."""
    name = os.fsencode(folder) + b"/\xff\xfe.bin"
    file, watch = begin(Path(os.fsdecode(name)))
    open(name, "rb").close()  # noqa: PTH123
    assert paths(watch.stop()) == [file]


def test_nothing_outside_runs(folder: Path) -> None:
    """Nothing is collected before and after the watch."""
    file, watch = begin(folder / "a.txt")
    watch.stop()
    file.read_text()
    assert watch.stop() == ()


def test_explicit_input(folder: Path) -> None:
    """`add` accepts a file or all files below a folder, even in excluded places."""
    make(folder / "a.txt")
    (folder / "sub").mkdir()
    files = [make(folder / "sub" / name) for name in ("b.txt", "c.py")]
    watch = watch_inputs(exclude=[folder])
    watch.add(str(folder / "a.txt"))
    watch.add(folder / "sub")
    with pytest.raises(FileNotFoundError):
        watch.add(folder / "missing")
    assert paths(watch.stop()) == [folder / "a.txt", *files]


def test_nested_watches(folder: Path) -> None:
    """Readings of a nested run belong to both runs, and later readings of the outer run do not belong to the inner."""
    a, b, c = (make(folder / name) for name in "abc")
    outer = watch_inputs()
    a.read_text()
    inner = watch_inputs()
    b.read_text()
    assert paths(inner.stop()) == [b]
    c.read_text()
    assert paths(outer.stop()) == [a, b, c]


def test_the_outer_runs_product_is_the_inner_runs_input(folder: Path) -> None:
    """A file that the outer run wrote before the inner run began is an input of the inner run only."""
    outer = watch_inputs()
    make(folder / "a.txt")
    inner = watch_inputs()
    (folder / "a.txt").read_text()
    assert paths(inner.stop()) == [folder / "a.txt"]
    assert outer.stop() == ()


def test_tasks_keep_their_readings_apart(folder: Path) -> None:
    """Two runs in asyncio tasks do not share readings, nor do threads that they send work to."""
    files = [make(folder / name) for name in "ab"]

    async def run(file: Path) -> list[Path]:
        watch = watch_inputs()
        await asyncio.sleep(0.01)
        await asyncio.to_thread(file.read_text)
        await asyncio.sleep(0.01)
        return paths(watch.stop())

    async def both() -> list[list[Path]]:
        return list(await asyncio.gather(*map(run, files)))

    assert asyncio.run(both()) == [[files[0]], [files[1]]]


def test_threads_of_a_run(folder: Path) -> None:
    """Files read by a run's threads are its inputs, once each, even if several threads read them at once."""
    files = [make(folder / f"{number}.txt", b"%d" % number) for number in range(40)]
    watch = watch_inputs()
    threads = [
        threading.Thread(target=lambda: [file.read_text() for file in files]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    readings = watch.stop()
    assert sorted(paths(readings)) == sorted(files)
    assert all(
        reading.digest == digest_bytes(Path(reading.path).name[:-4].encode())
        for reading in readings
    )


def test_a_thread_without_a_run_reads_for_all(folder: Path) -> None:
    """With two runs in progress, a reading outside both contexts belongs to both."""
    file, one = begin(folder / "a.txt")
    other: list[Watch] = []
    started, read = threading.Event(), threading.Event()

    def run() -> None:
        other.append(watch_inputs())
        started.set()
        read.wait(10)
        other[0].stop()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)
    reader = threading.Thread(target=file.read_text)
    reader.start()
    reader.join()
    read.set()
    thread.join()
    assert paths(one.stop()) == [file] == paths(other[0].stop())


def test_a_forked_child_reads_for_itself(folder: Path) -> None:
    """In a forked child, the parent's watch sees nothing, and a new watch works."""
    file, watch = begin(folder / "a.txt")
    child = os.fork()
    if child == 0:
        try:
            file.read_text()
            own = watch_inputs()
            file.read_text()
            os._exit(0 if (watch.stop() == () and paths(own.stop()) == [file]) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert watch.stop() == ()


def test_too_many_inputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files beyond the limit are counted, with a warning."""
    files = [make(folder / f"{number}.txt") for number in range(7)]
    monkeypatch.setattr(watch_module, "MAX_READINGS", 5)
    watch = watch_inputs()
    for file in files:
        file.read_text()
    assert paths(watch.stop()) == files[:5]
    assert watch.warnings == [
        "2 files that the run read, after the first 5, are not listed as inputs"
    ]


def test_what_is_appended_to(folder: Path) -> None:
    """A file that is appended to is an input with its earlier content, unless it is a log."""
    files = [make(folder / name) for name in ("table.csv", "train.log", "train.log.1")]
    watch = watch_inputs()
    for file in files:
        with file.open("a") as opened:
            opened.write("more")
    assert paths(watch.stop()) == files[:1]


@pytest.fixture
def many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Watch]:
    """A folder of 200 older files, and a watch that lets them wait indefinitely."""
    monkeypatch.setattr(watch_module, "WAIT_S", 3600.0)
    for number in range(200):
        make(folder / f"{number}.txt", b"%d" % number)
    time.sleep(0.05)  # older than the watch even by a clock with 10 ms ticks
    return folder, watch_inputs()


def read_all(folder: Path) -> None:
    """Read the files as a run does."""
    for number in range(200):
        (folder / f"{number}.txt").read_bytes()


def test_thousands_of_files_wait_for_their_digests(many: tuple[Path, Watch]) -> None:
    """Waiting files have the digests of their content at the read, in the order of opening."""
    folder, watch = many
    read_all(folder)
    assert len(watch.waiting) == 100
    expected = [(f"{n}.txt", digest_bytes(b"%d" % n)) for n in range(200)]
    assert [(Path(r.path).name, r.digest) for r in watch.stop()] == expected
    assert watch.warnings == [] == watch.lost


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.with_name("0.txt").replace(path),
        lambda path: path.rename(path.with_name("moved")),
        lambda path: path.unlink(),
        lambda path: shutil.rmtree(path.parent),
        lambda path: subprocess.run(["sh", "-c", f"echo other > {path}"], check=True),
        lambda path: os.truncate(path, 1),
        lambda path: os.utime(path),
    ],
    ids=["write", "replace", "move", "remove", "remove the folder", "child", "truncate", "touch"],
)
def test_a_file_that_waits_is_looked_at_before_it_changes(
    many: tuple[Path, Watch], change: Callable[[Path], object]
) -> None:
    """If the run changes a file after reading it, the digest is still that of the content it read."""
    folder, watch = many
    read_all(folder)
    assert str(folder / "150.txt") in watch.waiting
    change(folder / "150.txt")
    readings = {Path(r.path).name: r.digest for r in watch.stop()}
    assert readings["150.txt"] == digest_bytes(b"150") and len(readings) == 200
    assert watch.lost == []


def test_a_file_that_somebody_else_changes_while_it_waits_is_lost(many: tuple[Path, Watch]) -> None:
    """A file changed by an unseen writer is lost, with a warning, and never has a wrong digest."""
    folder, watch = many
    ready, go = os.pipe(), os.pipe()
    watch.pause()
    code = f"import os; os.read({go[0]}, 1); open({str(folder / '150.txt')!r}, 'w').write('other'); os.write({ready[1]}, b'x')"
    with subprocess.Popen([sys.executable, "-c", code], pass_fds=(go[0], ready[1])):
        watch.resume()
        read_all(folder)
        time.sleep(0.05)  # a change within 10 ms of the opening looks like an earlier one
        os.write(go[1], b"x")
        os.read(ready[0], 1)
    readings = {Path(r.path).name for r in watch.stop()}
    assert watch.lost == [str(folder / "150.txt")] and "150.txt" not in readings
    assert "its content at that time is unknown" in watch.warnings[0]


def test_files_that_wait_are_looked_at_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread digests waiting files while the run continues."""
    monkeypatch.setattr(watch_module, "WAIT_S", 0.01)
    for number in range(200):
        make(folder / f"{number}.txt", b"%d" % number)
    watch = watch_inputs()
    read_all(folder)
    deadline = time.monotonic() + 30
    while watch.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not watch.waiting
    assert len(watch.stop()) == 200


def test_a_large_file(folder: Path) -> None:
    """A file of several megabytes has the digest that digest_file returns."""
    file, watch = begin(folder / "a.bin", os.urandom(5_000_001))
    with file.open("rb") as opened:
        opened.read(1)
    [reading] = watch.stop()
    assert reading.digest == digest_file(file) and reading.size_bytes == 5_000_001


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["read", "same size", "other size"])),
        max_size=8,
    )
)
def test_every_run_gets_the_content_that_it_read(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    """If files change between runs of one process, each run has the digests of the content it read."""
    folder = tmp_path_factory.mktemp("data").resolve()
    content = dict.fromkeys("ab", b"0")
    for name, data in content.items():
        make(folder / name, data)
    for count, (name, step) in enumerate(steps):
        if step != "read":
            content[name] = b"%d" % (count + 1) * (1 if step == "same size" else count + 2)
            make(folder / name, content[name])
        watch = watch_inputs()
        assert (folder / name).read_bytes() == content[name]
        assert [reading.digest for reading in watch.stop()] == [digest_bytes(content[name])]


# Every folder of the package that has code.
ROOMS = sorted({file.parent for file in (ROOT / "recorder").rglob("*.py")})


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_recorder_itself_reads_nothing(room: Path, folder: Path) -> None:
    """A file opened by recorder's own code, directly or through the standard library, is not an input."""
    file, watch = begin(folder / "a.txt")
    code = compile(
        "import shutil, pathlib\n"
        "def keep(path):\n    open(path).close(); pathlib.Path(path).read_text(); shutil.copy(path, path + '~')\n",
        str(room / "module.py"),
        "exec",
    )
    namespace: dict[str, object] = {}
    exec(code, namespace)
    namespace["keep"](str(file))  # type: ignore[operator]
    assert watch._readings == {}
    file.read_text()
    assert paths(watch.stop()) == [file]


def test_the_key_is_not_an_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key file, which recorder first reads during a run, is not an input of the run."""
    file, watch = begin(folder / "key", b"00" * 32)
    file.chmod(0o600)
    monkeypatch.setenv("RECORDER_KEY_FILE", str(file))
    assert key() == bytes(32)
    assert watch.stop() == ()


def test_an_installed_experiment_reads(folder: Path) -> None:
    """Files read by a function of an installed package are inputs, although recorder called it."""
    file, watch = begin(folder / "a.txt")
    namespace: dict[str, object] = {}
    source = "def call(inner, path): inner(path)\ndef read(path): open(path).close()\n"
    for name, part in zip(("call", "read"), source.splitlines(), strict=True):
        place = ROOT / "recorder" / "recording" / "experiment.py" if name == "call" else None
        place = place or Path(sysconfig.get_paths()["purelib"]) / "package" / "module.py"
        exec(compile(part, str(place), "exec"), namespace)
    namespace["call"](namespace["read"], str(file))  # type: ignore[operator]
    assert paths(watch.stop()) == [file]


def test_events_of_the_program_itself(folder: Path) -> None:
    """Audit events that the program raises with any arguments do no harm, and are not inputs."""
    file, watch = begin(folder / "a.txt")
    for args in (
        (),
        (str(file),),
        (str(file), "r"),
        (str(file), "r", None),
        (None, None, "x"),
        (1, 2, 3, 4),
    ):
        sys.audit("open", *args)
    sys.audit("os.rename")
    assert watch.stop() == ()


def test_a_whole_program(tmp_path: Path) -> None:
    """In a new interpreter, a script's imports and the interpreter's own files are not inputs."""
    make(tmp_path / "data.csv", b"x\n1\n")
    script = tmp_path / "script.py"
    script.write_text(
        "from recorder.capture.files.audit_hook import watch_inputs\n"
        "watch = watch_inputs()\n"
        "import pandas, multiprocessing, zoneinfo, email, ssl\n"
        "pandas.read_csv('data.csv')\n"
        "zoneinfo.ZoneInfo('Europe/Vienna')\n"
        "print([reading.path.rpartition('/')[2] for reading in watch.stop()], watch.warnings)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['data.csv'] []", done.stderr
