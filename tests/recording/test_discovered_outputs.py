"""Outputs that a run did not save, found with real files, child processes and C libraries."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project

from recorder.records import Record
from recorder.store.store import RunStore

WRITER = """
import os, subprocess, sys
from pathlib import Path
from recorder import record, save

@record({options})
def run(n=3):
{body}

if __name__ == "__main__":
    run()
"""


def record(project: Project, body: str, *, options: str = "", **more: Any) -> Record:
    """Record a run of a function with that body, and return its record."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    project.write("run.py", WRITER.format(options=options, body=lines))
    project.python("run.py", **more)
    return RunStore(project.root / ".recorder").find("last")


def names(run: Record) -> list[str]:
    return [output.name for output in run.outputs]


def test_files_that_python_wrote(project: Project) -> None:
    """A file below the project that the run wrote is an output, found and stored."""
    run = record(project, "Path('out').mkdir()\nPath('out/a.txt').write_text('text')")
    [output] = run.outputs
    assert (output.name, output.path, output.kind) == ("out/a.txt", "out/a.txt", "file")
    assert output.found and output.stored
    assert RunStore(project.root / ".recorder").read(output.digest) == b"text"


def test_files_that_other_processes_wrote(project: Project) -> None:
    """Files that a child process and a C library wrote are found, even with old modification times."""
    body = """
subprocess.run("echo 1 > b.txt; touch -d 2001-01-01 b.txt", shell=True, check=True)
import h5py
h5py.File("c.h5", "w").close()
import pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.table({"a": [1]}), "d.parquet")
"""
    assert names(record(project, body)) == ["b.txt", "c.h5", "d.parquet"]


def test_files_that_are_not_outputs(project: Project) -> None:
    """Temporary files, caches, editors' files, secrets, and files that the run only read or touched are not outputs."""
    project.write("data.csv", "1")
    project.write("other.csv", "2")
    body = """
Path("tmp").write_text("x"); Path("tmp").unlink()
for name in ("__pycache__", ".pytest_cache", ".idea", ".venv"):
    Path(name).mkdir(exist_ok=True)
    Path(name, "pyvenv.cfg").write_text("x")
    Path(name, "x.txt").write_text("x")
subprocess.run("echo x > .a.swp; echo x > b~; echo x > c.pyc; echo x > .env", shell=True)
Path("data.csv").read_text()
open("other.csv", "r+").close()
os.chmod("data.csv", 0o600)
"""
    run = record(project, body)
    assert names(run) == []
    assert [item.path for item in run.inputs] == ["data.csv", "other.csv"]


def test_files_that_existed_before(project: Project) -> None:
    """A file that the script wrote before the run, and a log that the shell redirects to, are not outputs."""
    project.write("run.py", WRITER.format(options="", body="    print('said')"))
    text = (project.root / "run.py").read_text()
    project.write(
        "run.py", text.replace("    run()", "    Path('a.txt').write_text('x')\n    run()")
    )
    with (project.root / "log").open("w") as log:
        import subprocess
        import sys

        subprocess.run([sys.executable, "run.py"], cwd=project.root, stdout=log, check=True)
    run = RunStore(project.root / ".recorder").find("last")
    assert run.outputs == () and (project.root / "log").read_text() == "said\n"


def test_a_saved_output_wins(project: Project) -> None:
    """A file or folder that was saved, under any name, is not found again; a saved value keeps its name."""
    body = """
Path("a.txt").write_text("1"); save("a.txt", name="other")
Path("folder").mkdir(); Path("folder/b.txt").write_text("2"); save("folder")
save({"x": 1}, name="c.txt"); Path("c.txt").write_text("3")
"""
    run = record(project, body)
    assert [(o.name, o.kind, o.found) for o in run.outputs] == [
        ("c.txt", "value", False),
        ("folder", "folder", False),
        ("other", "file", False),
    ]


