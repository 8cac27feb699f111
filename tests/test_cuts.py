"""Writes cut short at every byte: by a kill, and by a disk that takes no more.

The kernel does the cutting (RLIMIT_FSIZE): a real child process writes through to a real file, which takes `size`
bytes and no more; the write that goes beyond them either kills the child or is an OSError there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tinydb import where

from recorder.errors import RecorderWarning, StoreFormatError, StoreNotFoundError
from recorder.records import new_id
from recorder.series import SeriesWriter, parse_series
from recorder.store.journal import Journal
from recorder.store.live import Live
from recorder.store.names import KnownOutputs
from recorder.store.objects import Objects
from recorder.store.store import Store

if sys.platform != "linux":
    pytest.skip("needs fork and RLIMIT_FSIZE", allow_module_level=True)

import resource

REFUSED, DONE, FAILED = 7, 0, 1


def in_a_child(action: Callable[[], object]) -> int:
    """The wait status of a forked child that does it; an OSError ends it with REFUSED."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    status = FAILED
    try:
        action()
        status = DONE
    except OSError:
        status = REFUSED
    finally:
        os._exit(status)


def cut(action: Callable[[], object], *, size: int, kill: bool) -> int:
    """The same, where no file may grow beyond `size`; with `kill` the first write that would is the child's end."""

    def act() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if kill else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        action()

    return in_a_child(act)


def was_killed(status: int) -> bool:
    """Whether that is the status of a child that wrote too much."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ


# The journal

CHANGES: dict[str, Callable[[Journal], object]] = {
    "insert": lambda db: db.insert({"x": "é", "n": 4}),
    "insert_multiple": lambda db: db.insert_multiple([{"x": 4}, {"x": 5}, {"x": 6}]),
    "insert_with": lambda db: db.table("runs").insert_with(lambda n: {"number": n}, sync=False),
    "update": lambda db: db.update({"x": "changed"}, doc_ids=[2]),
    "update by query": lambda db: db.update({"y": 1}, where("x") >= 2),
    "remove": lambda db: db.remove(doc_ids=[2]),
    "truncate": lambda db: db.truncate(),
    "drop": lambda db: db.drop_table("other"),
}


def contents(db: Journal) -> dict[str, dict[str, Any]]:
    """Every document of every table under its id."""
    return {name: {str(d.doc_id): dict(d) for d in db.table(name)} for name in sorted(db.tables())}


class Reader:
    """Another process, with the journal at `path` open all the time, which says what is in it."""

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
        """What it reads now."""
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
    """A journal of three documents and a second table."""
    path = tmp_path / "runs.jsonl"
    with Journal(path) as db:
        db.insert_multiple([{"x": 1}, {"x": 2, "text": 'é"}'}, {"x": 3}])
        db.table("other").insert({"z": [1, None]})
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    """Another process that reads it."""
    found = Reader(path)
    yield found
    found.end()


def states(path: Path, change: str) -> tuple[bytes, list[tuple[int, dict[str, Any]]]]:
    """The journal's bytes after a change; what it holds when it has been written up to each whole line of it."""
    start, copy = path.stat().st_size, path.with_name("copy.jsonl")
    shutil.copy(path, copy)
    with Journal(copy) as db:
        CHANGES[change](db)
    whole = copy.read_bytes()
    ends = [start] + [at + 1 for at in range(start, len(whole)) if whole[at] == 10]
    found = []
    for end in ends:
        copy.write_bytes(whole[:end])
        with Journal(copy) as db:
            found.append((end, contents(db)))
    copy.unlink()
    return whole, found


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_each_byte_of_an_append(path: Path, reader: Reader, change: str) -> None:
    """All that was before is read, by everybody alike; the torn line is dropped with a warning by the next writer."""
    before, here = path.read_bytes(), Journal(path)
    whole, held = states(path, change)
    for size in range(len(before), len(whole)):
        path.write_bytes(before)
        assert was_killed(cut(lambda: CHANGES[change](Journal(path)), size=size, kill=True))
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
    """An append that fails after any byte is an error, and the journal is as it was, to the byte, for everybody."""
    before, here = path.read_bytes(), Journal(path)
    whole, held = states(path, change)
    for size in range(len(before), len(whole)):
        assert cut(lambda: CHANGES[change](here), size=size, kill=False) == REFUSED << 8
        assert path.read_bytes() == before
        assert contents(here) == reader.contents() == held[0][1]
    assert cut(lambda: CHANGES[change](here), size=len(whole), kill=False) == DONE
    assert contents(here) == contents(Journal(path)) == reader.contents() == held[-1][1]


