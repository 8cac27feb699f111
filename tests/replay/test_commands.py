"""Tests of replays of recorded command lines with real programs."""

from __future__ import annotations

import json
from typing import Any

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