def test_only_the_digest_of_a_large_file_is_kept(project: Project) -> None:
    """A found file larger than keep_bytes is listed and not stored; check and diff accept that."""
    body = "Path('big.bin').write_bytes(b'1' * 200 * n)"
    first = record(project, body, options="keep_bytes=100")
    second = record(project, body.replace("b'1'", "b'2'"), options="keep_bytes=100")
    assert [o.stored for o in (*first.outputs, *second.outputs)] == [False, False]
    assert not RunStore(project.root / ".recorder").objects.has(first.outputs[0].digest)
    assert "only the digest of output big.bin is kept" in first.warnings[0]
    project.recorder("check")
    assert "big.bin" in project.recorder("diff", "1", "2", status=1).stdout
    assert "identical" in project.recorder("replay", "2").stdout


def test_a_replay_compares_found_outputs(project: Project) -> None:
    """Found outputs have a verdict; a different one makes the replay diverge."""
    record(project, "Path('a.txt').write_text('same')")
    assert "a.txt" in project.recorder("replay", "1").stdout
    run = record(project, "Path('a.txt').write_text(str(os.getpid()))")
    done = project.recorder("replay", str(run.number), status=1)
    assert "different" in done.stdout


def test_appended_in_place(project: Project) -> None:
    """A log that each run appends to is replayed from its state before the run."""
    body = "with open('log.txt', 'a') as file: file.write('line\\n')"
    record(project, body)
    run = record(project, body)
    assert names(run) == ["log.txt"]
    project.recorder("replay", str(run.number))


def test_found_outputs_are_not_code(project: Project) -> None:
    """A found file does not change the code of the next run."""
    body = "Path('a.txt').write_text(str(os.getpid()))"
    first, second = record(project, body), record(project, body)
    assert first.code is not None and second.code is not None
    assert first.code.snapshot == second.code.snapshot


def test_concurrent_runs_keep_their_files_apart(project: Project) -> None:
    """A file that a child process writes during another run is reported, not listed; a file that Python writes is listed."""
    body = """
name = sys.argv[1]
Path(f"{name}.txt").write_text(name)
if name == "outer":
    subprocess.run([sys.executable, "run.py", "inner"], check=True)
    subprocess.run("echo x > child.txt", shell=True)
"""
    run = record(project, "pass")
    project.write("run.py", WRITER.format(options="", body=body.replace("\n", "\n    ")))
    project.python("run.py", "outer")
    store = RunStore(project.root / ".recorder")
    outer, inner = store.get(run.number + 1), store.get(run.number + 2)
    assert names(outer) == ["outer.txt"] and names(inner) == ["inner.txt"]
    assert "may have been written by another run in progress" in outer.warnings[0]
    assert outer.unlisted == ("child.txt", "inner.txt") and inner.unlisted == ()


def test_an_old_record_reads(project: Project) -> None:
    """In a record written before outputs were found automatically, all outputs are saved and stored ones."""
    run = record(project, "Path('a.txt').write_text('x'); save('a.txt')")
    document = run.to_document()
    assert "found" not in document["outputs"][0] and "stored" not in document["outputs"][0]
    assert Record.from_document(document) == run


@pytest.mark.parametrize("place", [".", "sub"])
def test_names_are_relative_to_the_working_directory(project: Project, place: str) -> None:
    """In a subfolder the names of outputs are relative to the working directory or the root, and a replay finds them."""
    (project.root / "sub").mkdir()
    project.write("run.py", WRITER.format(options="", body=(
        f"    Path({str(project.root)!r})\n    Path('a.txt').write_text('x')\n"
        "    Path(__file__).with_name('b.txt').write_text('y')"
    )))  # fmt: skip
    project.python(str(project.root / "run.py"), cwd=project.root / place)
    run = RunStore(project.root / ".recorder").find("last")
    assert names(run) == ["a.txt", "b.txt"]
    assert [o.path for o in run.outputs] == ["a.txt", "b.txt" if place == "." else "../b.txt"]
    project.recorder("replay", str(run.number))
