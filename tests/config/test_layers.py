"""Tests of presets, files and the command line as layers, and of the reported sources."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project

from recorder import record
from recorder.config.files import read_config
from recorder.config.layers import DEFAULT, source_of
from recorder.config.presets import call_presets
from recorder.config.settings import Assignment, Settings
from recorder.errors import ConfigError
from recorder.recording.experiment import experiment_of


@dataclass(frozen=True)
class Optim:
    lr: float = 0.1
    name: str = "sgd"


class Model(pydantic.BaseModel):
    width: int = 8


def train(
    lr: float = 0.1,
    name: str = "x",
    optim: Optim = Optim(lr=5.0),
    spec: Optim | None = None,
    model: Model = Model(),  # noqa: B008
    table: dict[str, Any] = {"a": {"b": 1, "c": 2}},  # noqa: B006
    start: date | None = None,
    free=None,
    count=3,
) -> None: ...


def data(key: str, value: Any, source: str = "base.json") -> Assignment:
    return Assignment(key, value, "data", source)


def apply(*assignments: Assignment) -> dict[str, Any]:
    return Settings(train).apply(assignments, values={})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", 'lr = 1\nfree = [1, "a"]\n[optim]\nname = "adam"\n'),
        ("c.json", '{"lr": 1, "free": [1, "a"], "optim": {"name": "adam"}}'),
        ("c.yaml", "lr: 1\nfree: [1, a]\noptim: {name: adam}\n"),
    ],
)
def test_files_of_each_kind_are_read(tmp_path: Path, name: str, text: str) -> None:
    """TOML, JSON and YAML files give the same typed values; a table sets only the entries that it contains."""
    (tmp_path / name).write_text(text)
    found = apply(*read_config(tmp_path / name))
    assert found == {"lr": 1.0, "free": [1, "a"], "optim": Optim(lr=5.0, name="adam")}
    assert type(found["lr"]) is float


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        (data("lr", "1e-3"), {"lr": 0.001}),  # as YAML has it
        (data("count", "2"), {"count": 2}),
        (data("spec", {"lr": 2}), {"spec": Optim(lr=2.0)}),
        (data("spec.lr", 2), {"spec": Optim(lr=2.0)}),
        (Assignment("spec.lr", "2"), {"spec": Optim(lr=2.0)}),
        (data("model", {"width": "9"}), {"model": Model(width=9)}),
        (data("table", {"a": {"b": 5}}), {"table": {"a": {"b": 5, "c": 2}}}),
        (Assignment("table", '{"z": 1}'), {"table": {"z": 1}}),
        (data("free", {"a": 1}), {"free": {"a": 1}}),
        (data("start", date(2026, 1, 2)), {"start": date(2026, 1, 2)}),
        (Assignment("lr", "as it is", "value"), {"lr": "as it is"}),
    ],
)
def test_data_is_converted_to_the_types_of_the_parameters(
    assignment: Assignment, value: dict[str, Any]
) -> None:
    """Data of a file is converted like strings, entries are set in place, and values of presets are unchanged."""
    found = apply(assignment)
    assert found == value
    assert [type(one) for one in found.values()] == [type(one) for one in value.values()]


@pytest.mark.parametrize(
    "assignment",
    [
        data("lr", "fast"),
        data("name", 3),
        data("lr", True),
        data("optim", {"rate": 1}),
        data("lrr", 1),
    ],
)
def test_wrong_data_names_the_file(assignment: Assignment) -> None:
    """A value of the wrong type and an unknown key raise an error with the file and the signature."""
    with pytest.raises(ConfigError, match=r"^base\.json: .*train\(lr: "):
        apply(assignment)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.json", "{", "Expecting"),
        ("c.toml", "a = ", "nvalid"),
        ("c.yaml", "a: [", "while parsing"),
        ("c.json", "[1]", "expected a table"),
        ("c.ini", "", ".toml, .json or .yaml"),
        (None, "", "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str | None, text: str, said: str
) -> None:
    """A file that is broken, missing or of another kind raises a one-line error with its name."""
    if name is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / (name or "none.json"))
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(("suffix", "package"), [("yaml", "yaml"), ("toml", "tomllib")])
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    """If the package that reads a file is missing, the error states how to install it."""
    for name in (package, "tomli"):
        monkeypatch.setitem(sys.modules, name, None)
    file = tmp_path / f"c.{suffix}"
    file.write_text("")
    with pytest.raises(ConfigError, match=r"pip install 'run-recorder\[config\]'"):
        read_config(file)


@given(
    st.dictionaries(
        st.sampled_from(["lr", "count", "name"]), st.floats(0, 9) | st.integers(0, 9), max_size=3
    )
)
def test_files_and_the_command_line_give_equal_values(values: dict[str, Any]) -> None:
    """A number from JSON equals the number from a string, and a number for a str parameter is refused."""
    for key, value in values.items():
        if key == "name":
            with pytest.raises(ConfigError):
                apply(data(key, value))
        else:
            (one,) = apply(data(key, value)).values()
            (other,) = apply(Assignment(key, json.dumps(value))).values()
            assert (one, type(one)) == (other, type(other))


KEYS = st.text("abc", min_size=1, max_size=2)
TABLES = st.dictionaries(
    KEYS,
    st.recursive(st.integers(), lambda inner: st.dictionaries(KEYS, inner, max_size=3)),
    max_size=3,
)


def merged(there: Any, new: Any) -> Any:
    """Merge two tables with an independent implementation; raise ValueError for a table in place of a number."""
    if isinstance(there, int) and isinstance(new, dict):
        raise ValueError
    if not (isinstance(new, dict) and new and isinstance(there, dict) and there):
        return new
    return {**there, **{key: merged(there.get(key), value) for key, value in new.items()}}


@given(TABLES, TABLES, TABLES)
def test_tables_are_merged_entry_by_entry(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    """Each file sets only the entries that it contains, at any depth."""

    def f(table: dict = first) -> None: ...  # type: ignore[type-arg]

    def apply_both() -> dict[str, Any]:
        return Settings(f).apply([data("table", second), data("table", third)], values={})

    before = json.dumps(first)
    try:
        expected = merged(merged(first, second), third)
    except ValueError:
        with pytest.raises(ConfigError, match="is not of type int"):
            apply_both()
    else:
        assert apply_both() == {"table": expected}
    assert json.dumps(first) == before


def test_the_source_of_a_key_is_the_last_layer() -> None:
    """The source of a value is the last layer that set it, a part of it, or a value around it."""
    layers = [
        Assignment("optim.lr", 1.0, "value", "preset small"),
        data("optim", {"name": "adam"}),
        Assignment("lr", "2"),
    ]
    assert [source_of(key, layers) for key in ("optim.lr", "optim.name", "lr", "name")] == [
        "preset small", "base.json", "command line", DEFAULT,
    ]  # fmt: skip


def test_presets_return_values_by_key() -> None:
    """A preset is called by the name of its function; a wrong name or return type raises an error."""

    @record
    def fit(lr: float = 0.1, depth: int = 1) -> None: ...

    @fit.preset  # type: ignore[attr-defined]
    def small() -> dict[str, Any]:
        return {"depth": 2}

    @fit.preset  # type: ignore[attr-defined]
    def broken() -> int:
        return 3

    experiment = experiment_of(fit)
    assert experiment is not None
    assert list(experiment.presets) == ["small", "broken"] and small() == {"depth": 2}

    def call(*names: str) -> list[Assignment]:
        return list(call_presets(experiment.presets, names, experiment="fit"))

    assert call("small") == [Assignment("depth", 2, "value", "preset small")]
    with pytest.raises(ConfigError, match=r"no preset 'smal' \(did you mean 'small'\?\)"):
        call("smal")
    with pytest.raises(ConfigError, match="broken of fit returned int, not a dict"):
        call("broken")
    with pytest.raises(ConfigError, match=r"to add one.*@fit\.preset"):
        list(call_presets({}, ["small"], experiment="fit"))


TRAIN = """
    from recorder import log, record


    @record
    def train(lr: float = 0.1, layers: list[int] = [1], optim: dict = {"name": "sgd", "beta": 0.9}, password: str = ""):
        log(loss=lr)
        return [lr, layers, optim]


    @train.preset
    def small():
        return {"layers": (8, 8), "optim.beta": 0.5}


    @train.preset
    def broken():
        return {"lr": 1 / 0}
