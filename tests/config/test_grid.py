"""Several values for a key: what is one value, what is several, and that nothing else is possible."""

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
def test_what_a_parameter_takes_is_one_value_else_its_parts_are(
    text: str, values: list[str]
) -> None:
    """A text that the type takes is one value; one that it does not take is several, where each part is one."""
    assert texts_of(typed, text) == [tuple(values)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1,2", ["1", "2"]), ("a=0:2", ["0", "1"]), ("a=a,b", ["a,b"]), ("a=1,b", ["1,b"]), ("x=[1],2", ["[1]", "2"]),
        ("x=[1,2]", ["[1,2]"]), ("n=1,2", ["1", "2"]), ("other=1,2", ["1", "2"]), ("x=hello, world", ["hello, world"]),
    ],
)  # fmt: skip
def test_without_a_type_numbers_are_several_and_texts_one(text: str, values: list[str]) -> None:
    """Where nothing says what is wanted, JSON between commas is several values, any other text one."""
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
    ],
)
def test_what_is_neither_one_nor_several_is_refused(text: str) -> None:
    """A part of the wrong type, an empty one, an empty or endless range: each is an error that names the key."""
    with pytest.raises(ConfigError) as caught:
        texts_of(typed, text)
    assert caught.value.key == text.partition("=")[0]


def test_a_key_that_is_given_again_has_several_values() -> None:
    """A key more than once takes each of its values, in the place where it came first."""
    assert texts_of(typed, "s=a,b", "i=1", "s=c") == [("a,b", "c"), ("1",)]


def test_a_text_with_commas_that_is_one_value_is_noted() -> None:
    """Who may have meant several is told how to say so; prose with commas is not met with a word."""
    one, two = find_axes(Settings(typed), ["s=adam,sgd", "d.name=hello, world"], values={})
    assert one.note == "s=adam,sgd is one text; for a run each, write s=adam s=sgd"
    assert two.note == ""


def test_every_combination_comes_once_the_last_key_fastest() -> None:
    """The cells are the product of the axes, in the order of nested loops."""
    cells = list(cross([Axis("a", ("1", "2")), Axis("b", ("x", "y"))]))
    assert [tuple(one.value for one in cell) for cell in cells] == [
        ("1", "x"), ("1", "y"), ("2", "x"), ("2", "y"),
    ]  # fmt: skip


def test_too_many_combinations_are_refused_before_they_are_made() -> None:
    """A product that nobody means is an error, at once."""
    with pytest.raises(ConfigError, match="10,000,000,000 combinations"):
        list(cross([Axis(key, tuple(map(str, range(100_000)))) for key in "ab"]))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(PLAIN, min_size=1, max_size=5))
def test_json_values_between_commas_come_apart_as_they_were(values: list[Any]) -> None:
    """Whatever is in lists, dicts and quotes, JSON values that are joined by commas come apart into the same ones."""
    parts = split_alternatives(",".join(json.dumps(value) for value in values))
    assert [json.loads(part) for part in parts] == values


@given(st.text().filter(lambda text: "=" not in text))
def test_any_text_is_one_value_of_a_parameter_for_texts(text: str) -> None:
    """No text is ever taken apart where a text is wanted, and none is changed."""
    assert texts_of(typed, f"s={text}") == [(text,)]
    assert Settings(typed).apply([next(cross([Axis("s", (text,))]))[0]], values={}) == {"s": text}


@given(st.lists(st.lists(st.integers()), min_size=1, max_size=4))
def test_lists_between_commas_are_values_of_a_parameter_for_lists(lists: list[list[int]]) -> None:
    """A list in JSON is one value, several are as many: never the elements."""
    (texts,) = texts_of(typed, "ls=" + ",".join(json.dumps(one) for one in lists))
    assert [json.loads(text) for text in texts] == lists


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_a_range_is_pythons(first: int, end: int, step: int) -> None:
    """FIRST:END:STEP gives the numbers that range() gives, and is refused where that gives none."""
    expected = list(range(first, end, step))
    if not expected:
        with pytest.raises(ConfigError):
            texts_of(typed, f"i={first}:{end}:{step}")
    else:
        assert [int(text) for text in texts_of(typed, f"i={first}:{end}:{step}")[0]] == expected


@given(st.decimals("-5", "5", places=2), st.integers(1, 30), st.decimals("0.01", "1", places=2))
def test_a_range_of_decimals_has_the_numbers_as_one_writes_them(
    first: Decimal, count: int, step: Decimal
) -> None:
    """0.1:0.5:0.1 ends with 0.4, and no sum of floats is seen in it."""
    (texts,) = texts_of(typed, f"f={first}:{first + step * count}:{step}")
    assert [Decimal(text) for text in texts] == [first + step * n for n in range(count)]
