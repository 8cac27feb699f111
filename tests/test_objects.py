"""Objects: immutable bytes named by their digest, and folders as lists of them."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.digest import digest_bytes, digest_file
from recorder.errors import DamageError, ObjectNotFoundError
from recorder.store.objects import Objects


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """An empty place for objects."""
    return make(tmp_path)


def make(folder: Path) -> Objects:
    """The objects in the folder."""
    for name in ("objects", "staging"):
        (folder / name).mkdir(exist_ok=True)
    return Objects(folder / "objects", staging=folder / "staging")


@given(st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_come_back_under_their_digest(objects: Objects, data: bytes) -> None:
    """Bytes come back as they were, under their BLAKE3 digest, and nothing stays in staging."""
    digest = objects.put_bytes(data)
    assert digest == digest_bytes(data)
    assert (
        objects.read(digest) == data and objects.has(digest) and objects.size(digest) == len(data)
    )
    assert objects.verify(digest) and digest in list(objects)
    assert list(objects.staging.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 4096, 5_000_000])
def test_a_file_is_taken_as_it_is(objects: Objects, tmp_path: Path, size: int) -> None:
    """A file of any size comes back as it was; a second copy takes no room; writing to it changes no object."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    data = file.read_bytes()
    assert objects.put_file(file) == objects.put_file(file) == (digest_file(file), size)
    with file.open("r+b") as stream:
        stream.write(b"changed")
    assert objects.read(digest_bytes(data)) == data
    assert len(list(objects)) == 1


def test_an_object_may_not_be_written(objects: Objects) -> None:
    """An object has mode 0444, and stands in a folder of the first two digits."""
    path = objects.path(objects.put_bytes(b"x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.parent.parent == objects.root and len(path.parent.name) == 2


def test_what_is_missing_and_what_is_damaged(objects: Objects) -> None:
    """A missing object and a damaged one are errors of their own."""
    digest = objects.put_bytes(b"hello")
    path = objects.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"hellp")
    assert not objects.verify(digest)
    with pytest.raises(DamageError):
        objects.read(digest)
    for call in (objects.read, objects.size, objects.verify, objects.read_tree):
        with pytest.raises(ObjectNotFoundError):
            call(digest_bytes(b"not there"))


def test_a_file_that_changes_while_it_is_taken(objects: Objects, tmp_path: Path) -> None:
    """Whatever another thread writes meanwhile, the digest is that of the bytes that were kept."""
    file = tmp_path / "file"
    file.write_bytes(b"a" * 3_000_000)
    done = threading.Event()

    def scribble() -> None:
        n = 0
        while not done.is_set():
            with file.open("r+b") as stream:
                stream.seek(n * 99_991 % 3_000_000)
                stream.write(bytes([n % 256]))
            n += 1

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        digests = [objects.put_file(file)[0] for _ in range(20)]
    finally:
        done.set()
        thread.join()
    assert all(objects.verify(digest) for digest in digests)


def fill(folder: Path) -> None:
    """A folder with everything in it that a folder can have."""
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "b" / "deep" / "tool").write_text("#!")
    (folder / "b" / "deep" / "tool").chmod(0o755)
    (folder / "back\\slash é").write_text("x")
    (folder / "link").symlink_to("b/deep/tool")
    (folder / "dangling").symlink_to("../nowhere")
    with open(os.fsencode(folder) + b"/odd\xff\\x", "wb") as file:  # noqa: PTH123 - a name that is not UTF-8
        file.write(b"odd")


@pytest.mark.skipif(os.name == "nt", reason="links and odd names")
def test_a_folder_comes_back(objects: Objects, tmp_path: Path) -> None:
    """A folder comes back with its files, modes, links, empty folders and odd names, and has the same digest."""
    folder = tmp_path / "folder"
    fill(folder)
    tree = objects.put_tree(folder)
    assert objects.read_tree(tree.digest) == tree
    objects.restore_tree(tree.digest, tmp_path / "restored")
    restored = tmp_path / "restored"
    assert objects.put_tree(restored).digest == tree.digest
    names = [sorted(os.fsencode(path.name) for path in top.iterdir()) for top in (folder, restored)]
    assert names[0] == names[1]
    assert os.access(restored / "b" / "deep" / "tool", os.X_OK | os.W_OK)
    assert os.readlink(restored / "dangling") == "../nowhere"  # noqa: PTH115
    assert tree.size_bytes == sum(e.size_bytes for e in tree.entries) == 7


def test_a_folder_is_the_same_whenever_it_was_made(objects: Objects, tmp_path: Path) -> None:
    """Order of creation and times do not matter to a folder's digest; names, bytes and modes do."""
    for name, order in (("one", "ab"), ("two", "ba")):
        (tmp_path / name).mkdir()
        for letter in order:
            (tmp_path / name / letter).write_text(letter)
    os.utime(tmp_path / "one" / "a", (1, 1))
    first = objects.put_tree(tmp_path / "one").digest
    assert objects.put_tree(tmp_path / "two").digest == first
    (tmp_path / "two" / "a").chmod(0o755)
    assert objects.put_tree(tmp_path / "two").digest != first


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/out", "", "a//b"])
def test_a_list_that_leaves_its_folder_is_refused(
    objects: Objects, tmp_path: Path, path: str
) -> None:
    """A tree with a path that leads out of the folder is refused, and nothing is written."""
    import json

    line = json.dumps(
        {"path": path, "kind": "file", "digest": objects.put_bytes(b"x"), "size_bytes": 1}
    )
    digest = objects.put_bytes(b'{"kind":"tree"}\n' + line.encode() + b"\n")
    with pytest.raises(DamageError, match="leaves the folder"):
        objects.restore_tree(digest, tmp_path / "restored")
    assert not (tmp_path / "out").exists() and not (tmp_path / "restored").exists()


def test_a_restored_file_is_a_copy(objects: Objects, tmp_path: Path) -> None:
    """Writing to what was restored changes no object."""
    digest = objects.put_bytes(b"x" * 10_000)
    objects.restore_file(digest, tmp_path / "file")
    (tmp_path / "file").write_bytes(b"y")
    assert objects.verify(digest)
    with pytest.raises(FileExistsError):
        objects.restore_file(digest, tmp_path / "file")


def _put(folder: Path, start: Any) -> None:
    objects = make(folder)
    start.wait()
    for i in range(100):
        objects.put_bytes(b"%d" % i * 100)


def test_processes_put_the_same_at_once(tmp_path: Path) -> None:
    """Four processes that put the same objects at once all succeed, and each object is whole."""
    objects = make(tmp_path)
    start = multiprocessing.Event()
    processes = [multiprocessing.Process(target=_put, args=(tmp_path, start)) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(list(objects)) == 100
    assert all(objects.verify(digest) for digest in objects)
    assert list(objects.staging.iterdir()) == []


def test_what_is_no_file_is_refused(objects: Objects, tmp_path: Path) -> None:
    """A folder, a pipe and a missing file are refused, and nothing stays in staging."""
    with pytest.raises(OSError, match="no regular file"):
        objects.put_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        objects.put_file(tmp_path / "missing")
    assert list(objects.staging.iterdir()) == []
