"""Tests of replays of recorded command lines with real programs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from project import Project


def exec_and_replay(project: Project, *argv: str, status: int, code: int = 0) -> dict[str, Any]:
    """Record a command that exits with `code`, and return the JSON of its replay, which exits with `status`."""
    project.recorder("exec", "--", *argv, status=code)
    found: dict[str, Any] = json.loads(
        project.recorder("replay", "last", "--json", status=status).stdout
    )
    return found


def test_an_exit_status_alone_is_no_evidence(project: Project) -> None:
    """A command without files and output is "nothing verified", whether it succeeds or fails."""
    done = exec_and_replay(project, "python", "-c", "pass", status=4)
    assert (done["verdict"], done["counts"]) == ("nothing verified", {"identical": 1})
    assert "an exit status is no evidence" in done["reason"]
    failed = exec_and_replay(project, "python", "-c", "raise SystemExit(3)", status=4, code=3)
    assert failed["verdict"] == "nothing verified"


def test_the_console_decides_where_nothing_else_was_left(project: Project) -> None:
    """A command that only prints is compared by what it printed, and the reason says so."""
    same = exec_and_replay(project, "python", "-c", "print(sum(range(10)))", status=0)
    assert (same["verdict"], same["reason"]) == ("reproduced", "only stdout was compared")
    timed = "import time; print('loss 0.5'); print('took', time.perf_counter(), 's')"
    ignored = exec_and_replay(project, "python", "-c", timed, status=0)
    assert ignored["reason"] == "only stdout was compared, ignoring times and durations"
    errors = "import sys; print('x', file=sys.stderr)"
    assert (
        exec_and_replay(project, "python", "-c", errors, status=0)["reason"]
        == "only stderr was compared"
    )


def test_a_command_that_prints_a_random_number(project: Project) -> None:
    """A random number on stdout diverges, and repeated replays call the command not deterministic."""
    script = "import random; print(random.random())"
    done = exec_and_replay(project, "python", "-c", script, status=1)
    assert (done["verdict"], done["reason"]) == ("diverged", "stdout (different)")
    repeated = json.loads(
        project.recorder("replay", "1", "--repeat", "3", "--json", status=1).stdout
    )
    assert (repeated["deterministic"], repeated["varying"]) == (False, ["stdout"])


def test_the_console_does_not_decide_next_to_an_output(project: Project) -> None:
    """A command with an output is compared by that, and a varying console is only reported."""
    script = "import random; print(random.random()); open('out.txt', 'w').write('1')"
    done = exec_and_replay(project, "python", "-c", script, status=0)
    verdicts = {item["name"]: (item["verdict"], item["decides"]) for item in done["items"]}
    assert verdicts["stdout"] == ("different", False)
    assert verdicts["out.txt"] == ("identical", True)
    assert (done["verdict"], done["reason"]) == ("reproduced", "")


COUNTS = """
#include <stdio.h>
int main(int argc, char **argv) {
    int c, n = 0;
    FILE *file = fopen(argv[1], "r");
    while (file && (c = fgetc(file)) != EOF) n += c == '\\n';
    printf("%d lines\\n", n * FACTOR);
    return file == NULL;
}
"""


def compile_tool(project: Project, *, factor: int) -> None:
    """Compile the program that counts lines to the git-ignored folder build/."""
    command = ["cc", f"-DFACTOR={factor}", "-o", "build/tool", "tool.c"]
    subprocess.run(command, cwd=project.root, check=True)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_an_ignored_program_and_ignored_data_are_inputs(project: Project) -> None:
    """A compiled program and a data file that git ignores are kept, and a replay runs and reads the recorded ones."""
    project.write(".gitignore", "build/\ndata/\n")
    project.write("tool.c", COUNTS)
    project.write("data/rows.txt", "a\nb\n")
    (project.root / "build").mkdir()
    compile_tool(project, factor=1)
    project.commit()
    project.recorder("exec", "--", "./build/tool", "data/rows.txt")
    inputs = {one["path"]: one["stored"] for one in project.show(1)["inputs"]}
    assert inputs == {"build/tool": True, "data/rows.txt": True}
    compile_tool(project, factor=10)
    project.write("data/rows.txt", "a\nb\nc\n")
    done = project.recorder("replay", "1")
    assert done.stdout.startswith("2 lines\n") and "reproduced" in done.stdout
    shutil.rmtree(project.root / "build")
    shutil.rmtree(project.root / "data")
    assert project.recorder("replay", "1").stdout.startswith("2 lines\n")


def test_files_outside_the_project_among_the_arguments_are_inputs(
    project: Project, tmp_path: Path
) -> None:
    """A file outside the project is an input, also as an option's value, and a replay reads the recorded content."""
    data = tmp_path / "outside" / "data.csv"
    data.parent.mkdir()
    data.write_text("1\n2\n")
    project.write("count.sh", '#!/bin/sh\nwc -l < "${1#--in=}"\n').chmod(0o755)
    project.recorder("exec", "--", "./count.sh", str(data))
    project.recorder("exec", "--", "./count.sh", f"--in={data}")
    for number in (1, 2):
        assert [one["path"] for one in project.show(number)["inputs"]] == [str(data)]
    data.write_text("1\n2\n3\n")
    done = project.recorder("replay", "2")
    assert f"read from the store: the input {data}" in done.stderr
    assert "reproduced" in done.stdout
    data.unlink()
    assert "reproduced" in project.recorder("replay", "1").stdout


def test_installed_programs_and_outputs_among_the_arguments_are_no_inputs(project: Project) -> None:
    """A program in a folder of PATH and the output of an earlier run are no inputs."""
    project.write("copy.sh", '#!/bin/sh\ncp "$1" "$2"\n').chmod(0o755)
    project.write("a.txt", "a\n")
    shell = shutil.which("sh")
    assert shell is not None
    for _ in range(2):
        project.recorder("exec", "--", "env", shell, "copy.sh", "a.txt", "b.txt", "x" * 300)
    assert [one["path"] for one in project.show(2)["inputs"]] == ["copy.sh", "a.txt"]
