"""`start_run`: the options of `record`, and the run of a block that is not recorded."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import pytest

from recorder import ActiveRun, current_run, record, start_run
from recorder.recording.unrecorded_run import UnrecordedRun
from recorder.store.store import RunStore


def public_names(kind: type) -> set[str]:
    """Return the public names of a class."""
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_options_are_those_of_record(tmp_path: Path) -> None:
    """Each option of `record` that makes sense for a block is an option of `start_run`, with the same default."""
    theirs, ours = (inspect.signature(function).parameters for function in (record, start_run))
    left_out = {"function", "name", "seed", "reuse"}
    assert set(theirs) - left_out <= set(ours)
    for name in set(theirs) - left_out:
        assert ours[name].default == theirs[name].default, name
    store = tmp_path / "store"
    large = tmp_path / "large.bin"
    large.write_bytes(b"x" * 100)
    with (
        warnings.catch_warnings(),
        start_run(
            "block",
            config={"dsn": "abc", "token_count": 3},
            tags="one",
            store=store,
            tolerance=1e-3,
            secrets="dsn",
            public="token_count",
            keep_bytes=10,
        ),
    ):
        large.read_bytes()
    (run,) = RunStore(store).runs()
    assert run.tags == ("one",) and run.tolerance["*"].rtol == 1e-3
    assert "$redacted" in run.config["dsn"] and run.config["token_count"] == 3
    (found,) = [item for item in run.inputs if item.path.endswith("large.bin")]
    assert not found.stored
    with pytest.raises(ValueError, match="usage"):
        start_run("block", store=store, usage=-1)
    with pytest.raises(ValueError, match="rtol"):
        start_run("block", store=store, tolerance=-1)


def test_a_run_that_is_not_recorded_has_the_same_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a secondary rank the block gets an ActiveRun that answers everything and keeps nothing."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with start_run("block", config={"lr": 0.1, "seed": 3}, store=tmp_path / "store") as run:
        assert type(run) is UnrecordedRun and isinstance(run, ActiveRun)
        assert (run.id, run.number, run.seed, run.config["lr"]) == ("", 0, 3, 0.1)
        assert isinstance(run.store, RunStore) and len(run.store) == 0
        folder = run.dir
        assert folder.is_dir() and run.dir == folder
        (folder / "x.txt").write_text("x")
        run.log({"a": 1}, step=2, b=3)
        run.save(folder / "x.txt")
        run.save({"a": 1}, name="value")
        run.save_figure(None, "loss")
        run.track_input("does not exist")
        run.warn("nothing happens")
        run.config["later"] = 1
        run.note, run.result = "a note", 5
        assert run.traceback == "" and run.is_ours
    assert not folder.exists()
    assert len(RunStore(tmp_path / "store")) == 0 and current_run() is None


def test_every_public_name_of_a_run_is_there_when_it_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each public method of ActiveRun has the same signature in an unrecorded run, and each attribute a value."""
    assert public_names(ActiveRun) == public_names(UnrecordedRun)
    for name in public_names(ActiveRun):
        ours, theirs = getattr(ActiveRun, name), getattr(UnrecordedRun, name)
        if inspect.isfunction(ours):
            assert inspect.signature(ours) == inspect.signature(theirs), name
    with start_run("block", store=tmp_path / "store") as recorded:
        attributes = {name for name in vars(recorded) if not name.startswith("_")}
        properties = public_names(ActiveRun) - {
            name for name in public_names(ActiveRun) if inspect.isfunction(getattr(ActiveRun, name))
        }
        methods_used = [recorded.place_of(__file__)]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with start_run("block", store=tmp_path / "store") as run:
        for name in attributes | properties:
            getattr(run, name)
        assert [run.place_of(__file__)] == methods_used
        run.leave()
        run.enter()


def test_a_block_begins_once(tmp_path: Path) -> None:
    """The same block cannot be entered twice, and the error says what to do."""
    block = start_run("block", store=tmp_path / "store")
    with block:
        pass
    with pytest.raises(RuntimeError, match="call start_run"):
        block.__enter__()
