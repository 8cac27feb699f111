"""`recorder plot`: curves in the terminal, and files."""

from __future__ import annotations

import math

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project

from recorder.render.plots.curves import curve
from recorder.render.plots.terminal import Axes, draw


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with three runs with series, one with values that cannot be drawn."""
    root = tmp_path_factory.mktemp("plot") / "project"
    root.mkdir()
    project = Project(root)
    project.write(
        "train.py",
        """
        from recorder import record, log

        @record
        def train(lr, name="$a_<b>", bad=False):
            for step in range(30):
                log(loss=float("nan") if bad and step == 10 else 1 / (1 + lr * step), step=step)
            log(accuracy=1 - lr / 2, infinite=float("inf"))

        train(0.1)
        train(0.5)
        train(0.9, name="x$", bad=True)
        """,
    )
    project.commit()
    project.python("train.py")
    return project


def test_curves_in_the_terminal(project: Project) -> None:
    """Each run has a curve, and a line in the legend with the values that vary; without colors, a letter."""
    said = project.recorder("plot", "1", "2", "3", "--metric", "loss", "--log").stdout
    rows = said.splitlines()
    assert rows[0] == "loss (log)" and max(map(len, rows)) <= 80 and "\x1b" not in said
    for letter, lr in zip("abc", ("0.1", "0.5", "0.9"), strict=True):
        assert any(row.startswith(f"  {letter} run ") and f"lr={lr}" in row for row in rows)
        assert sum(row.partition("|")[2].count(letter) for row in rows) > 3
    assert "run 3" in rows[-1] and "1 of 30 points not drawn (1 nan)" in rows[-1]


def test_scatter(project: Project) -> None:
    """Every run that has both values is a point, also at the edges; --where selects runs."""
    said = project.recorder("plot", "--scatter", "lr", "accuracy").stdout
    assert sum(line.count("o") for line in said.splitlines() if "|" in line) == 3
    assert "train: 3 of 3 runs" in said
    assert "1 of 1 runs" in project.recorder(
        "plot", "--scatter", "lr", "accuracy", "--where", "lr > 0.6"
    ).stdout  # fmt: skip


def test_files(project: Project) -> None:
    """The suffix decides the format; dollar signs and tags in names are neither formulas nor markup."""
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<"}
    for suffix, start in starts.items():
        said = project.recorder("plot", "1", "3", "-m", "loss", "--save", f"p.{suffix}").stdout
        data = (project.root / f"p.{suffix}").read_bytes()
        assert data.startswith(start) and said.startswith(f"p.{suffix}: 2 curves\n")
    # One file: plotly itself is in it, and it loads no script from elsewhere.
    assert b"<script src=" not in data and b"Plotly.newPlot" in data and b"&lt;b&gt;" in data
    done = project.recorder("plot", "--parallel", "lr,name,accuracy", "--save", "q.html")
    text = (project.root / "q.html").read_text()
    assert done.stdout == "q.html: 3 runs\n" and '"type":"parcoords"' in text


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["1", "-m", "lss"], 2, "no metric 'lss': did you mean loss?"),
        (["-m", "loss"], 2, "RUN is missing"),
        (["1", "-m", "infinite"], 3, "1 of 1 points not drawn (1 inf)"),
        (["1", "-m", "loss", "--save", "x.gif"], 2, "cannot write x.gif"),
        (["--parallel", "lr,accuracy"], 2, "--save FILE.html"),
        (["--scatter", "lr", "nothing"], 3, "none of 3 runs has numbers for both"),
        (["1", "-m", "loss", "--scatter", "lr", "loss"], 2, "one of --metric"),
    ],
)
def test_what_cannot_be_drawn(project: Project, args: list[str], status: int, said: str) -> None:
    """A mistake is reported in one sentence, with the alternatives."""
    assert said in project.recorder("plot", *args, status=status).stderr


def test_a_missing_library_is_named(project: Project) -> None:
    """Without the extra, the message names the package to install."""
    code = (
        "import sys; sys.modules['plotille'] = None\n"
        "from recorder.cli import main; main(['plot', '1', '-m', 'loss'])"
    )
    done = project.python("-c", code, status=3)
    assert "this plot needs plotille: pip install 'run-recorder[plot]'" in done.stderr


@given(
    st.lists(st.tuples(st.integers(0, 100), st.floats(width=32)), min_size=1, max_size=200),
    st.integers(1, 20),
    st.booleans(),
)
def test_thinning_keeps_the_extremes(
    points: list[tuple[float, float]], buckets: int, log: bool
) -> None:
    """A thinned curve keeps its extremes, adds no values, and counts the points that it leaves out."""
    found = curve("c", points, buckets=buckets, log_y=log)
    there = [y for _, y in points if math.isfinite(y) and (y > 0 or not log)]
    drawn = [y for _, ys in found.drawn() for y in ys]
    assert sum(found.undrawn.values()) == len(points) - len(there)
    assert (min(drawn), max(drawn)) == (min(there), max(there)) if there else not drawn
    assert set(drawn) <= set(there) and len(drawn) <= max(2 * buckets, 2)
    assert found.x == sorted(found.x)


@pytest.mark.parametrize(
    "values", [[0.0], [5.0, 5.0], [1e-300, 1e299], [-1e299, 1e299], [1e-8, 1.0]]
)
def test_ranges_of_every_kind(values: list[float]) -> None:
    """A single point, a constant, and the widest range are drawn."""
    for log in (False, True):
        if not log or min(values) > 0:
            one = curve("c", list(enumerate(values)), buckets=100, log_y=log)
            text = draw([one], Axes("x", "y", log_y=log), colored=True)
            dots = [c for c in click.unstyle(text) if "\u2800" < c <= "\u28ff"]
            assert dots
            assert max(len(row) for row in click.unstyle(text).splitlines()) <= 80
