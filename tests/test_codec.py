"""Values and bytes: what a value was, exactly, and whether two values are the same."""

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
        raise AssertionError("decoding runs no code of the user's")


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


def there_and_back(value: Any) -> Any:
    """The value, encoded and decoded, through JSON text as the journal has it."""
    encoded = codec.encode(value)
    form = json.loads(json.dumps(encoded.form, allow_nan=False))
    assert codec.references(form) <= set(encoded.objects)
    return codec.decode(form, encoded.objects.__getitem__)


def same(a: Any, b: Any) -> bool:
    """Equal, of the same types all the way down, NaN being itself, -0.0 no 0.0, an empty range not any other."""
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
def test_values_come_back_as_they_were(value: Any) -> None:
    """A value of Python's own types comes back equal and of the same types, whatever is inside it."""
    encoded = codec.encode(value)
    assert encoded.opaque == ()
    assert "$pickle" not in json.dumps(encoded.form)
    assert same(there_and_back(value), value)


@given(VALUES)
def test_a_decoded_value_has_the_same_identity(value: Any) -> None:
    """Encoding what was decoded gives the same identity."""
    assert codec.identity(codec.encode(there_and_back(value)).form) == codec.identity(
        codec.encode(value).form
    )


@given(PLAIN_JSON)
def test_plain_json_is_its_own_form(value: Any) -> None:
    """What JSON says exactly is not tagged, but for dicts whose keys look like tags."""
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
def test_each_type_comes_back(value: Any) -> None:
    """A value of each of these types comes back equal and of its own type, not of its base."""
    found = there_and_back(value)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_a_pydantic_model_comes_back() -> None:
    """A pydantic model comes back with its fields."""
    assert there_and_back(Model(width=5, inner={"a": 1.0})) == Model(width=5, inner={"a": 1.0})


