"""The attributes of a recorded function, and the page that documents `record`."""

from __future__ import annotations

import inspect
import pydoc
from pathlib import Path

import cloudpickle
import pytest
from project import Project

import recorder
from recorder import record
from recorder.recording.experiment import Experiment, experiment_of, intercept


def test_the_public_names() -> None:
    """`recorder.__all__` has these names, and each of them loads."""
    assert sorted(recorder.__all__) == sorted(
        [
            "record",
            "start_run",
            "log",
            "save",
            "save_figure",
            "track_input",
            "rng",
            "jax_key",
            "current_run",
            "Store",
            "Run",
            "ActiveRun",
            "RecorderError",
            "RecorderWarning",
        ]
    )
    for name in recorder.__all__:
        assert getattr(recorder, name).__name__ == name


def test_help_documents_every_option() -> None:
    """`help(recorder.record)` has each option with its type and default, the unit of a quantity, and an example."""
    page = pydoc.plain(pydoc.render_doc(record))
    parameters = [name for name in inspect.signature(record).parameters if name != "function"]
    for name in parameters:
        start = page.index(f"    {name} (")
        following = [page.index(f"    {other} (") for other in parameters]
        end = min([at for at in following if at > start], default=page.index("Returns:"))
        part = page[start:end]
        assert "Default" in part, name
        assert "Example" in part and f"{name}=" in part, name
    assert "in seconds" in page and "in bytes" in page and "100 MiB" in page
    assert str(inspect.signature(record).parameters["keep_bytes"].default) in page


def test_the_attributes_of_a_recorded_function(tmp_path: Path) -> None:
    """`experiment` is the name of its runs, `preset` registers a function, `__wrapped__` is the undecorated one."""

    @record(name="baseline", store=tmp_path)
    def train(lr: float = 0.1) -> float:
        return lr

    @train.preset
    def small() -> dict[str, float]:
        return {"lr": 0.5}

    assert train.experiment == "baseline" and train.__wrapped__(2.0) == 2.0
    experiment = experiment_of(train)
    assert isinstance(experiment, Experiment)
    assert experiment.presets == {"small": small} and small() == {"lr": 0.5}
    assert "command line" in (inspect.getdoc(train.main) or "")


def test_a_recorded_closure_is_pickled_for_a_worker(tmp_path: Path) -> None:
    """cloudpickle, and the pickler that joblib makes of it, take a recorded closure with its attributes along."""
    factor = 3

    @record(store=tmp_path)
    def scale(x: int) -> int:
        return factor * x

    scale.__module__ = "__main__"
    pickle = pytest.importorskip("joblib.externals.loky.backend.reduction")
    for data in (cloudpickle.dumps(scale), pickle.dumps(scale)):
        loaded = cloudpickle.loads(data)
        assert loaded(2) == 6 and loaded.experiment.endswith("scale")
        assert callable(loaded.preset) and callable(loaded.main)


def test_a_call_on_the_way_to_the_experiment(project: Project) -> None:
    """While a replay loads a script, the other experiments that it calls at its top level return their results."""
    project.write(
        "script.py",
        """
        import asyncio
        from recorder import record

        @record
        def first(x):
            return x + 1

        @record
        async def second(x):
            return x + 1

        @record
        def numbers(n):
            yield from range(n)

        @record
        def last(x):
            return x

        last(first(1) + asyncio.run(second(2)) + sum(numbers(4)))
        """,
    )
    project.python("script.py")
    done = project.recorder("replay", "last")
    assert project.show("last")["result"] == 11 and done.stdout.endswith("reproduced\n")


def test_main_does_nothing_while_a_script_is_loaded(tmp_path: Path) -> None:
    """While a replay loads the script, `main` ends the loading and does not parse the command line."""

    @record(store=tmp_path)
    def train(lr: float = 0.1) -> float:
        return lr

    intercept(lambda *_: None)
    try:
        with pytest.raises(SystemExit) as ended:
            train.main(["--no-such-option"])
    finally:
        intercept(None)
    assert ended.value.code == 0


def test_main_runs_the_command_line(project: Project) -> None:
    """`train.main()` records a run with the program's options, and `--help` lists the presets."""
    project.write(
        "train.py",
        """
        from recorder import record

        @record
        def train(lr: float = 0.1) -> float:
            return lr

        @train.preset
        def small():
            return {"lr": 0.5}

        train.main()
        """,
    )
    project.python("train.py", "--preset", "small")
    assert project.show(1)["config"] == {"lr": 0.5}
    assert "small" in project.python("train.py", "--help").stdout
