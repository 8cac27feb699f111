"""How things look in a terminal: numbers, times, tables, narrow and wide, with colours and without."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

import pytest
from conftest import Project

from recorder.cli.view import text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (86400 * 3, "3 d"),
        (86400 * 800, "2 y"),
    ],
)
def test_ages(seconds: int, said: str) -> None:
    """An age is said in its largest unit."""
    now = datetime.now(timezone.utc)
    assert text.age(now - timedelta(seconds=seconds), now=now) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0.0123, "12 ms"),
        (0.123, "0.12 s"),
        (12.34, "12.3 s"),
        (185, "3:05 min"),
        (7800, "2:10:00 h"),
        (59.97, "60.0 s"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    """A duration is said to a useful precision."""
    assert text.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_300_000_000, "2.3 GB")]
)
def test_sizes(count: int, said: str) -> None:
    """A size is said in powers of 1000."""
    assert text.size(count) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "1"),
        (1.0, "1.0"),
        (0.123456789, "0.123457"),
        (1e20, "1e+20"),
        ({"$float": "nan"}, "nan"),
        (1e-9, "1e-09"),
    ],
)
def test_numbers(value: object, said: str) -> None:
    """A number is said in six digits."""
    assert text.number(value) == said


def test_columns_that_do_not_fit_are_named() -> None:
    """A table as wide as the terminal at most; what is left out is named."""
    columns = [text.Column(name, ["x" * 10]) for name in "abcd"]
    fitting, out = text.fit(columns, width=25, keep=1)
    assert ([c.title for c in fitting], out) == (["a", "b"], ["c", "d"])
    assert len(text.fit(columns, width=None, keep=1)[0]) == 4


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_of_eighty_columns(project: Project) -> None:
    """In a terminal of 80 columns no line is longer; colours are there, and none in a pipe or with NO_COLOR."""
    import pty
    import struct
    import subprocess

    keys = ", ".join(f"parameter_{i}=0" for i in range(12))
    project.write(
        "wide.py",
        f"from recorder import record\n\n@record\ndef f({keys}): return 1\n\nf(); f(*range(12))\n",
    )
    project.python("wide.py")
    assert "\x1b" not in project.recorder("list").stdout
    for colours in (True, False):
        parent, child = pty.openpty()
        import fcntl
        import termios

        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {k: v for k, v in project.env.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        env |= {} if colours else {"NO_COLOR": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "recorder", "list"], cwd=project.root, env=env, stdout=child
        )
        process.wait()
        os.close(child)
        said = os.read(parent, 100_000).decode()
        os.close(parent)
        assert ("\x1b[" in said) == colours
        import click

        lines = click.unstyle(said).splitlines()
        assert max(map(len, lines[:4])) <= 80
        assert "not shown for want of width" in said
