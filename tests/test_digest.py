"""Tests of BLAKE3 digests of bytes, files and canonical JSON, including in forked processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from recorder.digest import Hasher, digest_bytes, digest_file

BIG = bytes(range(256)) * (1 << 15)  # 8 MB: with several threads


def test_bytes_files_and_pieces_have_one_digest(tmp_path: Path) -> None:
    """Bytes, files and pieces have the same BLAKE3 digest, with one thread or several."""
    path = tmp_path / "big"
    path.write_bytes(BIG)
    for threads in (False, True):
        hasher = Hasher(threads=threads)
        for start in range(0, len(BIG), 1 << 21):
            hasher.update(BIG[start : start + (1 << 21)])
        assert hasher.digest() == f"blake3:{blake3(BIG).hexdigest()}"
    assert digest_bytes(BIG) == digest_file(path) == f"blake3:{blake3(BIG).hexdigest()}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_digests_after_its_parent_has(tmp_path: Path) -> None:
    """A forked child does not wait for the threads of its parent."""
    path = tmp_path / "big"
    path.write_bytes(BIG)
    code = f"""
import os, sys
from pathlib import Path
from recorder.digest import digest_bytes, digest_file
path = Path({str(path)!r})
mine = digest_file(path)
pid = os.fork()
if pid == 0:
    theirs = digest_file(path), digest_bytes(path.read_bytes())
    os._exit(0 if theirs == (mine, mine) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        try:
            assert process.wait(timeout=60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 13 << 20])
def test_files_of_any_size(tmp_path: Path, size: int) -> None:
    """The digest of a file is that of its bytes, whether it is read in one piece or in several."""
    path = tmp_path / "file"
    data = (BIG * 2)[:size]
    path.write_bytes(data)
    assert digest_file(path) == digest_bytes(data)


TRUNCATE = """
import os, sys, threading
from pathlib import Path
from recorder.digest import digest_file
path = Path(sys.argv[1])
done = threading.Event()
def change():
    while not done.is_set():
        os.truncate(path, 1 << 28)
        os.truncate(path, 0)
thread = threading.Thread(target=change)
thread.start()
try:
    print(len({digest_file(path) for _ in range(100)}) > 0)
finally:
    done.set()
    thread.join()
"""


def test_a_file_that_is_truncated_meanwhile(tmp_path: Path) -> None:
    """Truncating a file during its digest does not kill the process, as it does when the file is memory-mapped."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", TRUNCATE, str(path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder raise OSError."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(OSError):
            digest_file(path)
