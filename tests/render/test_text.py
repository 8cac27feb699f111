"""Numbers, times and tables in a terminal: narrow and wide, with and without colors."""

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
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (86400 * 3, "3 d"),
        (86400 * 800, "2 y"),
    ],
)
def test_ages(seconds: int, shown: str) -> None:
    """An age has its largest unit."""
    now = datetime.now(timezone.utc)
    assert text.age(now - timedelta(seconds=seconds), now=now) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
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
def test_durations(seconds: float | None, shown: str) -> None:
    """A duration has a useful precision."""
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_300_000_000, "2.3 GB")]
)
def test_sizes(count: int, shown: str) -> None:
    """A size is in powers of 1000."""
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "1"),
        (1.0, "1.0"),
        (0.123456789, "0.123457"),
        (1e20, "1e+20"),
        ({"$float": "nan"}, "nan"),
        (1e-9, "1e-09"),
    ],
)
def test_numbers(value: object, shown: str) -> None:
    """A number has six digits."""
    assert text.number(value) == shown


def test_columns_that_do_not_fit_are_named() -> None:
    """A table is as wide as the terminal at most; the emptiest and the last columns are left out first, and named."""
    columns = [text.Column(name, ["x" * 10, "y"]) for name in "abcd"]
    fitted = fit(columns, width=25, keep=1)
    assert ([c.title for c in fitted.columns], fitted.left_out) == (["a", "b"], ["c", "d"])
    assert len(fit(columns, width=None, keep=1).columns) == 4
    columns[1] = text.Column("b", ["x" * 10, ""])
    assert fit(columns, width=25, keep=1).left_out == ["b", "d"]
    ranked = fit(columns, width=25, keep=1, ranks=[0, 1, 5, 4])
    assert ranked.left_out == ["b", "c"]
    assert fit(columns, width=25, keep=1, last=[1]).left_out == ["c", "d"]


def test_wide_cells_are_cut_before_a_column_goes() -> None:
    """Long cells and dotted titles are cut, and cut further if even the remaining columns are too wide."""
    columns = [text.Column("model.encoder.layers.dropout", ["z" * 30]), text.Column("b", ["1"])]
    fitted = fit(columns, width=20, keep=0)
    assert [c.title for c in fitted.columns] == ["….layers.dropout", "b"]
    fitted = fit([text.Column(name * 20, ["z" * 30]) for name in "abc"], width=30, keep=3)
    shown = click.unstyle(text.render(fitted.columns))
    assert all(text.width_of(line) <= 30 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("shown", "width"), [("abc", 3), ("größe", 5), ("数据", 4), ("e\u0301", 1), ("한국 ok", 7)]
)
def test_widths(shown: str, width: int) -> None:
    """A wide character counts as two columns, a combining one as none."""
    assert text.width_of(shown) == width


@given(st.text(), st.integers(1, 30))
def test_shortened_to_a_width(shown: str, width: int) -> None:
    """Shortened text fits the width, cut from either side, and text that fits does not change."""
    for cut in (text.shorten, text.shorten_left):
        short = cut(shown, width)
        assert text.width_of(short) <= max(width, 0)
        assert short == shown or text.width_of(shown) > width


def test_text_is_cut_between_words() -> None:
    """Text is cut between words, or within a word that is most of it."""
    assert text.shorten("one two three", 9) == "one two…"
    assert text.shorten("one two three", 8) == "one two…"
    assert text.shorten("a/long/path/without/spaces", 9) == "a/long/p…"
    assert text.shorten("x extraordinarily", 9) == "x extrao…"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("a\x1b[31m\nb", "a\\x1b[31m\\nb"), ("ab\u202ecd\u2066", "ab\\u202ecd\\u2066"), ("\x9b2J", "\\x9b2J"),
     ("\u2028", "\\u2028"), ("\ud800", "\\ud800"), ("größe", "größe")],
)  # fmt: skip
def test_printable(raw: str, shown: str) -> None:
    """Control characters, line separators and bidirectional controls are escaped; letters are not."""
    assert text.printable(raw) == shown


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("adam", "adam"), ("", "''"), ("1e3", "'1e3'"), ("None", "'None'"), (" x", "' x'"), (True, "True"),
        ("a\nb", "'a\\nb'"), ("[1]", "'[1]'"), ("数据", "数据"),
    ],
)  # fmt: skip
def test_texts_without_quotes(form: object, shown: str) -> None:
    """A string in a table has quotes only if it would look like something else."""
    assert bare(form, width=24) == shown


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_of_eighty_columns(project: Project) -> None:
    """No line is wider than a terminal of 80 columns; a pipe and NO_COLOR get no colors."""
    import pty
    import struct
    import subprocess

    keys = ", ".join(f"parameter_{i}=0" for i in range(12))
    project.write(
        "wide.py",
        f"from recorder import log, record\n\n@record\ndef f({keys}): log(first=0.5, second=1e-9)\n\nf(); f(*range(12))\n",
    )
    project.python("wide.py")
    assert "\x1b" not in project.recorder("list").stdout
    for colors in (True, False):
        parent, child = pty.openpty()
        import fcntl
        import termios

        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {k: v for k, v in project.env.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        env |= {} if colors else {"NO_COLOR": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "recorder", "list"], cwd=project.root, env=env, stdout=child
        )
        process.wait()
        os.close(child)
        shown = os.read(parent, 100_000).decode()
        os.close(parent)
        assert ("\x1b[" in shown) == colors
        lines = click.unstyle(shown).splitlines()
        assert max(map(len, lines)) <= 80
        assert "hidden, the terminal is too narrow: " in lines[4] and "parameter_11" in lines[-1]
        # The metrics stay although the config does not fit.
        assert lines[1].split()[-2:] == ["first", "second"] and lines[2].split()[-1] == "1e-09"
