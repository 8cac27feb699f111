"""Tests of encoding, decoding, identity and comparison of values."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PLAIN_JSON, VALUES

from recorder import codec
from recorder.digest import canonical_json
from recorder.errors import DecodeError


class Colour(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass(frozen=True)
class Optim:
    lr: float
    betas: tuple[float, float] = (0.9, 0.99)


@dataclasses.dataclass
class Loud:
    x: int

    def __post_init__(self) -> None:
        raise AssertionError("decoding must not run code of the user")


class Point(NamedTuple):
    x: int
    y: Any


class Model(pydantic.BaseModel):
    width: int = 3
    inner: dict[str, float] = {}


class Unreadable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


def round_trip(value: Any) -> Any:
    """Encode the value, pass it through JSON text as the journal does, and decode it."""
    encoded = codec.encode(value)
    form = json.loads(json.dumps(encoded.form, allow_nan=False))
    assert codec.references(form) <= set(encoded.objects)
    return codec.decode(form, encoded.objects.__getitem__)


def same(a: Any, b: Any) -> bool:
    """Return True for equal values of the same types at all levels; NaN equals NaN, and -0.0 differs from 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, complex | range):
        return repr(a) == repr(b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return same(list(a), list(b)) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, set | frozenset):
        return sorted(map(repr, a)) == sorted(map(repr, b))
    return bool(a == b)


@given(VALUES)
def test_values_are_restored_exactly(value: Any) -> None:
    """A value of built-in types is decoded to an equal value of the same types."""
    encoded = codec.encode(value)
    assert encoded.opaque == ()
    assert "$pickle" not in json.dumps(encoded.form)
    assert same(round_trip(value), value)


@given(VALUES)
def test_a_decoded_value_has_the_same_identity(value: Any) -> None:
    """Encoding a decoded value gives the same identity."""
    assert codec.identity(codec.encode(round_trip(value)).form) == codec.identity(
        codec.encode(value).form
    )


