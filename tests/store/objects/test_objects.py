"""Tests of objects: immutable bytes named by their digest, and folders as trees."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.digest import digest_bytes, digest_file
from recorder.errors import DamageError, ObjectNotFoundError, RecorderWarning
from recorder.store.objects.objects import Objects, TreeEntry
from recorder.store.objects.trees import write_entries


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Return an empty object folder."""
    return make(tmp_path)


def make(folder: Path) -> Objects:
    """Return the objects in the folder."""
    for name in ("objects", "staging"):
        (folder / name).mkdir(exist_ok=True)
    return Objects(folder / "objects", staging=folder / "staging")


@given(st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_come_back_under_their_digest(objects: Objects, data: bytes) -> None:
    """Bytes are stored exactly, under their BLAKE3 digest, and nothing stays in staging."""
    digest = objects.put_bytes(data)
    assert digest == digest_bytes(data)
    assert (
        objects.read(digest) == data and objects.has(digest) and objects.size(digest) == len(data)
    )
    assert objects.verify(digest) and digest in list(objects)
    assert list(objects.staging.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 4096, 5_000_000])
def test_a_file_is_taken_as_it_is(objects: Objects, tmp_path: Path, size: int) -> None:
    """A file of any size is stored exactly; a second copy takes no space; writing to the file changes no object."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    data = file.read_bytes()
    assert objects.put_file(file) == objects.put_file(file) == (digest_file(file), size)
    with file.open("r+b") as stream:
        stream.write(b"changed")
    assert objects.read(digest_bytes(data)) == data
    assert len(list(objects)) == 1


def test_many_files_at_once(objects: Objects, tmp_path: Path) -> None:
    """Files are stored if they still have their known digests; a changed or missing file is skipped."""
    wanted = {}
    for number in range(60):
        path = tmp_path / f"file{number}"
        path.write_bytes(b"%d" % (number // 2))
        wanted[str(path)] = digest_file(path)
    (tmp_path / "file0").write_bytes(b"other")
    (tmp_path / "file1").unlink()
    kept = objects.put_files(wanted)
    assert kept == {digest_bytes(b"%d" % n) for n in range(1, 30)}
    assert all(objects.read(digest) for digest in kept)
    assert list(objects.staging.iterdir()) == []
    (tmp_path / "file2").unlink()
    (tmp_path / "file3").unlink()
    assert objects.put_files(wanted) == kept


def test_an_object_may_not_be_written(objects: Objects) -> None:
    """An object has mode 0444, and is in the folder of its first two digits."""
    path = objects.path(objects.put_bytes(b"x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.parent.parent == objects.root and len(path.parent.name) == 2


def test_what_is_missing_and_what_is_damaged(objects: Objects) -> None:
    """A missing object and a damaged object raise different errors."""
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
    """The digest is that of the stored bytes, even if another thread writes to the file meanwhile."""
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
    """Create a folder with everything that a folder can contain."""
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
    """A folder is restored with its files, modes, links, empty folders and unusual names, and has the same digest."""
    folder = tmp_path / "folder"
    fill(folder)
    tree = objects.put_tree(folder)
    assert objects.read_tree(tree.digest) == tree
    objects.restore_tree(tree.digest, tmp_path / "restored", links_out=True)
    restored = tmp_path / "restored"
    assert objects.put_tree(restored).digest == tree.digest
    names = [sorted(os.fsencode(path.name) for path in top.iterdir()) for top in (folder, restored)]
    assert names[0] == names[1]
    assert os.access(restored / "b" / "deep" / "tool", os.X_OK | os.W_OK)
    assert os.readlink(restored / "dangling") == "../nowhere"  # noqa: PTH115
    assert tree.size_bytes == sum(e.size_bytes for e in tree.entries) == 7


def test_a_folder_is_the_same_whenever_it_was_made(objects: Objects, tmp_path: Path) -> None:
    """Creation order and times do not affect the digest of a folder; names, bytes and modes do."""
    for name, order in (("one", "ab"), ("two", "ba")):
        (tmp_path / name).mkdir()
        for letter in order:
            (tmp_path / name / letter).write_text(letter)
    os.utime(tmp_path / "one" / "a", (1, 1))
    first = objects.put_tree(tmp_path / "one").digest
    assert objects.put_tree(tmp_path / "two").digest == first
    (tmp_path / "two" / "a").chmod(0o755)
    assert objects.put_tree(tmp_path / "two").digest != first


@pytest.mark.parametrize(
    "path",
    [
        "../out",
        "a/../../out",
        "/out",
        "",
        "a//b",
        "./a",
        r"\x2e\x2e/out",
        r"\x2fout",
        r"a\x00b",
    ],
)
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
    """Writing to a restored file changes no object."""
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
    """Four processes that put the same objects at once all succeed, and each object is intact."""
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
    with pytest.raises(OSError, match="not a regular file"):
        objects.put_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        objects.put_file(tmp_path / "missing")
    assert list(objects.staging.iterdir()) == []


@pytest.mark.parametrize(
    "paths", [[("a", "file"), ("a", "file")], [("a", "link"), ("a/b", "file")], [("a", "file"), ("a/b", "link")]]
)  # fmt: skip
def test_a_list_that_contradicts_itself_is_refused(
    objects: Objects, tmp_path: Path, paths: list[tuple[str, Any]]
) -> None:
    """A tree with a duplicate path, or with entries inside a link or a file, is refused before anything is written."""
    digest = objects.put_bytes(b"x")
    entries = [
        TreeEntry(path, kind, **({"digest": digest} if kind == "file" else {"target": "/tmp"}))
        for path, kind in paths
    ]
    tree = objects.put_bytes(write_entries(entries))
    with pytest.raises(DamageError):
        objects.restore_tree(tree, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_what_is_no_list_and_no_digest(objects: Objects, tmp_path: Path) -> None:
    """Invalid trees and invalid digests raise errors, and touch no other file."""
    for data in (b"", b"x", b'{"kind":"tree"}\n{}\n', b'{"kind":"tree"}\n[\n'):
        digest = objects.put_bytes(data)
        with pytest.raises(DamageError):
            objects.read_tree(digest)
    (tmp_path / "secret").write_text("s")
    for name in (
        "",
        "blake3:",
        "blake3:../secret",
        "../secret",
        "blake3:" + "A" * 64,
        "sha256:" + "a" * 64,
    ):
        assert not objects.has(name)
        for call in (objects.read, objects.open, objects.size, objects.verify, objects.read_tree):
            with pytest.raises(ObjectNotFoundError):
                call(name)


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_out_of_the_folder_is_left_out(objects: Objects, tmp_path: Path) -> None:
    """A link that leads out of the folder, directly or by way of another, is left out with a warning."""
    folder, restored = tmp_path / "folder", tmp_path / "restored"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "file").write_text("x")
    for name, target in (
        ("in", "a/file"), ("a/b/up", "../.."), ("out", "../folder"), ("far", "/etc"), ("round", "a/b/up/../.."),
        ("self", "self"), ("a/b/dangling", "../nothing"),
    ):  # fmt: skip
        (folder / name).symlink_to(target)
    tree = objects.put_tree(folder)
    with pytest.warns(RecorderWarning, match="leads out of its folder") as said:
        objects.restore_tree(tree.digest, restored)
    assert len(said) == 3
    assert sorted(p.relative_to(restored).as_posix() for p in restored.rglob("*") if p.is_symlink()) == [
        "a/b/dangling", "a/b/up", "in", "self",
    ]  # fmt: skip


def test_nothing_is_laid_over_what_is_there(objects: Objects, tmp_path: Path) -> None:
    """A folder is restored only to an empty or new folder, and only if all of its objects exist."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("a")
    (tmp_path / "folder" / "b").write_text("b")
    tree = objects.put_tree(tmp_path / "folder")
    with pytest.raises(FileExistsError):
        objects.restore_tree(tree.digest, tmp_path / "folder")
    objects.path(digest_bytes(b"b")).unlink()
    with pytest.raises(ObjectNotFoundError):
        objects.restore_tree(tree.digest, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_damaged_object_is_not_laid_out(objects: Objects, tmp_path: Path) -> None:
    """Restoring a damaged object raises an error and leaves no file."""
    digest = objects.put_bytes(b"x" * 100)
    objects.path(digest).chmod(0o644)
    objects.path(digest).write_bytes(b"y" * 100)
    with pytest.raises(DamageError):
        objects.restore_file(digest, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_an_object_that_was_cut_short_is_put_anew(objects: Objects, tmp_path: Path) -> None:
    """A truncated object is intact again after its bytes are put once more."""
    for data in (b"x" * 100, b"y" * 5_000_000):
        digest = objects.put_bytes(data)
        objects.path(digest).chmod(0o644)
        os.truncate(objects.path(digest), 10)
        (tmp_path / "file").write_bytes(data)
        assert objects.put_file(tmp_path / "file") == (digest, len(data))
        assert objects.verify(digest)


def test_a_stream_is_taken_to_its_end(objects: Objects) -> None:
    """A stream is stored from its current position, whether it is a file or not, and is read back as a stream."""
    data = os.urandom(3_000_000)
    stream = io.BytesIO(data)
    stream.seek(5)
    assert objects.put_stream(stream, sync=False) == (digest_bytes(data[5:]), len(data) - 5)
    with objects.open(digest_bytes(data[5:])) as kept:
        assert kept.read(10) == data[5:15]
    read_end, write_end = os.pipe()
    os.write(write_end, b"piped")
    os.close(write_end)
    with open(read_end, "rb") as pipe:  # noqa: PTH123 - a descriptor
        assert objects.put_stream(pipe) == (digest_bytes(b"piped"), 5)


def test_a_file_is_moved_in(objects: Objects, tmp_path: Path) -> None:
    """A file that is moved in is removed from its place and is an ordinary object."""
    for data in (b"small", b"large" * 1_000_000, b"small"):
        file = tmp_path / "file"
        file.write_bytes(data)
        assert objects.put_file(file, move=True) == (digest_bytes(data), len(data))
        assert not file.exists() and objects.read(digest_bytes(data)) == data
        assert stat.S_IMODE(objects.path(digest_bytes(data)).stat().st_mode) == 0o444
    assert list(objects.staging.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links, and moving of open files")
def test_what_may_still_be_written_to_is_copied(objects: Objects, tmp_path: Path) -> None:
    """Moving in a file that is open for writing, or has another name, never lets an object change."""
    file, other = tmp_path / "file", tmp_path / "other"
    for data, keep in ((b"open" * 1000, "open"), (b"link" * 1000, "link")):
        file.write_bytes(data)
        file.chmod(0o640)
        with file.open("r+b") as writer:
            if keep == "link":
                other.hardlink_to(file)
            digest, _ = objects.put_file(file, move=True)
            writer.write(b"changed")
        if keep == "link":
            assert stat.S_IMODE(other.stat().st_mode) == 0o640
            other.write_bytes(b"changed")
        assert objects.read(digest) == data and not file.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="where a lease can tell that nobody writes")
def test_moving_in_makes_no_copy(objects: Objects, tmp_path: Path) -> None:
    """A file that no other process can write to is taken over without a copy."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    inode = file.stat().st_ino
    digest, _ = objects.put_file(file, move=True)
    assert objects.path(digest).stat().st_ino == inode


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_is_no_file_is_left_out_of_a_folder(objects: Objects, tmp_path: Path) -> None:
    """A pipe in a folder is left out with a warning; the rest is stored."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("a")
    os.mkfifo(tmp_path / "folder" / "pipe")
    with pytest.warns(RecorderWarning, match="pipe is not a file"):
        tree = objects.put_tree(tmp_path / "folder")
    assert [entry.path for entry in tree.entries] == ["a"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """On a full disk the error is raised, no object exists, staging is empty, and a moved file is back."""
    if sys.platform == "win32":
        pytest.skip("needs RLIMIT_FSIZE to fail a write")
    make(tmp_path)
    (tmp_path / "big").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "big", tmp_path / "other name")
    code = """
import os, resource, signal, sys
from pathlib import Path
from recorder.store.objects.objects import Objects
folder = Path(sys.argv[1])
objects = Objects(folder / "objects", staging=folder / "staging")
kept = objects.put_bytes(b"y" * 100_000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, -1))
for call in (
    lambda: objects.put_bytes(b"x" * 100_000),
    lambda: objects.put_file(folder / "big"),
    lambda: objects.put_file(folder / "big", move=True),
    lambda: objects.restore_file(kept, folder / "restored"),
):
    try:
        call()
    except OSError as error:
        print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.stdout == "File too large\n" * 4, done.stderr
    assert len(list(make(tmp_path))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "big",
        "objects",
        "objects.gate",
        "other name",
        "staging",
    ]
    assert list((tmp_path / "staging").iterdir()) == []


def test_other_files_are_no_objects(objects: Objects) -> None:
    """Other files among the objects are not counted."""
    digest = objects.put_bytes(b"x")
    (objects.root / "README").write_text("x")
    (objects.path(digest).parent / "tmp").write_text("x")
    assert list(objects) == [digest]
    assert list(Objects(objects.root / "none", staging=objects.staging)) == []


LARGE = os.urandom(1 << 20) * 9


def test_a_large_file_is_taken_in_once(objects: Objects, tmp_path: Path) -> None:
    """A file that is copied while it is digested is stored exactly; putting it again leaves nothing behind."""
    (tmp_path / "a").write_bytes(LARGE)
    digest, size = objects.put_file(tmp_path / "a")
    assert (digest, size) == (digest_bytes(LARGE), len(LARGE))
    (tmp_path / "b").write_bytes(LARGE)
    assert objects.put_file(tmp_path / "b") == (digest, size)
    assert list(objects) == [digest] and objects.read(digest) == LARGE
    assert list(objects.staging.iterdir()) == []


def test_a_large_file_that_is_being_written_to(objects: Objects, tmp_path: Path) -> None:
    """The returned digest is that of the stored bytes, even if a process writes to the file before or during the copy."""
    path, ended = tmp_path / "a", threading.Event()
    path.write_bytes(LARGE)

    def write() -> None:
        while not ended.is_set():
            with path.open("r+b", buffering=0) as file:
                file.seek(random.randrange(len(LARGE)))
                file.write(b"changed")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        found = [objects.put_file(path)[0] for _ in range(20)]
        with path.open("r+b", buffering=0):
            found.append(objects.put_file(path)[0])
    finally:
        ended.set()
        thread.join()
    assert all(objects.verify(digest) for digest in found)
    assert list(objects.staging.iterdir()) == []


def test_a_large_file_cannot_be_copied_without_an_error(tmp_path: Path) -> None:
    """If the disk is full in the middle of a large file, the error is raised and nothing stays."""
    if sys.platform == "win32":
        pytest.skip("needs RLIMIT_FSIZE to fail a write")
    make(tmp_path)
    (tmp_path / "large").write_bytes(LARGE)
    code = """
import resource, signal, sys
from pathlib import Path
from recorder.store.objects.objects import Objects
folder = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, -1))
try:
    Objects(folder / "objects", staging=folder / "staging").put_file(folder / "large")
except OSError as error:
    print(error.strerror)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "File too large\n", done.stderr
    assert list(make(tmp_path)) == [] and list((tmp_path / "staging").iterdir()) == []
