"""Tests of writes that end after any byte, by a kill or by a full disk.

The kernel ends the writes (RLIMIT_FSIZE): a real child process writes to a real file of at most `size` bytes; the write
beyond that either kills the child or raises OSError in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tinydb import where

from recorder.errors import RecorderWarning, StoreFormatError, StoreNotFoundError
from recorder.formats.points import HEADER, parse_series
from recorder.formats.series import SeriesWriter
from recorder.records import new_id
from recorder.store.journal.table import Journal
from recorder.store.known_outputs import KnownOutputs
from recorder.store.live.live import Live
from recorder.store.objects.objects import Objects
from recorder.store.store import RunStore

if sys.platform != "linux":
    pytest.skip("needs fork and RLIMIT_FSIZE", allow_module_level=True)

import resource


def in_a_child(action: Callable[[], object]) -> int:
    """Run a function in a forked child; return its wait status, 0 if the function returned."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    status = 1
    try:
        action()
        status = 0
    except BaseException:  # noqa: BLE001 - printed for the test that sees the status
        traceback.print_exc()
    finally:
        os._exit(status)


def limit(size: int) -> None:
    """Limit the size of any file in this process until the limit is reset."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def kill_at(size: int, action: Callable[[], object]) -> None:
    """Run a function in a child that is killed by its first write beyond `size` bytes of any file."""

    def act() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit(size)
        action()

    status = in_a_child(act)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ


def refuse_at(sizes: range, action: Callable[[], object], after: Callable[[int], object]) -> None:
    """Run a function in a child whose first write beyond each of `sizes` raises OSError; call `after` after each."""

    def act() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for size in sizes:
            limit(size)
            with pytest.raises(OSError, match="File too large"):
                action()
            limit(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
            after(size)

    assert in_a_child(act) == 0


# The journal

CHANGES: dict[str, Callable[[Journal], object]] = {
    "insert": lambda db: db.insert({"x": "é", "n": 4}),
    "insert_multiple": lambda db: db.insert_multiple([{"x": 4}, {"x": 5}]),
    "insert_with": lambda db: db.table("runs").insert_with(lambda n: {"number": n}, sync=False),
    "update": lambda db: db.update({"x": "changed"}, doc_ids=[2]),
    "update by query": lambda db: db.update({"y": 1}, where("x") >= 2),
    "remove": lambda db: db.remove(doc_ids=[2]),
    "truncate": lambda db: db.truncate(),
    "drop": lambda db: db.drop_table("other"),
}


def contents(db: Journal) -> dict[str, dict[str, Any]]:
    """Return every document of every table by its id."""
    return {name: {str(d.doc_id): dict(d) for d in db.table(name)} for name in sorted(db.tables())}


class Reader:
    """Start another process that keeps the journal at `path` open and reports its content."""

    def __init__(self, path: Path) -> None:
        asked, self._ask = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                db = Journal(path)
                while os.read(asked, 1) == b"?":
                    os.write(answer, json.dumps(contents(db)).encode() + b"\n")
            os._exit(0)
        os.close(asked)
        os.close(answer)

    def contents(self) -> dict[str, dict[str, Any]]:
        """Return what the process reads now."""
        os.write(self._ask, b"?")
        said = b""
        while not said.endswith(b"\n"):
            more = os.read(self._answer, 65536)
            assert more, "the reader has died"
            said += more
        found: dict[str, dict[str, Any]] = json.loads(said)
        return found

    def end(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._ask)
        os.close(self._answer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a journal of three documents and a second table."""
    path = tmp_path / "runs.jsonl"
    with Journal(path) as db:
        db.insert_multiple([{"x": 1}, {"x": 2, "text": 'é"}'}, {"x": 3}])
        db.table("other").insert({"z": [1, None]})
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    """Return another process that reads the journal."""
    found = Reader(path)
    yield found
    found.end()


