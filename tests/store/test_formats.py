"""Tests that stores of every format so far open, and that their runs replay.

``formats/format-1.zip`` was written by version 0.1.0: three runs of the experiment in it, one of them a failure
and one a replay. It is never regenerated: a change that cannot read it needs a new format and a migration.
"""

from __future__ import annotations

import json
import shutil

import pytest
from project import ROOT, Project

from recorder import codec
from recorder.records import FORMAT
from recorder.store.store import RunStore

FORMATS = sorted((ROOT / "tests" / "formats").glob("format-*.zip"))


@pytest.fixture(params=FORMATS, ids=lambda path: path.stem)
def frozen(request: pytest.FixtureRequest, project: Project) -> Project:
    """Return a project that contains only a frozen store."""
    shutil.unpack_archive(request.param, project.root / ".recorder")
    return project


def test_every_format_is_frozen() -> None:
    """There is a frozen store of each format up to the current one."""
    assert [path.stem for path in FORMATS] == [f"format-{n}" for n in range(1, FORMAT + 1)]


def test_a_frozen_store_is_read(frozen: Project) -> None:
    """The records, values, series and objects of a frozen store are unchanged."""
    store = RunStore(frozen.root)
    first, failed, replay = store.runs()
    assert [run.status for run in store.runs()] == ["finished", "failed", "finished"]
    assert first.config == {"steps": 5, "shape": {"$tuple": [1, 2]}, "note": "é", "fail": False}
    assert (first.tags, first.metrics["position"].count, first.inputs[0].path) == (
        ("frozen",),
        5,
        "data.txt",
    )
    result = codec.decode(first.result, store.read)
    assert (
        result["big"] == list(range(2000)) and result["position"] == first.metrics["position"].last
    )
    assert failed.failure is not None and failed.failure.message == "as asked"
    assert replay.verdict is not None and replay.replay_of == first.id
    assert all(store.objects.verify(digest) for digest in store.objects)
    assert not store.journal.damage()


def test_a_frozen_run_replays(frozen: Project) -> None:
    """The runs of a frozen store replay with the same verdicts, from their snapshot and the inputs in the store."""
    # The records are unsigned: signatures came later.
    assert "--trust" in frozen.recorder("replay", "1", status=3).stderr
    frozen.recorder("replay", "1", "--trust")
    for run in ("1", "2"):
        found = json.loads(frozen.recorder("replay", run, "--json").stdout)
        assert found["verdict"] == "reproduced"
    assert "recorder" not in frozen.recorder("diff", "1", "3", "--only", "result").stderr
    frozen.recorder("show", "1")
    frozen.recorder("list")
