"""Pickles of earlier versions, which name recorder's functions and classes by their former modules."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

import recorder
from recorder import codec, log, record, save_figure, track_input
from recorder.api.decorator import add_preset, run_main
from recorder.capture.code.function import Place
from recorder.codec import moved
from recorder.codec.pickle import decode, python_version
from recorder.recording.experiment import Experiment, experiment_of
from recorder.recording.options import Options


def dump_as_before(value: Any, monkeypatch: pytest.MonkeyPatch, *names: tuple[Any, str]) -> bytes:
    """Pickle a value with each object under the module that it was in before."""
    with monkeypatch.context() as patch:
        for thing, module in names:
            former = sys.modules.get(module) or ModuleType(module)
            patch.setitem(sys.modules, module, former)
            patch.setattr(former, thing.__name__, thing, raising=False)
            patch.setattr(thing, "__module__", module)
        return cloudpickle.dumps(value)  # type: ignore[no-any-return]


def load(data: bytes) -> Any:
    """Decode the payload of a pickled value, as a replay does."""
    return decode({"type": "x", "python": python_version()}, data)


def test_a_recorded_closure_of_an_earlier_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickled closure finds the classes behind its recorded function, and `log`, in their present modules."""
    factor = 3

    @record(tags=["t"], store=tmp_path / "store")
    def inner(x: int) -> int:
        log(x=x)
        return x * factor

    def outer(x: int) -> Any:
        return inner(x)

    outer.__module__ = inner.__module__ = "__main__"
    former = [
        (Experiment, "recorder.experiment"),
        (Options, "recorder.options"),
        (Place, "recorder.capture.function"),
        (log, "recorder.current"),
    ]
    data = dump_as_before(outer, monkeypatch, *former)
    for _, module in former:
        assert module.encode() in data
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(module)
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(data)
    loaded = load(data)
    assert loaded(2) == 6
    experiment = experiment_of(loaded.__closure__[0].cell_contents)
    assert experiment is not None and experiment.options.tags == ("t",)
    assert isinstance(experiment.place, Place)


def test_every_former_name_resolves() -> None:
    """Each entry of the tables leads to a module, and each renamed function or class to what it is now."""
    for module in moved._MODULES.values():
        importlib.import_module(module)
    for module, qualname in moved._NAMES.values():
        assert getattr(importlib.import_module(module), qualname) is not None
    found = {old: codec.decode({"$name": ":".join(old)}, lambda _: b"") for old in moved._NAMES}
    assert found["recorder", "Record"] is found["recorder.reading.record", "Record"] is recorder.Run
    assert found["recorder.current", "figure"] is save_figure
    assert found["recorder.current", "input"] is track_input
    assert found["recorder.experiment", "Experiment.main"] is run_main
    assert found["recorder.experiment", "Experiment.preset"] is add_preset


def test_present_names_stay() -> None:
    """A name that has not moved, recorder's or anybody's, is returned unchanged."""
    for name in (("recorder.errors", "RecorderError"), ("collections", "OrderedDict")):
        assert moved.present_name(*name) == name
