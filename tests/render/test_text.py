"""How things look in a terminal: numbers, times, tables, narrow and wide, with colours and without."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project

from recorder.render import text
from recorder.render.fitting import fit
from recorder.render.runs.runs import bare


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
    """A table as wide as the terminal at most; what is left out is named, the emptiest and the last first."""
    columns = [text.Column(name, ["x" * 10, "y"]) for name in "abcd"]
    fitted = fit(columns, width=25, keep=1)
    assert ([c.title for c in fitted.columns], fitted.left_out) == (["a", "b"], ["c", "d"])
    assert len(fit(columns, width=None, keep=1).columns) == 4
    columns[1] = text.Column("b", ["x" * 10, ""])
    assert fit(columns, width=25, keep=1).left_out == ["b", "d"]
    ranked = fit(columns, width=25, keep=1, ranks=[0, 1, 5, 4])
    assert ranked.left_out == ["b", "c"]


def test_wide_cells_are_cut_before_a_column_goes() -> None:
    """Long cells and dotted titles are cut, more where even what must stay is too wide."""
    columns = [text.Column("model.encoder.layers.dropout", ["z" * 30]), text.Column("b", ["1"])]
    fitted = fit(columns, width=20, keep=0)
    assert [c.title for c in fitted.columns] == ["….layers.dropout", "b"]
    fitted = fit([text.Column(name * 20, ["z" * 30]) for name in "abc"], width=30, keep=3)
    said = click.unstyle(text.render(fitted.columns))
    assert all(text.width_of(line) <= 30 for line in said.splitlines())


@pytest.mark.parametrize(
    ("said", "width"), [("abc", 3), ("größe", 5), ("数据", 4), ("e\u0301", 1), ("한국 ok", 7)]
)
def test_widths(said: str, width: int) -> None:
    """A letter that takes two places counts as two, one that combines as none."""
    assert text.width_of(said) == width


@given(st.text(), st.integers(1, 30))
def test_shortened_to_a_width(said: str, width: int) -> None:
    """What is cut takes no more places than asked for, from either side, and what fits is left alone."""
    for cut in (text.shorten, text.shorten_left):
        short = cut(said, width)
        assert text.width_of(short) <= max(width, 0)
        assert short == said or text.width_of(said) > width


def test_nothing_moves_the_cursor() -> None:
    """What is not printable is shown as in a string."""
    assert text.printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("adam", "adam"), ("", "''"), ("1e3", "'1e3'"), ("None", "'None'"), (" x", "' x'"), (True, "True"),
        ("a\nb", "'a\\nb'"), ("[1]", "'[1]'"), ("数据", "数据"),
    ],
)  # fmt: skip
def test_texts_without_quotes(form: object, said: str) -> None:
    """A text in a table has quotes only where it would look like something else."""
    assert bare(form, width=24) == said


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
        lines = click.unstyle(said).splitlines()
        assert max(map(len, lines[:4])) <= 80
        assert "not shown for want of width" in said