@given(PLAIN_JSON)
def test_plain_json_is_its_own_form(value: Any) -> None:
    """A plain JSON value without keys that look like tags is its own form."""
    if "$" not in json.dumps(value):
        assert codec.encode(value, inline_limit=1 << 30).form == value


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED, Level.LOW, Optim(0.1), Point(1, [2]), re.compile("a+", re.IGNORECASE), collections.OrderedDict(b=1, a=2),
        collections.defaultdict(list, {1: [2]}), collections.Counter("aab"), collections.deque([1, 2], maxlen=3), Path("a/b"),
        len, json, Optim, os.path.join, slice(1, None, 2), ..., bytearray(b"x"), {"$tuple": [1]}, {"$a": 1, "b": 2},
        np.float32(0.1), np.float64("nan"), np.int8(-3), np.bool_(True), np.str_("x"), np.datetime64("2020-01-01T00:00"),
        np.complex64(1 + 2j), np.dtype("float32"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_types_are_restored_exactly(value: Any) -> None:
    """A value of each of these types is decoded to the exact type, not to its base class."""
    found = round_trip(value)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_pydantic_models_are_restored() -> None:
    """A pydantic model is decoded with its fields."""
    assert round_trip(Model(width=5, inner={"a": 1.0})) == Model(width=5, inner={"a": 1.0})


def test_decoding_runs_no_init() -> None:
    """Decoding a dataclass does not call its __init__."""
    value = object.__new__(Loud)
    value.x = 3
    assert round_trip(value).x == 3


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3), np.asfortranarray(np.ones((2, 3))), np.arange(10)[::3], np.array(5), np.zeros((0, 3)),
        np.array([1, 2], dtype=">i4"), np.array(["a", "bc"]), np.array(["2020", "NaT"], dtype="M8[D]"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.array([True, False]), np.ones(3, dtype=np.float16),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_arrays_are_restored(array: np.ndarray) -> None:
    """An array of any plain dtype, shape and order is restored exactly from a .npy object."""
    encoded = codec.encode(array)
    assert codec.tag_of(encoded.form) == "$array"
    found = round_trip(array)
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_arrays_of_objects_are_pickled() -> None:
    """An array of Python objects is pickled."""
    array = np.array([{"a": 1}, None], dtype=object)
    assert codec.tag_of(codec.encode(array).form) == "$pickle"
    assert list(round_trip(array)) == [{"a": 1}, None]


def test_frames_are_restored() -> None:
    """DataFrame, Series and Index are restored from parquet, and a frame that parquet cannot hold from a pickle."""
    frame = pd.DataFrame(
        {"a": [1, 2], "b": ["x", None], "c": pd.to_datetime(["2020", "2021"])}, index=[5, 7]
    )
    assert codec.tag_of(codec.encode(frame).form) == "$frame"
    pd.testing.assert_frame_equal(round_trip(frame), frame)
    pd.testing.assert_series_equal(round_trip(frame["a"]), frame["a"])
    mixed = pd.DataFrame({1: [1, "a"]})
    assert codec.tag_of(codec.encode(mixed).form) == "$pickle"
    pd.testing.assert_frame_equal(round_trip(mixed), mixed)


@pytest.mark.torch
def test_tensors_are_restored() -> None:
    """A tensor is restored with its dtype, including bfloat16, and with requires_grad."""
    import torch

    for tensor in (
        torch.arange(6.0).reshape(2, 3),
        torch.ones(3, dtype=torch.bfloat16),
        torch.tensor(True),
    ):
        found = round_trip(tensor)
        assert found.dtype == tensor.dtype and torch.equal(found, tensor)
    assert round_trip(torch.ones(2, requires_grad=True)).requires_grad
    state = torch.nn.Linear(2, 1).state_dict()
    found = round_trip(state)
    assert type(found) is type(state) and torch.equal(found["weight"], state["weight"])


def test_other_objects_are_pickled_and_their_version_is_checked() -> None:
    """Other objects are pickled, and a pickle of another Python version is refused."""
    encoded = codec.encode(collections.ChainMap({"a": 1}))
    assert codec.decode(encoded.form, encoded.objects.__getitem__) == {"a": 1}
    encoded.form["$pickle"]["python"] = "3.1"
    with pytest.raises(DecodeError, match=r"Python 3\.1"):
        codec.decode(encoded.form, encoded.objects.__getitem__)


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), (i for i in ()), Unreadable()],
    ids=["lock", "generator", "unreadable"],
)
def test_values_that_cannot_be_encoded_are_opaque(value: Any) -> None:
    """A value that cannot be pickled is opaque, and the values around it are kept."""
    encoded = codec.encode({"good": [1, (2,)], "bad": {"deep": value}})
    assert encoded.opaque == ("bad.deep",)
    assert encoded.form["good"] == [1, {"$tuple": [2]}]
    with pytest.raises(DecodeError, match="could not be encoded"):
        codec.decode(encoded.form, encoded.objects.__getitem__)


