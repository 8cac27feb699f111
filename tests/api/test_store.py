"""The reading side: the store, its runs, queries, replays, and tables in notebooks."""

from __future__ import annotations

import doctest
import importlib
import pickle
import pkgutil
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project
from tinydb import where
from waiting import wait_until

import recorder
import recorder.api
from recorder import Run, Store
from recorder.errors import (
    ContentNotFoundError,
    QueryError,
    RunNotFoundError,
    TagError,
)
from recorder.render import html

TRAIN = """
    import sys
    import numpy as np
    from recorder import log, record, save

    @record
    def train(lr: float = 0.1, layers: tuple = (32, 16), optim: dict = {"momentum": 0.9}):
        for loss in (1.0, 0.5, 0.25):
            log(loss=loss)
        np.save("weights.npy", np.array([0.5, 1.5]))
        save("weights.npy")
        print("done")
        return {"loss": loss}

    if __name__ == "__main__":
        for lr in map(float, sys.argv[1:]):
            train(lr)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which `train` ran twice, to be copied."""
    root = tmp_path_factory.mktemp("trained") / "project"
    root.mkdir()
    project = Project(root)
    project.write("train.py", TRAIN)
    project.commit()
    project.python("train.py", "0.05", "0.1")
    return root


@pytest.fixture
def store(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of the store with the two runs, in the working directory."""
    shutil.copytree(trained, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    return Store()


MODULES = [m.name for m in pkgutil.iter_modules(recorder.api.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings(store: Store, name: str) -> None:
    """The examples in docstrings give the results that they show."""
    module = importlib.import_module(f"recorder.api.{name}")
    names: dict[str, Any] = {"store": store, "Store": Store, "run": store[2]}
    finder = doctest.DocTestFinder()
    runner = doctest.DocTestRunner()
    for test in finder.find(module, globs=names):
        runner.run(test)
    assert runner.summarize().failed == 0


def test_a_store_maps_references_to_runs(store: Store) -> None:
    """Runs are found by number, id, name and tag; the store is iterable, and has no slices or negative numbers."""
    first, second = store
    assert (first.number, second.number, len(store)) == (1, 2, 2)
    assert store[1] == first == store[first.id] == store[first.id[:6]] == store["train~1"]
    assert store[np.int64(2)] == second == store["last"] == store[second]
    assert isinstance(first, Run) and 1 in store and first in store and 7 not in store
    assert None not in store and -1 not in store
    assert pickle.loads(pickle.dumps(list(store))) == [first, second]
    for ref in (3, 0, -1, "nothing", "last~2"):
        with pytest.raises(RunNotFoundError):
            store[ref]
    for wrong in (1.5, slice(1, 2)):
        with pytest.raises(TypeError):
            store[wrong]  # type: ignore[index]


def test_runs_are_a_sequence(store: Store) -> None:
    """`runs` returns a sequence: sliced, filtered by experiment, tag and status, sorted and limited."""
    store.tag(2, "paper", "figure")
    assert [run.number for run in store.runs()[-1:]] == [2]
    for conditions, numbers in (
        ({"experiment": "train"}, [1, 2]),
        ({"experiment": "other"}, []),
        ({"tag": "paper"}, [2]),
        ({"tag": ["paper", "figure"]}, [2]),
        ({"tag": ["paper", "nothing"]}, []),
        ({"failed": True}, []),
        ({"limit": 1}, [2]),
        ({"limit": 5}, [1, 2]),
        ({"sort": "-lr"}, [2, 1]),
        ({"sort": "lr", "limit": 1}, [1]),
    ):
        assert [run.number for run in store.runs(**conditions)] == numbers, conditions  # type: ignore[arg-type]
    assert store.frame(sort="-lr").index.tolist() == [2, 1]


BEST = """
    from recorder import log, record

    @record
    def fit(**metrics):
        log(**{name: float(value) for name, value in metrics.items()})
        assert "fails" not in metrics

    fit(loss=0.5, accuracy=0.8, speed=1)
    fit(loss=0.25, accuracy=0.7, speed=2)
    fit(loss=float("nan"), accuracy=0.8)
    try:
        fit(loss=0.1, fails=1)
    except AssertionError:
        pass
"""


def test_the_best_run(project: Project) -> None:
    """`best` takes the direction from the name or the argument; failed runs and NaN never win, and ties go to the oldest."""
    project.write("fit.py", BEST)
    project.python("fit.py")
    runs = Store(project.root / ".recorder").runs()
    assert [runs.best(name).number for name in ("loss", "accuracy")] == [2, 1]
    assert runs.best("speed", maximize=True).number == 2
    assert runs.best("loss", maximize=True).number == 1
    with pytest.raises(ValueError, match="maximize=True or maximize=False"):
        runs.best("speed")
    with pytest.raises(RunNotFoundError, match="no finished run has the metric 'los'"):
        runs.best("los", maximize=True)


def test_sharing_and_maintenance(store: Store, tmp_path: Path) -> None:
    """A store exports runs, imports them once, frees removed ones, reports disk usage, and repairs damage."""
    done = store.export([1, 2], tmp_path / "runs.zip")
    assert done.runs == (1, 2) and done.size_bytes == (tmp_path / "runs.zip").stat().st_size
    with pytest.raises(FileExistsError):
        store.export(1, tmp_path / "runs.zip")
    other = Store(tmp_path / "other", create=True)
    assert [run.id for run in other.import_runs(tmp_path / "runs.zip")] == [run.id for run in store]
    assert len(other.import_runs(store.path)) == 0 and len(other) == 2
    assert [size.name for size in other.disk_usage().experiments] == ["train"]
    other.remove(1)
    assert other.gc(dry_run=True, confirmed=True) == other.gc(dry_run=True, confirmed=True) != []
    other.gc(confirmed=True)
    assert other.gc() == [] and len(other) == 1
    assert other.check() == []
    (lost,) = (
        path
        for path in (other.path / "objects").rglob("*")
        if path.is_file() and path.stat().st_size == 144
    )
    lost.chmod(0o600)
    lost.write_bytes(b"damaged")
    assert [(one.finding.kind, one.is_repaired) for one in other.check()] == [
        ("damaged object", False)
    ]
    (repaired,) = other.check(repair=True)  # the project still has the file
    assert repaired.is_repaired and other.check() == []


def test_runs_are_changed_while_one_goes_through_them(store: Store) -> None:
    """Iteration yields the runs that existed at its start, without those that are removed meanwhile."""
    numbers = []
    for record in store:
        numbers.append(record.number)
        store.tag(record, "seen")
        assert [gone.number for gone in store.remove([2] if 2 in store else [])] in ([2], [])
    assert numbers == [1] == [record.number for record in store.runs('"seen" in tags')]


def test_the_last_run_of_an_experiment(store: Store) -> None:
    """`last` returns the newest run, optionally of one experiment, and raises an error if there is none."""
    assert store.last() == store.last("train") == store[2]
    with pytest.raises(RunNotFoundError, match=r"no run of 'trian' in .*: there is train"):
        store.last("trian")


def test_runs_by_query(store: Store) -> None:
    """Query strings, TinyDB queries and functions find the same runs; a mistake raises QueryError."""
    for condition in (
        "lr < 0.1",
        where("config").lr < 0.1,
        lambda document: document["config"]["lr"] < 0.1,
    ):
        assert [record.number for record in store.runs(where=condition)] == [1]
    assert len(store.runs(where=where("config").nothing == 1)) == 0
    with pytest.raises(QueryError, match="did you mean"):
        store.runs(where="lrr > 1")


def test_tags_and_notes(store: Store) -> None:
    """Tags and notes are set on one run or several; runs that were read before stay unchanged."""
    before = store[1]
    assert [r.tags for r in store.tag(store.runs(), "paper", "figure")] == [("paper", "figure")] * 2
    assert before.tags == () and store[before].tags == ("paper", "figure")
    assert store._ipython_key_completions_() == ["last", "train", "paper", "figure"]
    assert [r.tags for r in store.untag([1, "last"], "paper")] == [("figure",)] * 2
    assert store.note(before, "the first")[0].note == "the first" == store[1].note
    with pytest.raises(TagError):
        store.tag(1, "12")


def test_a_frame_has_a_dtype_for_each_column(store: Store) -> None:
    """A frame has a row per run; numbers, strings and times have their dtypes even if a run lacks a value."""
    frame = store.frame()
    assert list(frame.index) == [1, 2] and frame.index.name == "run"
    assert frame["config.lr"].dtype == "float64" and frame["metrics.loss"].tolist() == [0.25, 0.25]
    assert frame["config.layers"].tolist() == [(32, 16)] * 2
    assert frame["config.optim.momentum"].tolist() == [0.9, 0.9]
    assert str(frame["started"].dtype) == "datetime64[us, UTC]"
    assert frame["started"][2] == pd.Timestamp(store[2].started)
    assert len(store.runs()[:0].frame()) == 0


ANYTHING = """
    import datetime
    from recorder import log, record

    @record
    def anything(**values):
        log(**{k: v for k, v in values.items() if k == "n"})

    utc = datetime.timezone.utc
    anything(n=1, x=1, flag=True, text="a", mixed=1, when=datetime.datetime(2026, 1, 2, tzinfo=utc), big=1)
    anything(n=2, x=0.5, flag=False, mixed="a", big=2**70)
    anything(flag=None, text=None, full=3)
"""


def test_the_dtypes_of_a_frame(project: Project) -> None:
    """Integers and booleans stay such if a run lacks a value; mixed columns are objects."""
    project.write("any.py", ANYTHING)
    project.python("any.py")
    frame = Store(project.root / ".recorder").frame()
    wanted = {
        "config.values.n": "Int64",
        "config.values.x": "float64",
        "config.values.flag": "boolean",
        "config.values.when": "datetime64[us, UTC]",
        "config.values.mixed": "object",
        "config.values.big": "object",
        "config.values.full": "Int64",
        "metrics.n": "Int64",
        "duration_s": "float64",
        "seed": "int64",
    }
    assert {name: str(frame[name].dtype) for name in wanted} == wanted
    assert frame["config.values.big"].tolist()[:2] == [1, 2**70]
    assert frame["config.values.n"].sum() == 3 and frame["metrics.n"].isna().tolist() == [
        False,
        False,
        True,
    ]
    assert (
        frame["config.values.text"].tolist()[0] == "a"
        and frame["config.values.text"].isna().sum() == 2
    )


SLOW = """
    import pathlib, time
    from recorder import log, record

    @record
    def slow():
        log(step=3, loss=0.5)
        print("begun", flush=True)
        while not pathlib.Path("go").exists():
            time.sleep(0.02)

    slow()
"""


def test_a_run_in_progress(project: Project) -> None:
    """The console and metrics of a run in progress can be read; its record changes only when it is read again."""
    project.write("slow.py", SLOW)
    with subprocess.Popen(
        [sys.executable, "slow.py"], cwd=project.root, env=project.env, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        store = Store(project.root / ".recorder")
        record = store.last()
        assert record.status == "running" and record.finished is None
        wait_until(lambda: record.stdout == "begun\n")
        wait_until(lambda: "loss" in store[record]._points)
        assert store[record].series("loss").steps == [3]
        with pytest.raises(ContentNotFoundError, match="it is running"):
            record.result()
        (project.root / "go").touch()
        assert process.wait(60) == 0
    assert record.status == "running" and store[record].status == "finished"


def test_what_has_changed_since(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A diff with a folder, by default the working directory, lists changes since the run."""
    for name in ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"):
        monkeypatch.delenv(name, raising=False)
    assert store.diff(1).same and store.diff(1, ".").same
    monkeypatch.setenv("KMP_INIT_AT_FORK", "FALSE")  # as scikit-learn does when it is imported
    assert store.diff(1).same
    monkeypatch.setenv("KMP_INIT_AT_FORK", "TRUE")
    assert [entry.key for entry in store.diff(1).sections["environment"]] == [
        "variables.KMP_INIT_AT_FORK"
    ]
    Path("train.py").write_text(Path("train.py").read_text() + "# more\n")
    keys = [entry.key for entry in store.diff(1, Path()).sections["code"]]
    assert "file train.py" in keys and "source" not in keys
    assert "only other files changed" in repr(store.diff(1))


def test_a_diff_reads_as_the_command_does(store: Store) -> None:
    """A diff prints the output of `recorder diff`, also after `only`."""
    found = store.diff(1, "last", maximize=["loss"])
    assert "~ lr  0.05   0.1    x 2" in repr(found)
    assert repr(found.only("inputs")) == "run 1 and run 2: no difference in inputs"
    assert "<td" in found.only("config")._repr_html_()


def test_replays(store: Store) -> None:
    """A replay has a verdict for each item; with a changed config it has a run and no verdict."""
    done = store.replay("train")
    assert (done.verdict, done.original.number, done.run.number) == ("reproduced", 2, 3)
    assert {item.name: item.verdict for item in done.items}["weights.npy"] == "identical"
    assert "reproduced" in repr(done) and "<b>reproduced</b>" in done._repr_html_()
    assert store.find(done.run.replay_of or "") == done.original
    assert done.run.fingerprint == done.original.fingerprint and done.is_deterministic is None
    other = store.replay(2, settings={"lr": np.float32(0.5), "layers": [8]}, env=sys.executable)
    assert other.verdict is None and other.run.config["lr"] == 0.5 and other.items == ()
    assert "recorder diff 2 4" in repr(other) and "recorder diff 2 4" in other._repr_html_()
    with pytest.raises(ValueError, match="without repeat and settings"):
        store.replay(1, explain=True, repeat=2)


VARIES = """
    import os
    from recorder import record

    @record
    def varies():
        return os.urandom(4).hex()

    @record
    def agrees():
        return 1

    varies()
    agrees()
"""


def test_repeated_and_explained_replays(project: Project) -> None:
    """Repeated replays tell whether a run is deterministic; the verdict is the worst; a divergence is explained."""
    project.write("varies.py", VARIES)
    project.python("varies.py")
    store = Store(project.root / ".recorder")
    assert store.replay(2, repeat=2).is_deterministic is True
    done = store.replay(1, repeat=2)
    assert (done.verdict, done.is_deterministic, len(done.runs)) == ("diverged", False, 2)
    assert "not deterministic" in repr(done) and "not deterministic" in done._repr_html_()
    explained = store.replay(1, explain=True)
    assert explained.explanation is not None and explained.explanation.unexplained == ("result",)


BAD = "<script>alert(1)</script>&\"'"


def test_tables_in_a_notebook(store: Store) -> None:
    """In a notebook a store, runs, a run, a diff and a series are HTML in which every string is escaped."""
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    Path("bad.py").write_text(
        f"from recorder import *\n@record(name={BAD!r})\ndef f(a): log({{a: 1}}); log({{a: 2}}); save(1, name=a)\nf({BAD!r})\n"
    )
    assert subprocess.run([sys.executable, "bad.py"], check=False).returncode == 0
    store.tag(3, BAD.replace(",", ""))
    cells = [
        "from recorder import Store; store = Store()",
        "store",
        "store.runs()",
        "store[3]",
        "store.diff(2, 3)",
        f"store[3].series({BAD!r})",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    done = NotebookClient(notebook, timeout=120).execute()
    shown = [cell.outputs[0].data for cell in done.cells[1:]]
    for data in shown:
        page = Page()
        page.feed(data["text/html"])
        page.close()
        assert page.open == [] and "script" not in page.tags and "alert(1)" in page.text
        assert "text/plain" in data
    assert (
        "table" in Page.of(shown[0]["text/html"]).tags
        and "svg" in Page.of(shown[4]["text/html"]).tags
    )


class Page(HTMLParser):
    """The elements of a piece of HTML, those that are not closed, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1
    )
)
def test_a_table_shows_any_text(texts: list[str]) -> None:
    """A table shows any string in a cell unchanged."""
    page = Page.of(html.table(["name"] * len(texts), [texts]))
    assert page.text == "name" * len(texts) + "".join(texts) and page.open == []


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=2000))
def test_a_line_through_any_points(points: list[tuple[float, float]]) -> None:
    """A drawing has only finite coordinates, and no more points than can be distinguished."""
    drawn = html.line_chart(points)
    assert "nan" not in drawn and "inf" not in drawn and drawn.count(",") <= 640


def test_what_is_not_there_is_said(store: Store) -> None:
    """An unknown output, input or metric is an error that suggests similar names."""
    record = store[1]
    for get, name in (
        (record.output, "weights.npz"),
        (record.series, "los"),
        (record.input, "data.csv"),
    ):
        with pytest.raises(ContentNotFoundError, match="there is"):
            get(name)
