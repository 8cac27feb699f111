"""Tests for `save_figure` and `track_input` with real libraries and runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project

import recorder
from recorder import RecorderWarning
from recorder.capture.figures import draw
from recorder.store.store import RunStore

PLOTS = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import plotly.graph_objects as go
from recorder import record, save_figure

@record
def run():
    fig, axes = plt.subplots()
    axes.plot([1, 2, 3])
    save_figure(fig, "plots/line")
    save_figure(axes, "line.svg")
    save_figure(go.Figure(go.Scatter(y=[1, 2])), "scatter")
    save_figure(go.Figure(go.Scatter(y=[1, 2])), "scatter.html")
    save_figure("no figure", "bad")

run()
"""


def test_figures_are_outputs(project: Project) -> None:
    """Figures are saved in the format of their names and replay identical, and other objects cause a warning."""
    project.write("run.py", PLOTS)
    project.python("run.py")
    store = RunStore(project.root / ".recorder")
    record = store.find("last")
    kept = {output.name: store.read(output.digest) for output in record.outputs}
    assert list(kept) == ["line.svg", "plots/line.png", "scatter.html", "scatter.json"]
    assert kept["plots/line.png"].startswith(b"\x89PNG") and b"<svg" in kept["line.svg"]
    assert record.warnings == ("figure 'bad' was not saved: not a matplotlib or plotly figure",)
    done = project.recorder("replay", str(record.number))
    assert done.stdout.count("output   ") == 4 and "reproduced" in done.stdout


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_drawn_twice_is_the_same(suffix: str) -> None:
    """Equal figures have equal bytes whenever they are drawn."""
    import matplotlib.figure

    def once() -> bytes:
        figure = matplotlib.figure.Figure()
        figure.subplots().plot([3, 1, 2], label="a")
        return draw(figure, f"a.{suffix}")[1]

    assert once() == once()


def test_input_outside_a_run(tmp_path: Path) -> None:
    """Outside a run, `track_input` returns the path silently, and `save_figure` warns as `save` does."""
    missing = tmp_path / "missing"
    assert recorder.track_input(missing) is missing
    with pytest.warns(RecorderWarning, match="figure.* outside a recorded run"):
        recorder.save_figure(None, "a")


def test_input_in_a_run(project: Project) -> None:
    """A file passed to `track_input` is an input even if only a child process reads it, and a missing one warns."""
    project.write("data/a.csv", "1")
    project.write(
        "run.py",
        "import recorder, subprocess\n\n@recorder.record\ndef run():\n"
        "    subprocess.run(['cat', recorder.track_input('data/a.csv')], check=True)\n"
        "    recorder.track_input('missing')\n\nrun()\n",
    )
    project.python("run.py")
    record = RunStore(project.root / ".recorder").find("last")
    assert [item.path for item in record.inputs] == ["data/a.csv"]
    assert record.warnings[0].startswith("input 'missing' was not recorded")
