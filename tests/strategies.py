"""Hypothesis strategies for values and documents."""

from __future__ import annotations

import datetime as dt
import pathlib
import uuid

from hypothesis import strategies as st

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.text(alphabet=st.characters()),  # lone surrogates too
    st.binary(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids().map(lambda value: uuid.UUID(str(value))),
    st.dates(),
    st.datetimes(timezones=st.one_of(st.none(), st.just(dt.timezone.utc), st.timezones())),
    st.timedeltas(),
    st.text("abc/", min_size=1).map(pathlib.PurePosixPath),
    st.builds(range, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 9)),
)
HASHABLE = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary(), st.dates())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(), inner, max_size=4),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
        st.frozensets(HASHABLE, max_size=4),
    ),
    max_leaves=12,
)
PLAIN_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(max_size=6), PLAIN_JSON, max_size=4)
