"""Conversion between Python values and plain JSON, and comparison of values.

`encode` converts any value to a form (see `recorder.codec.forms`) and the payloads that the form names. `decode`
restores the value. `compare` compares two forms without unpickling anything or importing the user's code.
"""

from __future__ import annotations

from collections.abc import Callable

from ..records import JSON
from .comparing import Comparer
from .decoding import decode, decode_data, decode_function, inline
from .differences import Comparison, Difference, Findings, Numbers, conclude, same_number
from .encoding import Encoded, encode, encode_function, outline
from .forms import (
    canonical,
    describe,
    fields_of,
    flatten,
    has_tag,
    identity,
    redacted,
    references,
    replace_parts,
    tag_of,
)

__all__ = [
    "Comparison",
    "Difference",
    "Encoded",
    "Findings",
    "Numbers",
    "canonical",
    "compare",
    "conclude",
    "decode",
    "decode_data",
    "decode_function",
    "describe",
    "encode",
    "encode_function",
    "fields_of",
    "flatten",
    "has_tag",
    "identity",
    "inline",
    "outline",
    "redacted",
    "references",
    "replace_parts",
    "same_number",
    "tag_of",
]

# A comparison can read from a memory map.
LoadBuffer = Callable[[str], bytes | memoryview]


def compare(
    a: JSON,
    b: JSON,
    *,
    load: LoadBuffer,
    numbers: Numbers | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> Comparison:
    """Compare two forms.

    The verdict is

    - identical: the same bytes (dicts and sets in any order);
    - equal: the same content in different bytes, for example an array in another memory order;
    - close: every number within ``|a-b| <= atol + rtol * max(|a|, |b|)``;
    - opaque: the only differences are in pickles, which are never loaded, or in values that could not be encoded;
    - different: anything else.

    `load` returns a payload by its digest. `numbers` replaces `rtol` (relative, without unit) and `atol` (in the unit
    of the numbers), for tolerances that depend on the place. Nothing is unpickled and no user code is imported.
    """
    if not has_tag(a, "$opaque") and identity(a) == identity(b):
        return Comparison(verdict="identical")
    return Comparer(load, numbers or Numbers(rtol=rtol, atol=atol)).compare(a, b)
