"""Tests of ``key=value`` settings, converted to the types of the experiment's signature."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest

from recorder.config.settings import apply_settings, split_settings
from recorder.errors import ConfigError


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Optim:
    lr: float = 0.1
    name: str = "sgd"


class Model(pydantic.BaseModel):
    width: int = 8
    optim: dict[str, float] = {}


@dataclass
class Nested:
    optim: Optim = field(default_factory=Optim)


def annotated(
    a: int,
    b: float = 0.1,
    c: bool = False,
    d: str = "x",
    e: int | None = None,
    f: list[int] = [],  # noqa: B006
    g: Path = Path(),
    h: Colour = Colour.RED,
    i: Literal["x", "y"] = "x",
    j: dict[str, float] = {},  # noqa: B006
    k: tuple[int, ...] = (),
    m: Any = None,
) -> None: ...


def plain(a, b=0.1, c=False, d="x", e=5, f=(1, 2), g=None, **more): ...


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=3", 3), ("b=1", 1.0), ("b=1e-3", 0.001), ("b=nan", "nan"), ("c=true", True), ("c=False", False),
        ("c=1", True),
        ("d=3", "3"), ("d=", ""), ("d=a=b", "a=b"), ("e=4", 4), ("e=null", None), ("e=None", None), ("f=[1,2]", [1, 2]),
        ("g=a/b", Path("a/b")), ("h=BLUE", Colour.BLUE), ("h=b", Colour.BLUE), ("i=y", "y"), ('j={"x": 1}', {"x": 1.0}),
        ("k=[1,2]", (1, 2)), ("m=[1]", [1]), ("m=text", "text"), ("m=0.5", 0.5),
    ],
)  # fmt: skip
def test_values_are_typed_by_annotations(text: str, value: object) -> None:
    """A value has the type of the annotation of its parameter."""
    key = text.partition("=")[0]
    found = apply_settings(annotated, split_settings([text]), values={})[key]
    if value == "nan":
        assert found != found
    else:
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=3", 3), ("a=x", "x"), ("b=1", 1.0), ("c=true", True), ("d=3", "3"), ("e=2", 2), ("e=2.5", 2.5),
        ("f=[3]", (3,)), ("g=[1]", [1]),
    ],
)  # fmt: skip
def test_without_annotations_the_default_decides(text: str, value: object) -> None:
    """Without an annotation, a value has the type of the default."""
    key = text.partition("=")[0]
    if value is None:
        with pytest.raises(ConfigError):
            apply_settings(plain, split_settings([text]), values={})
        return
    found = apply_settings(plain, split_settings([text]), values={})[key]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    ["a=x", "a=1.5", "a=true", "b=fast", "c=2", "e=x", "f=[1.5]", "h=GREEN", "i=z", "j=[1]", "f=3"],
)
def test_a_wrong_type_shows_the_signature(text: str) -> None:
    """A value of the wrong type raises a one-line error with the key, the value and the signature."""
    with pytest.raises(ConfigError) as caught:
        apply_settings(annotated, split_settings([text]), values={})
    said = str(caught.value)
    assert "\n" not in said
    assert text.partition("=")[0] in said
    assert "annotated(a: " in said


def test_an_unknown_key_shows_the_signature_and_the_nearest() -> None:
    """An unknown key raises an error with the nearest parameter and the signature."""

    def train(lr: float = 0.1, epochs: int = 5) -> None: ...

    with pytest.raises(
        ConfigError, match=r"has no parameter 'epoch' \(did you mean 'epochs'\?\): train\(lr: "
    ):
        apply_settings(train, {"epoch": "3"}, values={})


def test_keyword_arguments_take_any_key() -> None:
    """A function with **kwargs accepts any key."""
    assert apply_settings(plain, {"x": "1"}, values={"more": {"y": 2}}) == {
        "more": {"y": 2, "x": 1}
    }


def test_dotted_keys_set_one_entry_and_leave_the_rest() -> None:
    """A dotted key sets one entry of a dict, dataclass or model without changing the original value."""

    def f(d: dict[str, Any], o: Optim, m: Model, n: Nested) -> None: ...

    old = {"d": {"a": {"b": 1, "c": 2}}, "o": Optim(), "m": Model(optim={"lr": 0.5}), "n": Nested()}
    new = apply_settings(
        f,
        {"d.a.b": "5", "o.lr": "1", "m.width": "9", "m.optim.lr": "2", "n.optim.name": "adam"},
        values=old,
    )
    assert new["d"] == {"a": {"b": 5, "c": 2}}
    assert new["o"] == Optim(lr=1.0)
    assert (new["m"].width, new["m"].optim) == (9, {"lr": 2.0})
    assert new["n"].optim.name == "adam"
    assert old == {
        "d": {"a": {"b": 1, "c": 2}},
        "o": Optim(),
        "m": Model(optim={"lr": 0.5}),
        "n": Nested(),
    }


def test_dotted_keys_are_typed_and_checked() -> None:
    """An unknown field and a value of the wrong type raise an error."""

    def f(o: Optim = Optim()) -> None: ...

    for settings in ({"o.rate": "1"}, {"o.lr": "fast"}):
        with pytest.raises(ConfigError):
            apply_settings(f, settings, values={})


def test_a_setting_needs_an_equals_sign() -> None:
    """A string without an equals sign is refused."""
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        split_settings(["lr"])


def test_a_wrong_name_has_the_nearest_one() -> None:
    """An unknown field, choice or member raises an error with the nearest name."""
    for settings, guess in (
        ({"m.widht": "1"}, r"Model has no field 'widht' \(did you mean 'width'\?\)"),
        ({"o.lrr": "1"}, r"Optim has no field 'lrr' \(did you mean 'lr'\?\)"),
        ({"kind": "adm"}, r"'adm' is not one of adam, sgd \(did you mean 'adam'\?\)"),
        ({"h": "REED"}, r"'REED' is not one of RED, BLUE \(did you mean 'RED'\?\)"),
    ):

        def f(
            m: Model = Model(),  # noqa: B008
            o: Optim = Optim(),
            kind: Literal["adam", "sgd"] = "sgd",
            h: Colour = Colour.RED,
        ) -> None: ...

        with pytest.raises(ConfigError, match=guess):
            apply_settings(f, settings, values={})