def test_a_value_that_contains_itself() -> None:
    """Cyclic and deeply nested values are pickled as a whole."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    found = round_trip(cycle)
    assert found[1] is found
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    assert round_trip(deep) == deep


def test_a_large_value_is_an_object() -> None:
    """A form of more than 4 KB becomes an object with the same value, comparison and identity."""
    large, limit = list(range(5000)), 1 << 30
    encoded = codec.encode(large)
    assert len(json.dumps(encoded.form)) < 500
    assert round_trip(large) == large
    assert codec.identity(encoded.form) == codec.identity(
        codec.encode(large, inline_limit=limit).form
    )
    other = codec.encode([*large[:-1], -1])
    payloads = {**encoded.objects, **other.objects}
    found = codec.compare(encoded.form, other.form, load=payloads.__getitem__)
    assert [d.path for d in found.differences] == ["[4999]"]


def test_identity_tells_types_apart() -> None:
    """Equal values of different types have different identities."""
    values = [
        1,
        1.0,
        True,
        "1",
        [1],
        (1,),
        {1},
        frozenset({1}),
        None,
        0.0,
        -0.0,
        np.int64(1),
        np.float64(1),
        b"1",
    ]
    assert len({codec.identity(codec.encode(v).form) for v in values}) == len(values)
    assert codec.identity(codec.encode({1: "a", "1": "b"}).form) != codec.identity(
        codec.encode({"1": "b"}).form
    )


def test_identity_ignores_the_order_of_dicts_and_sets() -> None:
    """The order of dicts and sets does not affect the identity."""
    assert codec.identity({"a": 1, "b": 2}) == codec.identity({"b": 2, "a": 1})
    one, other = codec.encode({1: "a", (2,): "b"}).form, codec.encode({(2,): "b", 1: "a"}).form
    assert codec.identity(one) == codec.identity(other)
    code = "from recorder import codec; print(codec.identity(codec.encode({'a', 'b', 'c', ('d', 1)}).form))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(said) == 1


PINNED = [
    (
        {"lr": 0.1, "n": 3},
        "blake3:7ad59bf3100ce7f98c7fc4105cf5970ec98e0413e2a0b59a302319f4dd5414d5",
    ),
    (
        (1, [2.5, None], {"a"}),
        "blake3:77561b6dece3bcc9408f99f60f9cd5ae8ac905f9ebbfde168f64a64aa3b9a2b3",
    ),
    (math.nan, "blake3:50aa08b5dd48f9711e76db6bfb731f952914b70d8466b411ce429afcfeb9fafc"),
    (np.arange(3), "blake3:58af46c73a00fab65023f83c9649bef1b57939df239a3a4ed54fa284b3dfe8a0"),
]


@pytest.mark.parametrize(("value", "digest"), PINNED, ids=["dict", "tuple", "nan", "array"])
def test_identities_never_change(value: Any, digest: str) -> None:
    """Identities are stable across versions, because records are compared by them."""
    assert codec.identity(codec.encode(value).form) == digest


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_flatten_loses_nothing_and_describe_never_fails(config: dict[str, Any]) -> None:
    """Every leaf of a config has a unique key and a description within the width."""
    forms = {key: codec.encode(value).form for key, value in config.items()}
    flat = codec.flatten(forms)
    assert len(flat) >= len(forms)
    for form in flat.values():
        assert len(codec.describe(form, width=30)) <= 30


def test_flatten_gives_dotted_keys() -> None:
    """Nested dicts and dataclasses get dotted keys; dicts with a key that contains a dot are not flattened."""
    forms = {"o": codec.encode(Optim(0.1)).form, "d": {"a": {"b": 1}, "e": {}}, "k": {"x.y": 1}}
    assert list(codec.flatten(forms)) == ["o.lr", "o.betas", "d.a.b", "d.e", "k"]


def compared(a: Any, b: Any, **tolerance: float) -> codec.Comparison:
    """Compare two values."""
    left, right = codec.encode(a), codec.encode(b)
    payloads = {**left.objects, **right.objects}
    return codec.compare(left.form, right.form, load=payloads.__getitem__, **tolerance)


@given(VALUES)
def test_a_value_is_identical_to_itself(value: Any) -> None:
    """A value is identical to itself."""
    assert compared(value, value).verdict == "identical"


@given(VALUES, VALUES)
def test_different_values_are_never_identical(a: Any, b: Any) -> None:
    """Values that differ in value or type are never identical, in either direction."""
    verdicts = {compared(a, b).verdict, compared(b, a).verdict}
    if same(a, b):
        assert verdicts == {"identical"}
    else:
        assert "identical" not in verdicts or codec.identity(
            codec.encode(a).form
        ) == codec.identity(codec.encode(b).form)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(0, 1), st.floats(0, 1))
def test_closeness_is_the_formula(a: float, b: float, rtol: float, atol: float) -> None:
    """Two numbers are close exactly if |a-b| <= atol + rtol * max(|a|, |b|)."""
    verdict = compared(a, b, rtol=rtol, atol=atol).verdict
    finite = math.isfinite(a) and math.isfinite(b)
    if repr(a) == repr(b):
        assert verdict == "identical"
    elif a == b:
        assert verdict == "equal"
    elif finite and abs(a - b) <= atol + rtol * max(abs(a), abs(b)):
        assert verdict == "close"
    else:
        assert verdict == "different"


def test_differences_are_located() -> None:
    """Each difference has its path and both sides, and for numbers the errors."""
    found = compared({"a": [1, 2.0], "b": (1,), "c": 1}, {"a": [1, 2.5], "b": (1, 9), "d": 1})
    assert [(d.path, d.what) for d in found.differences] == [
        ("a[1]", "changed"), ("b[1]", "added"), ("c", "removed"), ("d", "added")
    ]  # fmt: skip
    assert (found.differences[0].abs_error, found.differences[0].rel_error) == (0.5, 0.2)


def test_one_element_of_a_million() -> None:
    """One differing element of a million is found with its index."""
    a = np.zeros((1000, 1000))
    b = a.copy()
    b[123, 456] = 1e-9
    found = compared(a, b)
    assert found.verdict == "different"
    (difference,) = found.differences
    assert (difference.index, difference.count, difference.size, difference.abs_error) == (
        (123, 456),
        1,
        10**6,
        1e-9,
    )
    assert compared(a, b, atol=1e-8).verdict == "close"


def test_the_same_array_in_another_order_is_equal() -> None:
    """Arrays in C and Fortran order are equal although their bytes differ."""
    a = np.array([[1.0, math.nan], [3.0, 4.0]])
    assert compared(a, np.asfortranarray(a)).verdict == "equal"
    assert compared(a, a[:1]).differences[0].what == "shape"
    assert compared(a, a.astype("f4")).differences[0].what == "dtype"


def test_pickles_are_compared_as_bytes() -> None:
    """Pickles that differ are opaque, and equal pickles are identical."""
    assert (
        compared(collections.ChainMap({"a": 1}), collections.ChainMap({"a": 2})).verdict == "opaque"
    )
    assert (
        compared(collections.ChainMap({"a": 1}), collections.ChainMap({"a": 1})).verdict
        == "identical"
    )
    lock = threading.Lock()
    assert compared(lock, lock).verdict == "opaque"
    assert compared([1, lock], [2, lock]).verdict == "different"


TAGS = [
    "$float", "$int", "$str", "$bytes", "$complex", "$tuple", "$set", "$dict", "$datetime", "$date", "$time", "$timedelta",
    "$timezone", "$decimal", "$fraction", "$uuid", "$range", "$path", "$pattern", "$enum", "$dataclass", "$namedtuple",
    "$model", "$collection", "$name", "$numpy", "$dtype", "$array", "$tensor", "$frame", "$pickle", "$json", "$opaque", "$new",
]  # fmt: skip
FORMS = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.builds(lambda tag, v: {tag: v}, st.sampled_from(TAGS), inner),
        st.dictionaries(
            st.sampled_from(["type", "fields", "object", "text", "dtype", "name", "items"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@given(FORMS)
def test_a_damaged_form_raises_decode_error(form: Any) -> None:
    """Decoding any form gives a value or raises DecodeError."""

    def load(digest: str) -> bytes:
        raise DecodeError("no payload")

    try:
        codec.decode(form, load)
    except DecodeError as error:
        assert str(error)


def test_canonical_json_refuses_other_keys_and_numbers() -> None:
    """Canonical JSON accepts only string keys and finite numbers."""
    assert canonical_json({"b": [1, 1.0, True], "a": "é"}) == '{"a":"é","b":[1,1.0,true]}'.encode()
    for bad in ({1: "a"}, [math.nan], {"a": {True: 1}}):
        with pytest.raises((TypeError, ValueError)):
            canonical_json(bad)
