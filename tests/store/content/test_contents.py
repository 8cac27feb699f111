"""Tests of looking up the content of a run by name, and of `recorder cat`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from recorder.errors import ContentNotFoundError
from recorder.store.content.contents import content_names, find_content, open_content
from recorder.store.store import RunStore

SCRIPT = """
    import os
    from pathlib import Path
    import numpy as np
    from recorder import record, save, track_input

    class Own:
        pass

    @record
    def f(big: str = ""):
        Path("data.csv").read_text()
        Path("code.txt").read_text()
        Path("out").mkdir(exist_ok=True)
        Path("out/deep").mkdir(exist_ok=True)
        Path("out/a.bin").write_bytes(bytes(range(256)))
        Path("out/deep/b.txt").write_text("b")
        os.path.lexists("out/link") or os.symlink("a.bin", "out/link")
        save("out")
        Path("result").write_text("a file of that name")
        save("result")
        save({"x": [1, 2.5], "größe": None}, name="plain")
        save({"nan": float("nan"), "t": (1,), "long": ["word"] * 30}, name="tagged")
        save(np.arange(3), name="array")
        save(b"\\x00\\xff", name="bytes")
        return {"ok": True}

    f()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with one run."""
    root = tmp_path_factory.mktemp("contents") / "project"
    root.mkdir()
    project = Project(root)
    project.write(".gitignore", "data.csv\n")
    project.write("data.csv", "1,2\n")
    project.write("code.txt", "tracked\n")
    project.write("script.py", SCRIPT)
    project.commit()
    project.python("script.py")
    return project


def cat(project: Project, name: str) -> str:
    return project.recorder("cat", f"1:{name}").stdout


def test_files_are_printed_to_the_byte(project: Project) -> None:
    """An output file, a file in a folder, and inputs from objects and from the snapshot are printed exactly."""
    store = RunStore(project.root)
    record = store.get(1)
    for name, data in {
        "out/a.bin": bytes(range(256)),
        "inputs/data.csv": b"1,2\n",
        "inputs/code.txt": b"tracked\n",
    }.items():
        with open_content(store, record, find_content(store, record, name)) as file:
            assert file.read() == data, name
    for name, data in {"out/a.bin": bytes(range(256)), "bytes": b"\0\xff"}.items():
        command = [sys.executable, "-m", "recorder", "cat", f"1:{name}"]
        assert subprocess.run(command, cwd=project.root, capture_output=True).stdout == data
    assert cat(project, "inputs/code.txt") == "tracked\n"


def test_an_output_comes_before_the_result_of_its_name(project: Project) -> None:
    """A value saved under the name `result` takes precedence over the result."""
    assert cat(project, "result") == "a file of that name"


def test_folders_are_listed(project: Project) -> None:
    """A folder, and a folder in it, are printed as a list with sizes and links."""
    assert [line.split() for line in cat(project, "out").splitlines()] == [
        ["256", "B", "a.bin"],
        ["1", "B", "deep/b.txt"],
        ["link", "link", "->", "a.bin"],
    ]
    assert cat(project, "out/deep").split() == ["1", "B", "b.txt"]
    assert cat(project, "out/deep/b.txt") == "b"


def test_values_are_readable(project: Project) -> None:
    """A value is printed as JSON if possible, else as Python prints it, in full; an array as NumPy prints it."""
    assert cat(project, "plain") == '{\n  "x": [\n    1,\n    2.5\n  ],\n  "größe": null\n}\n'
    tagged = cat(project, "tagged")
    assert "'nan': nan" in tagged and "(1,)" in tagged and tagged.count("'word'") == 30
    assert cat(project, "array") == "[0 1 2]\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plian", "run 1 has no 'plian'; it has: "),
        ("inputs/nothing.csv", "run 1 has no 'inputs/nothing.csv'; it has: "),
        ("out/c.bin", "the output out of run 1 has no 'c.bin': there is a.bin"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(project: Project, name: str, said: str) -> None:
    """A wrong name is an error with status 3 that lists the existing names."""
    assert said in project.recorder("cat", f"1:{name}", status=3).stderr


def test_a_name_is_needed(project: Project) -> None:
    """`recorder cat RUN` without a name explains the syntax."""
    assert "RUN:NAME" in project.recorder("cat", "1", status=2).stderr


def test_an_input_is_found_by_the_end_of_its_path(project: Project, tmp_path: Path) -> None:
    """The end of a path selects an input if it is unique; else all matches are listed."""
    for folder in ("one", "two"):
        project.write(f"{folder}/points.txt", folder)
    project.write(
        "reads.py",
        """
        from recorder import record

        @record
        def g():
            return open("one/points.txt").read() + open("two/points.txt").read()

        g()
        """,
    )
    project.python("reads.py")
    store = RunStore(project.root)
    record = store.find("last")
    assert "inputs/one/points.txt" in content_names(record)
    with pytest.raises(ContentNotFoundError, match="2 of its paths end with it"):
        find_content(store, record, "inputs/points.txt")
    assert find_content(store, record, "inputs/two/points.txt").kind == "file"
    assert (
        project.recorder("cat", "last:result").stdout == "onetwo\n"
    )  # a string is printed unchanged


def test_a_damaged_output_is_said(project: Project) -> None:
    """Content that does not match its digest ends with status 3."""
    store = RunStore(project.root)
    found = find_content(store, store.get(1), "out/deep/b.txt")
    path = store.objects.path(found.digest)
    path.chmod(0o644)
    path.write_text("c")
    done = project.recorder("cat", "1:out/deep/b.txt", status=3)
    assert "damaged" in done.stderr
    path.write_text("b")
