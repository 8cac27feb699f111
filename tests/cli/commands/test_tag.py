"""Tags and notes, from the command line and from Python."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from project import Project

from recorder.errors import RunNotFoundError, TagError
from recorder.store.signature import standing
from recorder.store.store import RunStore


@pytest.fixture
def runs(project: Project) -> Project:
    """Return a project with three runs."""
    project.write(
        "f.py",
        "from recorder import record\n\n@record\ndef f(x): pass\n\nfor i in range(3): f(i)\n",
    )
    project.python("f.py")
    return project


def test_tagging_and_untagging(runs: Project) -> None:
    """Several runs get a tag, are found by it, and lose it; nothing else changes, and their signatures stay valid."""
    assert runs.recorder("tag", "1", "last", "paper").stdout == "tagged paper: runs 1, 3\n"
    runs.recorder("tag", "1", "best")
    assert runs.show(1)["tags"] == ["paper", "best"]
    assert runs.show("best")["number"] == 1
    assert runs.recorder("untag", "1", "2", "3", "paper").stdout == "removed tag paper: runs 1, 3\n"
    assert runs.show(3)["tags"] == []
    assert "no tag 'paper'" in runs.recorder("untag", "3", "paper", status=3).stderr
    assert standing(RunStore(runs.root).get(1)) == "own"


@pytest.mark.parametrize("tag", ["12", "last", "last~2", "a,b", "a:b", " a", "", "a\x1b[31m"])
def test_a_tag_can_name_a_run(runs: Project, tag: str) -> None:
    """A tag that is a number or `last`, or that a command line would split, is refused, and nothing is written."""
    store = RunStore(runs.root)
    with pytest.raises(TagError):
        store.retag([1], add=[tag])
    assert store.get(1).tags == ()


def test_all_or_none(runs: Project) -> None:
    """If one of the runs does not exist, none is tagged."""
    assert "no run '9'" in runs.recorder("tag", "1", "9", "x", status=3).stderr
    store = RunStore(runs.root)
    with pytest.raises(RunNotFoundError, match="no run 9"):
        store.retag([1, 9], add=["x"])
    assert store.get(1).tags == ()


def _tag(root: Path, number: int) -> None:
    store = RunStore(root)
    for i in range(5):
        store.retag([1], add=[f"t{number}{i}"])


def test_tags_set_at_once_are_all_there(runs: Project) -> None:
    """Processes that tag the same run at the same time do not undo each other's tags."""
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(_tag, [runs.root] * 3, range(3)))
    assert len(RunStore(runs.root).get(1).tags) == 15


def test_notes(runs: Project) -> None:
    """A note is set, replaced and removed; a note without quotes gets a hint."""
    runs.recorder("note", "1", "2", "the one in figure 3")
    assert [run.note for run in RunStore(runs.root).runs()] == ["the one in figure 3"] * 2 + [""]
    runs.recorder("note", "1", "")
    assert runs.show(1)["note"] == ""
    assert "quotes" in runs.recorder("note", "1", "no", "quotes", status=3).stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["tag", "2"], "TAG is missing: recorder tag 2 TAG"),
        (["tag", "1-2"], "TAG is missing: recorder tag 1-2 TAG"),
        (["untag", "f"], "TAG is missing: recorder untag f TAG"),
        (["tag", "paper"], "RUN is missing: recorder tag RUN... paper"),
        (["note", "3"], "TEXT is missing: recorder note 3 TEXT"),
        (["note"], "RUN and TEXT are missing"),
    ],
)
def test_a_word_is_missing(runs: Project, args: list[str], message: str) -> None:
    """A command without a run, a tag or a note names the word that is missing, and writes nothing."""
    assert message in runs.recorder(*args, status=2).stderr
    assert all(run.tags == () and run.note == "" for run in RunStore(runs.root).runs())