@pytest.mark.parametrize("kill", [True, False])
def test_a_compaction_cut_at_each_byte(path: Path, reader: Reader, kill: bool) -> None:
    """A compaction that is killed, or has no room, after any byte changes nothing; the next one works."""
    with Journal(path) as db:
        for n in range(3):
            db.update({"n": n})
    before, held = path.read_bytes(), contents(Journal(path))
    compacted = path.with_name("copy.jsonl")
    shutil.copy(path, compacted)
    Journal(compacted).compact()
    # The limit is on every file: the journal itself is longer than what is written of it.
    for size in range(compacted.stat().st_size):
        status = cut(lambda: Journal(path).compact(), size=size, kill=kill)
        assert was_killed(status) if kill else status == REFUSED << 8
        assert path.read_bytes() == before and reader.contents() == held
    assert Journal(path).compact() > 0
    assert contents(Journal(path)) == reader.contents() == held
    assert not list(path.parent.glob("*.compact"))


# Objects


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize("way", ["bytes", "file", "move", "stream", "tree"])
def test_an_object_cut_at_each_byte(tmp_path: Path, way: str, kill: bool) -> None:
    """No object is there before it is whole; what is left in staging troubles nobody, and the same is put again."""
    store = Store(tmp_path / ".recorder", create=True)
    source, folder = tmp_path / "source", tmp_path / "folder"
    data = bytes(range(100))
    folder.mkdir()
    (folder / "a").write_bytes(data)

    def put() -> object:
        objects = Objects(store.objects.root, staging=store.objects.staging)
        if way == "bytes":
            return objects.put_bytes(data)
        if way == "tree":
            return objects.put_tree(folder)
        if way == "stream":
            return objects.put_stream((folder / "a").open("rb"))
        return objects.put_file(source, move=way == "move")

    for size in range(100):
        source.write_bytes(data)
        # With another name it may still be written to, so that it is copied in.
        if way == "move":
            os.link(source, tmp_path / "other name")
        status = cut(put, size=size, kill=kill)
        assert was_killed(status) if kill else status == REFUSED << 8
        assert list(store.objects) == []
        if way == "move":
            staged = [p for p in store.objects.staging.iterdir() if p.read_bytes() == data]
            assert source.exists() or (kill and staged)
            (tmp_path / "other name").unlink()
        assert kill or list(store.objects.staging.iterdir()) == []
    source.write_bytes(data)
    assert in_a_child(put) == DONE
    assert all(store.objects.verify(digest) for digest in store.objects)
    assert len(list(store.objects)) == (2 if way == "tree" else 1)
    assert Store(store.path).runs() == []


@pytest.mark.parametrize("kill", [True, False])
def test_a_folders_list_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """A folder whose list was not written whole is not there; its files are, and are taken the next time."""
    store = Store(tmp_path / ".recorder", create=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"abc")
    with Store(tmp_path / "other", create=True).objects.open(
        Store(tmp_path / "other").objects.put_tree(folder).digest
    ) as file:
        length = len(file.read())
    for size in range(3, length):
        status = cut(lambda: store.objects.put_tree(folder), size=size, kill=kill)
        assert was_killed(status) if kill else status == REFUSED << 8
        assert [store.objects.read(digest) for digest in store.objects] == [b"abc"]
    tree = store.objects.put_tree(folder)
    assert store.objects.read_tree(tree.digest) == tree


# The store's own files