"""


def test_all_layers_on_the_command_line(project: Project) -> None:
    """--print-config shows values and sources without running; the run has these values; secrets stay hidden."""
    project.write("t.py", TRAIN)
    project.write("one.json", '{"lr": 0.5, "optim": {"name": "adam"}}')
    project.write("two.toml", "lr = 0.25\n")
    chosen = ["t.py:train", "--preset", "small", "--config", "one.json", "--config", "two.toml"]
    chosen += ["optim.nesterov=true", "password=hunter22"]
    said = project.recorder("run", *chosen, "--print-config").stdout
    lines = [" ".join(line.split()) for line in said.splitlines()[2:-1]]
    assert lines.pop(5).startswith("password <redacted")
    assert lines == [
        "lr 0.25 two.toml",
        "layers (8, 8) preset small",
        "optim.name 'adam' one.json",
        "optim.beta 0.5 preset small",
        "optim.nesterov True command line",
        "seed drawn at random default",
    ]
    assert not (project.root / ".recorder").exists()
    project.recorder(
        "run", *chosen, "--seed", "7", "--tag", "a", "--tag", "b", "--note", "a remark"
    )
    found = project.show(1)
    assert found["result"][0] == 0.25
    assert found["config"]["optim"] == {"name": "adam", "beta": 0.5, "nesterov": True}
    assert (found["seed_info"]["value"], found["tags"], found["note"]) == (
        7,
        ["a", "b"],
        "a remark",
    )
    assert "hunter22" not in (project.root / ".recorder" / "runs.jsonl").read_text()