def states(path: Path, change: str) -> tuple[bytes, list[tuple[int, dict[str, Any]]]]:
    """Return the bytes of the journal after a change, and its content after each complete line."""
    start, copy = path.stat().st_size, path.with_name("copy.jsonl")
    shutil.copy(path, copy)
    with Journal(copy) as db:
        CHANGES[change](db)
    whole = copy.read_bytes()
    ends = [start] + [at + 1 for at in range(start, len(whole)) if whole[at] == 10]
    found = []
    for end in ends:
        copy.write_bytes(whole[:end])
        copy.with_name("copy.jsonl.mark").unlink(missing_ok=True)  # it is about the longer journal
        with Journal(copy) as db:
            found.append((end, contents(db)))
    copy.unlink()
    return whole, found


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_each_byte_of_an_append(path: Path, reader: Reader, change: str) -> None:
    """Every process reads all earlier lines; the next writer removes the incomplete line with a warning."""
    before, here = path.read_bytes(), Journal(path)
    whole, held = states(path, change)
    for size in range(len(before), len(whole)):
        path.write_bytes(before)
        kill_at(size, lambda: CHANGES[change](Journal(path)))
        assert path.read_bytes() == whole[:size]
        end, expected = next(state for state in reversed(held) if state[0] <= size)
        assert contents(here) == contents(Journal(path)) == reader.contents() == expected
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            id = here.table("next").insert({"after": size})
        assert [w.category for w in said] == ([RecorderWarning] if size > end else [])
        after = {**expected, "next": {str(id): {"after": size}}}
        assert contents(here) == contents(Journal(path)) == reader.contents() == after
        assert path.read_bytes()[:end] == whole[:end] and here.damage() == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_disk_that_is_full_at_each_byte(path: Path, reader: Reader, change: str) -> None:
    """An append that fails after any byte raises an error and leaves the journal unchanged for every process."""
    before, here = path.read_bytes(), Journal(path)
    whole, held = states(path, change)

    def after(size: int) -> None:
        assert path.read_bytes() == before
        assert contents(here) == contents(Journal(path)) == reader.contents() == held[0][1]
        if size == len(whole) - 1:
            CHANGES[change](here)

    refuse_at(range(len(before), len(whole)), lambda: CHANGES[change](here), after)
    assert contents(here) == contents(Journal(path)) == reader.contents() == held[-1][1]


@pytest.mark.parametrize("kill", [True, False])
def test_a_compaction_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """A compaction that is killed, or has no room, after any byte changes nothing, and the next one works."""
    path, compacted = tmp_path / "runs.jsonl", tmp_path / "compacted"
    with Journal(path) as db:
        db.insert_multiple([{"x": 1}, {"x": 2}])
        for n in range(3):
            db.update({"n": n})
        shutil.copy(path, compacted)
        Journal(compacted).compact()
        before, held = path.read_bytes(), contents(db)

        def look(_: int) -> None:
            assert path.read_bytes() == before and contents(db) == contents(Journal(path)) == held

        # The limit applies to every file: the journal is longer than the part written to it.
        sizes = range(compacted.stat().st_size)
        if not kill:
            refuse_at(sizes, lambda: Journal(path).compact(), look)
        for size in sizes if kill else ():
            kill_at(size, lambda: Journal(path).compact())
            look(size)
        assert Journal(path).compact() > 0 and contents(Journal(path)) == contents(db) == held
    assert not list(tmp_path.glob("*.compact"))


# Objects

WAYS: dict[str, Callable[[Objects, Path], object]] = {
    "bytes": lambda objects, source: objects.put_bytes(source.read_bytes()),
    "file": lambda objects, source: objects.put_file(source),
    "stream": lambda objects, source: objects.put_stream(source.open("rb")),
    "tree": lambda objects, source: objects.put_tree(source.parent),
}


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_an_object_cut_at_each_byte(tmp_path: Path, way: str, kill: bool) -> None:
    """No object exists before it is complete; leftovers in staging disturb nothing, and the same bytes can be put again."""
    store, source = RunStore(tmp_path / ".recorder", create=True), tmp_path / "folder" / "a"
    objects = store.objects
    source.parent.mkdir()
    source.write_bytes(bytes(range(24)))

    def look(_: int) -> None:
        assert list(objects) == [] and RunStore(store.path).runs() == []
        assert kill or list(objects.staging.iterdir()) == []

    if not kill:
        refuse_at(range(24), lambda: WAYS[way](objects, source), look)
    for size in range(24 if kill else 0):
        kill_at(size, lambda: WAYS[way](objects, source))
        look(size)
    WAYS[way](objects, source)
    assert all(objects.verify(digest) for digest in objects)
    assert len(list(objects)) == (2 if way == "tree" else 1)


@pytest.mark.parametrize("kill", [True, False])
def test_a_folders_list_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """A folder whose tree was not written completely does not exist; its files do, and are reused."""
    objects = RunStore(tmp_path / ".recorder", create=True).objects
    other = RunStore(tmp_path / "other", create=True).objects
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"abc")
    sizes = range(3, other.size(other.put_tree(folder).digest))

    def look(_: int) -> None:
        assert [objects.read(digest) for digest in objects] == [b"abc"]

    if not kill:
        refuse_at(sizes, lambda: objects.put_tree(folder), look)
    for size in sizes if kill else ():
        kill_at(size, lambda: objects.put_tree(folder))
        look(size)
    tree = objects.put_tree(folder)
    assert objects.read_tree(tree.digest) == tree


