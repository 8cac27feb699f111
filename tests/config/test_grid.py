"""Tests of several values for a key: which strings are one value, and which are several."""

from __future__ import annotations

import enum
import json
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.config.grid import Axis, cross, find_axes, split_alternatives
from recorder.config.settings import Settings
from recorder.errors import ConfigError


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def typed(
    i: int = 0,
    f: float = 0.1,
    s: str = "",
    b: bool = False,
    ls: list[int] = [],  # noqa: B006
    many: list[str] | None = None,
    either: int | str = 0,
    c: Colour = Colour.RED,
    m: Literal["adam", "sgd"] = "sgd",
    d: dict[str, Any] = {"x": 1.5, "name": "n"},  # noqa: B006
) -> None: ...


def untyped(a, x=None, n=3, **more): ...


def texts_of(function: Any, *texts: str) -> list[tuple[str, ...]]:
    return [axis.texts for axis in find_axes(Settings(function), texts, values={})]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("f=0.1,0.01", ["0.1", "0.01"]),
        ("f= 1 , 2 ", ["1", "2"]),
        ("i=3", ["3"]),
        ("i=0:4", ["0", "1", "2", "3"]),
        ("i=10:0:-4", ["10", "6", "2"]),
        ("i=0:3,10", ["0", "1", "2", "10"]),
        ("f=0.1:0.5:0.1", ["0.1", "0.2", "0.3", "0.4"]),
        ("b=true,false", ["true", "false"]),
        ("c=RED,BLUE", ["RED", "BLUE"]),
        ("m=adam,sgd", ["adam", "sgd"]),
        ("s=adam,sgd", ["adam,sgd"]),
        ("s=12:30", ["12:30"]),
        ("either=1,2", ["1,2"]),
        ("ls=[1,2]", ["[1,2]"]),
        ("ls=[1,2],[3]", ["[1,2]", "[3]"]),
        ('many=["a,b"],["]"]', ['["a,b"]', '["]"]']),
        ("d.x=1,2", ["1", "2"]),
        ("d.name=a,b", ["a,b"]),
        ('d={"x":1},{"x":2}', ['{"x":1}', '{"x":2}']),
    ],
)
def test_a_string_that_the_type_accepts_is_one_value(text: str, values: list[str]) -> None:
    """A string that the type accepts is one value; any other string is several if each part is one."""
    assert texts_of(typed, text) == [tuple(values)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1,2", ["1", "2"]), ("a=0:2", ["0", "1"]), ("a=a,b", ["a,b"]), ("a=1,b", ["1,b"]), ("x=[1],2", ["[1]", "2"]),
        ("x=[1,2]", ["[1,2]"]), ("n=1,2", ["1", "2"]), ("other=1,2", ["1", "2"]), ("x=hello, world", ["hello, world"]),
    ],
)  # fmt: skip
def test_without_a_type_only_json_is_split(text: str, values: list[str]) -> None:
    """Without annotation and default, comma-separated JSON is several values and any other string is one."""
    assert texts_of(untyped, text) == [tuple(values)]


@pytest.mark.parametrize(
    "text",
    [
        "i=1,x",
        "i=1,,2",
        "i=1,",
        "f=a,b",
        "ls=a,b",
        "i=3:3",
        "i=0:5:0",
        "i=0:10000000",
        "i=0:0.5:0.1",
        "f=0.1:0.5",
        "f=0:1",
        "f=0:1e999999",
        "i=0:1e999999",
        "i=0:1:1e-999999",
        f"i=0:{'9' * 20_000}",
        "i=0:1e99999999999999999999:1",
    ],
)
def test_strings_that_are_neither_one_value_nor_several_are_refused(text: str) -> None:
    """A part of the wrong type, an empty part, and an empty or endless range raise an error with the key."""
    with pytest.raises(ConfigError) as caught:
        texts_of(typed, text)
    assert caught.value.key == text.partition("=")[0]


def test_a_repeated_key_has_several_values() -> None:
    """A key given more than once has all the values, in the position of the first one."""
    assert texts_of(typed, "s=a,b", "i=1", "s=c") == [("a,b", "c"), ("1",)]


def test_a_string_with_commas_that_is_one_value_has_a_note() -> None:
    """A string that was perhaps meant as several values gets a note on how to write them; prose gets none."""
    one, two = find_axes(Settings(typed), ["s=adam,sgd", "d.name=hello, world"], values={})
    assert one.note == "s=adam,sgd is one string; for one run per value, write s=adam s=sgd"
    assert two.note == ""


def test_combinations_are_in_the_order_of_nested_loops() -> None:
    """The cells are the product of the axes in the order of nested loops."""
    cells = list(cross([Axis("a", ("1", "2")), Axis("b", ("x", "y"))]))
    assert [tuple(one.value for one in cell) for cell in cells] == [
        ("1", "x"), ("1", "y"), ("2", "x"), ("2", "y"),
    ]  # fmt: skip


def test_too_many_combinations_are_refused() -> None:
    """A product with too many combinations raises an error at once."""
    with pytest.raises(ConfigError, match="10,000,000,000 combinations"):
        list(cross([Axis(key, tuple(map(str, range(100_000)))) for key in "ab"]))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(PLAIN, min_size=1, max_size=5))
def test_joined_json_values_are_split_into_the_same_values(values: list[Any]) -> None:
    """Joining JSON values by commas and splitting the string gives the same values."""
    parts = split_alternatives(",".join(json.dumps(value) for value in values))
    assert [json.loads(part) for part in parts] == values


@given(st.text().filter(lambda text: "=" not in text))
def test_a_str_parameter_takes_any_string(text: str) -> None:
    """A str parameter gets every string unchanged as one value."""
    assert texts_of(typed, f"s={text}") == [(text,)]
    assert Settings(typed).apply([next(cross([Axis("s", (text,))]))[0]], values={}) == {"s": text}


@given(st.lists(st.lists(st.integers()), min_size=1, max_size=4))
def test_a_list_parameter_takes_lists(lists: list[list[int]]) -> None:
    """A JSON list is one value of a list parameter, and several lists are as many values."""
    (texts,) = texts_of(typed, "ls=" + ",".join(json.dumps(one) for one in lists))
    assert [json.loads(text) for text in texts] == lists


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_a_range_equals_the_range_of_python(first: int, end: int, step: int) -> None:
    """FIRST:END:STEP gives the numbers of range(), and is refused if there are none."""
    expected = list(range(first, end, step))
    if not expected:
        with pytest.raises(ConfigError):
            texts_of(typed, f"i={first}:{end}:{step}")
    else:
        assert [int(text) for text in texts_of(typed, f"i={first}:{end}:{step}")[0]] == expected


@given(st.decimals("-5", "5", places=2), st.integers(1, 30), st.decimals("0.01", "1", places=2))
def test_a_range_of_decimals_is_exact(first: Decimal, count: int, step: Decimal) -> None:
    """0.1:0.5:0.1 ends with exactly 0.4, without rounding errors."""
    (texts,) = texts_of(typed, f"f={first}:{first + step * count}:{step}")
    assert [Decimal(text) for text in texts] == [first + step * n for n in range(count)]
