"""Values and bytes: what a value was, exactly, and whether two values are the same.

`encode` makes a form of any value (see `recorder.codec.forms`) and the payloads that it names; `decode` makes
the value again; `compare` holds two forms against each other without unpickling or importing anything of the
user's.
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

# What a comparison reads may be a memory map.
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
    """Hold two forms against each other; `numbers`, where given, says what is close in the place of `rtol`, `atol`.

    identical: the same to the byte (dicts and sets in any order); equal: the same content in other bytes (an
    array in another memory order); close: every number within ``|a-b| <= atol + rtol * max(|a|, |b|)``; opaque:
    they differ only in pickles, which are not looked into, or hold something that nothing could encode; else
    different. Nothing is unpickled and nothing of the user's is imported.
    """
    if not has_tag(a, "$opaque") and identity(a) == identity(b):
        return Comparison(verdict="identical")
    return Comparer(load, numbers or Numbers(rtol=rtol, atol=atol)).compare(a, b)