# The files FORMAT and outputs


@pytest.mark.parametrize("kill", [True, False])
def test_a_store_whose_making_was_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """A store that was not created completely is not a store; the next process that needs one completes it."""
    length = (RunStore(tmp_path / "whole", create=True).path / "FORMAT").stat().st_size
    path = tmp_path / "store"

    def look(_: int) -> None:
        with pytest.raises(StoreNotFoundError):
            RunStore(path)
        assert RunStore(path, create=True).id == RunStore(path).id
        assert RunStore(path).runs() == []
        shutil.rmtree(path)

    if not kill:
        refuse_at(range(length), lambda: RunStore(path, create=True), look)
    for size in range(length if kill else 0):
        kill_at(size, lambda: RunStore(path, create=True))
        look(size)


def test_a_format_cut_at_each_byte(tmp_path: Path) -> None:
    """A truncated FORMAT is reported as damaged and left unchanged."""
    store = RunStore(tmp_path / ".recorder", create=True)
    file = store.path / "FORMAT"
    whole = file.read_bytes()
    for size in range(len(whole) - 1):  # the newline may be missing
        file.write_bytes(whole[:size])
        for create in (False, True):
            with pytest.raises(StoreFormatError, match="FORMAT"):
                RunStore(store.path, create=create)
        assert file.read_bytes() == whole[:size]


@pytest.mark.parametrize("kill", [True, False])
def test_known_outputs_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """Known paths before the cut are read, and none that is added later is lost."""
    file, new = tmp_path / "outputs", ["new/one", "new/two"]
    KnownOutputs(file).add(["a", "é/b"])
    before = file.read_bytes()
    KnownOutputs(file).add(new)
    whole = file.read_bytes()
    file.write_bytes(before)

    def look(size: int) -> None:
        noted = whole[:size].count(b"\n") - before.count(b"\n")
        known = KnownOutputs(file)
        assert known.read() >= {"a", "é/b", *new[:noted]}
        known.add(["later"])
        assert KnownOutputs(file).read() >= {"a", "é/b", "later"}
        KnownOutputs(file).add(new)
        assert known.read() == {"a", "é/b", "later", *new}
        file.write_bytes(before)

    sizes = range(len(before), len(whole))
    if not kill:
        refuse_at(sizes, lambda: KnownOutputs(file).add(new), look)
    for size in sizes if kill else ():
        kill_at(size, lambda: KnownOutputs(file).add(new))
        look(size)


def test_a_live_folder_cut_at_each_byte(tmp_path: Path) -> None:
    """The list of outputs can be cut at any byte: the earlier lines are read, and a full disk leaves no partial line."""
    live = Live(tmp_path / new_id())
    live.begin()
    live.note_output(b'{"name":"one"}')
    before = live.outputs.read_bytes()
    sizes = range(len(before), 2 * len(before))

    def look(_: int) -> None:
        assert live.outputs.read_bytes() == before

    refuse_at(sizes, lambda: live.note_output(b'{"name":"two"}'), look)
    for size in sizes:
        kill_at(size, lambda: live.note_output(b'{"name":"two"}'))
        assert live.outputs.read_bytes()[: len(before)] == before
        os.truncate(live.outputs, len(before))
    live.close()


def test_a_series_cut_at_each_byte(tmp_path: Path) -> None:
    """Points that a full disk refused are written when there is room, each once, in their order."""
    path = tmp_path / "series.csv"
    writer = SeriesWriter(path)

    def log() -> None:
        nonlocal writer
        path.unlink(missing_ok=True)
        writer = SeriesWriter(path)
        refused: list[OSError] = []
        for n in range(3):
            try:
                writer.add({"loss": n})
                writer.flush()
            except OSError as error:
                refused.append(error)
                assert not path.read_bytes() or path.read_bytes().endswith(b"\n")
        raise refused[0]

    def look(_: int) -> None:
        writer.close()
        text = path.read_text()
        assert [p.value for p in parse_series(text)["loss"]] == [0, 1, 2]
        assert text.count("name,") == 1

    # The time of a point takes at least three characters, and more on a slow machine.
    least = len(HEADER) + 3 * len("loss,0,0.0,0\n")
    refuse_at(range(least), log, look)