def test_decoding_runs_no_init() -> None:
    """A dataclass is filled, not initialised."""
    value = object.__new__(Loud)
    value.x = 3
    assert there_and_back(value).x == 3


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3), np.asfortranarray(np.ones((2, 3))), np.arange(10)[::3], np.array(5), np.zeros((0, 3)),
        np.array([1, 2], dtype=">i4"), np.array(["a", "bc"]), np.array(["2020", "NaT"], dtype="M8[D]"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.array([True, False]), np.ones(3, dtype=np.float16),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_arrays_come_back(array: np.ndarray) -> None:
    """An array of any plain dtype, shape and order comes back as it was, from a .npy object without pickles."""
    encoded = codec.encode(array)
    assert codec.tag_of(encoded.form) == "$array"
    found = there_and_back(array)
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_arrays_of_objects_are_pickled() -> None:
    """An array of Python objects, which .npy cannot hold, is pickled."""
    array = np.array([{"a": 1}, None], dtype=object)
    assert codec.tag_of(codec.encode(array).form) == "$pickle"
    assert list(there_and_back(array)) == [{"a": 1}, None]


def test_frames_come_back() -> None:
    """A frame, a series and an index come back from parquet; what parquet cannot hold is pickled."""
    frame = pd.DataFrame(
        {"a": [1, 2], "b": ["x", None], "c": pd.to_datetime(["2020", "2021"])}, index=[5, 7]
    )
    assert codec.tag_of(codec.encode(frame).form) == "$frame"
    pd.testing.assert_frame_equal(there_and_back(frame), frame)
    pd.testing.assert_series_equal(there_and_back(frame["a"]), frame["a"])
    mixed = pd.DataFrame({1: [1, "a"]})
    assert codec.tag_of(codec.encode(mixed).form) == "$pickle"
    pd.testing.assert_frame_equal(there_and_back(mixed), mixed)


@pytest.mark.torch
def test_tensors_come_back() -> None:
    """A tensor comes back with its dtype, bfloat16 too, and what it requires; a state dict is a dict of tensors."""
    import torch

    for tensor in (
        torch.arange(6.0).reshape(2, 3),
        torch.ones(3, dtype=torch.bfloat16),
        torch.tensor(True),
    ):
        found = there_and_back(tensor)
        assert found.dtype == tensor.dtype and torch.equal(found, tensor)
    assert there_and_back(torch.ones(2, requires_grad=True)).requires_grad
    state = torch.nn.Linear(2, 1).state_dict()
    found = there_and_back(state)
    assert type(found) is type(state) and torch.equal(found["weight"], state["weight"])


def test_other_objects_are_pickled_and_their_version_is_checked() -> None:
    """An object of a class with state is pickled; a pickle of another Python is refused before it is loaded."""
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
def test_what_nothing_can_encode_is_opaque(value: Any) -> None:
    """A value that cannot be pickled is opaque at its place; what is around it is kept."""
    encoded = codec.encode({"good": [1, (2,)], "bad": {"deep": value}})
    assert encoded.opaque == ("bad.deep",)
    assert encoded.form["good"] == [1, {"$tuple": [2]}]
    with pytest.raises(DecodeError, match="opaque"):
        codec.decode(encoded.form, encoded.objects.__getitem__)


def test_a_value_that_contains_itself() -> None:
    """A cycle, and a list nested very deep, are pickled whole."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    found = there_and_back(cycle)
    assert found[1] is found
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    assert there_and_back(deep) == deep


def test_a_large_value_is_an_object() -> None:
    """A form of more than 4 KB is an object, decoded, compared and identified as the form itself."""
    large, limit = list(range(5000)), 1 << 30
    encoded = codec.encode(large)
    assert len(json.dumps(encoded.form)) < 500
    assert there_and_back(large) == large
    assert codec.identity(encoded.form) == codec.identity(
        codec.encode(large, inline_limit=limit).form
    )
    other = codec.encode([*large[:-1], -1])
    payloads = {**encoded.objects, **other.objects}
    found = codec.compare(encoded.form, other.form, load=payloads.__getitem__)
    assert [d.path for d in found.differences] == ["[4999]"]


def test_identity_tells_types_apart() -> None:
    """1, 1.0, True, "1", and a list, tuple and set of the same have identities of their own."""
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


def test_identity_has_no_order_where_there_is_none() -> None:
    """Equal dicts in another order, and sets under another hash seed, have the same identity."""
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
    """The identity of a value is the same in every version: records are compared by it."""
    assert codec.identity(codec.encode(value).form) == digest


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_flatten_loses_nothing_and_describe_never_fails(config: dict[str, Any]) -> None:
    """Every leaf of a config keeps a key of its own, and each has a text of at most the width."""
    forms = {key: codec.encode(value).form for key, value in config.items()}
    flat = codec.flatten(forms)
    assert len(flat) >= len(forms)
    for form in flat.values():
        assert len(codec.describe(form, width=30)) <= 30


def test_flatten_gives_dotted_keys() -> None:
    """Nested dicts and dataclasses have dotted keys; a key with a dot in it stays whole."""
    forms = {"o": codec.encode(Optim(0.1)).form, "d": {"a": {"b": 1}, "e": {}}, "k": {"x.y": 1}}
    assert list(codec.flatten(forms)) == ["o.lr", "o.betas", "d.a.b", "d.e", "k"]


def compared(a: Any, b: Any, **tolerance: float) -> codec.Comparison:
    """The comparison of two values."""
    left, right = codec.encode(a), codec.encode(b)
    payloads = {**left.objects, **right.objects}
    return codec.compare(left.form, right.form, load=payloads.__getitem__, **tolerance)


@given(VALUES)
def test_a_value_is_identical_to_itself(value: Any) -> None:
    """A value compared with itself is identical."""
    assert compared(value, value).verdict == "identical"


@given(VALUES, VALUES)
def test_different_values_are_never_identical(a: Any, b: Any) -> None:
    """Values that differ in value or type are never called identical, either way round."""
    verdicts = {compared(a, b).verdict, compared(b, a).verdict}
    if same(a, b):
        assert verdicts == {"identical"}
    else:
        assert "identical" not in verdicts or codec.identity(
            codec.encode(a).form
        ) == codec.identity(codec.encode(b).form)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(0, 1), st.floats(0, 1))
def test_closeness_is_the_formula(a: float, b: float, rtol: float, atol: float) -> None:
    """Two numbers are close exactly where |a-b| <= atol + rtol * max(|a|, |b|)."""
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
    """Each difference has its path, both sides, and for numbers how large it is."""
    found = compared({"a": [1, 2.0], "b": (1,), "c": 1}, {"a": [1, 2.5], "b": (1, 9), "d": 1})
    assert [(d.path, d.what) for d in found.differences] == [
        ("a[1]", "changed"), ("b[1]", "added"), ("c", "removed"), ("d", "added")
    ]  # fmt: skip
    assert (found.differences[0].abs_error, found.differences[0].rel_error) == (0.5, 0.2)


def test_one_element_of_a_million() -> None:
    """One element of a million is found, with its index and its size."""
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
    """An array in C and in Fortran order is equal, though its bytes differ; NaN is equal to NaN."""
    a = np.array([[1.0, math.nan], [3.0, 4.0]])
    assert compared(a, np.asfortranarray(a)).verdict == "equal"
    assert compared(a, a[:1]).differences[0].what == "shape"
    assert compared(a, a.astype("f4")).differences[0].what == "dtype"


def test_pickles_are_not_looked_into() -> None:
    """Two pickles that differ are opaque, the same one is identical; opaque is never identical."""
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
def test_a_damaged_form_is_an_error_of_its_own(form: Any) -> None:
    """Whatever stands in a form, decoding it gives a value or a DecodeError, nothing else."""

    def load(digest: str) -> bytes:
        raise DecodeError("no payload")

    try:
        codec.decode(form, load)
    except DecodeError as error:
        assert str(error)


def test_canonical_json_refuses_what_it_would_merge() -> None:
    """Canonical JSON takes string keys and finite numbers only."""
    assert canonical_json({"b": [1, 1.0, True], "a": "é"}) == '{"a":"é","b":[1,1.0,true]}'.encode()
    for bad in ({1: "a"}, [math.nan], {"a": {True: 1}}):
        with pytest.raises((TypeError, ValueError)):
            canonical_json(bad)
