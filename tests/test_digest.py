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