@pytest.mark.parametrize("kill", [True, False])
def test_a_store_whose_making_was_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """A store that was not made to its end is none; the next one who wants one there makes it."""
    whole = Store(tmp_path / "whole", create=True)
    length = (whole.path / "FORMAT").stat().st_size
    for size in range(length):
        path = tmp_path / f"{kill}{size}"
        status = cut(lambda path=path: Store(path, create=True), size=size, kill=kill)  # type: ignore[misc]
        assert was_killed(status) if kill else status == REFUSED << 8
        with pytest.raises(StoreNotFoundError):
            Store(path)
        assert Store(path, create=True).id == Store(path).id
        assert Store(path).runs() == []


def test_a_format_cut_at_each_byte(tmp_path: Path) -> None:
    """A FORMAT that lost its end is said to be no store's, and stays as it is."""
    store = Store(tmp_path / ".recorder", create=True)
    file = store.path / "FORMAT"
    whole = file.read_bytes()
    for size in range(len(whole) - 1):  # its newline is not missed
        file.write_bytes(whole[:size])
        for create in (False, True):
            with pytest.raises(StoreFormatError, match="FORMAT"):
                Store(store.path, create=create)
        assert file.read_bytes() == whole[:size]


@pytest.mark.parametrize("kill", [True, False])
def test_known_outputs_cut_at_each_byte(tmp_path: Path, kill: bool) -> None:
    """Of the noted paths those before the cut are known, and none that is noted later is lost."""
    file = tmp_path / "outputs"
    KnownOutputs(file).add(["a", "é/b"])
    before = file.read_bytes()
    KnownOutputs(file).add(["new/one", "new/two"])
    whole = file.read_bytes()
    first = before.count(b"\n")
    for size in range(len(before), len(whole)):
        file.write_bytes(before)
        known = KnownOutputs(file)
        assert known.read() == {"a", "é/b"}
        status = cut(lambda: KnownOutputs(file).add(["new/one", "new/two"]), size=size, kill=kill)
        assert was_killed(status) if kill else status == REFUSED << 8
        noted = whole[:size].count(b"\n") - first
        assert known.read() >= {"a", "é/b", *["new/one"][:noted]}
        known.add(["later"])
        assert KnownOutputs(file).read() >= {"a", "é/b", "later"}
        KnownOutputs(file).add(["new/one", "new/two"])
        assert known.read() == {"a", "é/b", "later", "new/one", "new/two"}


def test_a_live_folder_cut_at_each_byte(tmp_path: Path) -> None:
    """What is noted of outputs may stop at any byte: the lines before are whole, and a full disk leaves no part."""
    live = Live(tmp_path / new_id())
    live.begin()
    live.note_output(b'{"name":"one"}')
    before = live.outputs.read_bytes()
    for size in range(len(before), len(before) + 14):
        note = lambda: live.note_output(b'{"name":"two"}')  # noqa: E731
        assert cut(note, size=size, kill=False) == REFUSED << 8
        assert live.outputs.read_bytes() == before
        assert was_killed(cut(note, size=size, kill=True))
        assert live.outputs.read_bytes()[: len(before)] == before
        os.truncate(live.outputs, len(before))
    live.close()


def log_three(path: Path, *, room: int) -> None:
    """Log three points to a disk that has room for so many bytes, and for more before the writer is closed."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (room, most := resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    writer, refused = SeriesWriter(path), 0
    for n in range(3):
        try:
            writer.add({"loss": n})
            writer.flush()
        except OSError:
            refused += 1
            assert not path.read_bytes() or path.read_bytes().endswith(b"\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    writer.close()
    assert refused


def test_a_series_cut_at_each_byte(tmp_path: Path) -> None:
    """Points that a full disk did not take are written when there is room, each once, in their order."""
    log = SeriesWriter(tmp_path / "whole")
    for n in range(3):
        log.add({"loss": n})
    log.close()
    for room in range((tmp_path / "whole").stat().st_size):
        path = tmp_path / str(room)
        assert in_a_child(lambda path=path, room=room: log_three(path, room=room)) == DONE  # type: ignore[misc]
        text = path.read_text()
        assert [p.value for p in parse_series(text)["loss"]] == [0, 1, 2] and text.count(
            "name,"
        ) == 1
