"""Values and bytes: what a value was, exactly, and whether two values are the same.

`encode` makes a form of any value (see `recorder.codec.forms`) and the payloads that it names; `decode` makes
the value again; `compare` holds two forms against each other without unpickling or importing anything of the
user's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..digest import digest_bytes
from ..errors import DecodeError
from ..records import JSON
from . import numpy, pandas, pickle, plain, torch
from .comparing import Comparer
from .differences import Comparison, Difference, Findings, Numbers, conclude, same_number
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

# A form whose JSON is longer than this becomes an object of its own.
INLINE_BYTES = 4096
_DEEPEST = 200

Load = Callable[[str], bytes]
# What a comparison reads may be a memory map.
LoadBuffer = Callable[[str], bytes | memoryview]


class Encoded(NamedTuple):
    """A value's form, the payloads that it names by digest, and the dotted places that nothing could encode.

    `pickled` are the values that only a pickle holds, by the digest of that payload.
    """

    form: JSON
    objects: dict[str, bytes]
    opaque: tuple[str, ...] = ()
    pickled: Mapping[str, Any] = {}


class _Unshapely(Exception):
    """The value contains itself, or is too deep for a form."""


class _Encoder:
    """Encodes one value; `inside` are the containers that it is in at the moment."""

    def __init__(self, *, apart: Any = None) -> None:
        self._apart = apart
        self.objects: dict[str, bytes] = {}
        self.opaque: list[str] = []
        self.pickled: dict[str, Any] = {}
        self._inside: set[int] = set()

    def encode(self, value: Any, path: str) -> JSON:
        kind = type(value)
        if kind in _ATOMS:
            return plain.ENCODERS[kind](value, path, self.encode)
        if id(value) in self._inside or len(self._inside) > _DEEPEST:
            raise _Unshapely
        self._inside.add(id(value))
        try:
            return self._encode(value, kind, path)
        finally:
            self._inside.discard(id(value))

    def _encode(self, value: Any, kind: type, path: str) -> JSON:
        try:
            encoder = plain.ENCODERS.get(kind)
            form = (
                encoder(value, path, self.encode)
                if encoder
                else plain.encode_other(value, path, self.encode)
            )
            for family in () if form is not None else (numpy, torch, pandas):
                form = form if form is not None else family.encode(value, self.objects)
            if form is None and value is self._apart:
                form = plain.encode_instance(value, path, self.encode)
        except _Unshapely:
            raise
        except Exception:  # noqa: BLE001 - a value's own __len__, __eq__ or property may raise: the pickle is next
            form = None
        return self.pickle(value, path) if form is None else form

    def pickle(self, value: Any, path: str) -> JSON:
        form = pickle.encode(value, self.objects)
        if form is None:
            self.opaque.append(path)
            return pickle.opaque(value)
        self.pickled[form["$pickle"]["object"]] = value
        return form


_ATOMS = frozenset({type(None), bool, int, float, str})


def encode(value: Any, *, inline_limit: int | None = INLINE_BYTES, apart: bool = False) -> Encoded:
    """The form of any value; it raises for none.

    A value that contains itself, or is nested deeper than 200, is pickled as a whole. A form whose JSON is
    longer than `inline_limit` bytes becomes an object, ``{"$json": ...}``; for None that is left to `outline`.
    With `apart` an instance of a class of the user's is its attributes, where those are all that it is.
    """
    encoder = _Encoder(apart=value if apart else None)
    try:
        form = encoder.encode(value, "")
    except (_Unshapely, RecursionError):
        encoder = _Encoder()
        form = encoder.pickle(value, "")
    if inline_limit is not None:
        form = outline(form, encoder.objects, limit=inline_limit)
    return Encoded(form, encoder.objects, tuple(encoder.opaque), encoder.pickled)


def outline(form: JSON, objects: dict[str, bytes], *, limit: int = INLINE_BYTES) -> JSON:
    """The form, or, where its JSON is longer than `limit` bytes, one that names it as an object, put into `objects`."""
    if type(form) in _ATOMS and not (type(form) is str and len(form) > limit // 4):
        return form
    data = msgspec.json.encode(form)
    if len(data) <= limit:
        return form
    digest = digest_bytes(data)
    said = {
        "object": digest,
        "identity": identity(form),
        "objects": sorted(references(form)),
        "size_bytes": len(data),
        "text": describe(form, width=60),
    }
    objects[digest] = data
    return {"$json": said}


def inline(form: JSON, load: Load) -> JSON:
    """The form that `outline` has made an object of; any other as it is."""
    if tag_of(form) == "$json":
        return msgspec.json.decode(load(form["$json"]["object"]))
    return form


def encode_function(function: Callable[..., Any]) -> Encoded:
    """A function by value, with the globals that it uses: for one that no module holds."""
    objects: dict[str, bytes] = {}
    form = pickle.encode_function(function, objects)
    if form is None:
        return Encoded(pickle.opaque(function), {}, ("",))
    return Encoded(form, objects, pickled={form["$pickle"]["object"]: function})


def decode(form: JSON, load: Load) -> Any:
    """The value of a form; `load` gives a payload's bytes by its digest.

    Types of the user's are imported by name, and pickles are loaded: this runs code. Raises DecodeError, or
    what `load` raises.
    """
    return _decoded(form, load, None, frozenset())


def _decoded(
    form: JSON, load: Load, instead: Callable[[JSON], Any] | None, left: frozenset[str]
) -> Any:
    try:
        return _decode(form, load, instead, left)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(
            f"not a form that this version can read: {describe_error(error)}"
        ) from error
    except RecursionError as error:
        raise DecodeError("a form nested too deep") from error


def decode_data(form: JSON, load: Load | None, *, instead: Callable[[JSON], Any]) -> Any:
    """The value of a form as far as it is data: nothing of the user's is imported, and nothing unpickled.

    In the place of what would (an instance of a class of the user's, a pickle), and of what has no value (opaque,
    redacted), stands what `instead` makes of its form; without `load` of arrays, tensors and frames too. Raises
    DecodeError, or what `load` raises.
    """
    return _decoded(form, load or _no_payload, instead, _WITH_CODE if load else _NO_PLAIN_DATA)


def describe_error(error: BaseException) -> str:
    """The class and the text of an error."""
    return f"{type(error).__name__}: {error}"


def _decode(
    form: JSON, load: Load, instead: Callable[[JSON], Any] | None, left: frozenset[str]
) -> Any:
    def inner(part: JSON) -> Any:
        return _decode(part, load, instead, left)

    tag = tag_of(form)
    if tag is None:
        return plain.decode_plain(form, inner)
    said = form[tag]
    if instead is not None and (tag in left or plain.names_factory(form)):
        return instead(form)
    if tag in plain.DECODERS:
        return plain.DECODERS[tag](said, inner)
    if tag in _WITHOUT_PAYLOAD:
        return _WITHOUT_PAYLOAD[tag](said)
    if tag in _WITH_PAYLOAD:
        return _WITH_PAYLOAD[tag](said, load(said["object"]))
    if tag == "$json":
        return inner(inline(form, load))
    if tag == "$redacted":
        raise DecodeError("a credential that was redacted: its value is not in the store")
    if tag == "$opaque":
        raise DecodeError(f"a {said['type']} was opaque: nothing could encode it")
    raise DecodeError(f"no form has the tag {tag}: a newer version wrote it")


# Tags whose values are made by importing or unpickling what the user wrote, or cannot be made at all.
_WITH_CODE = frozenset(
    {
        "$dataclass",
        "$enum",
        "$instance",
        "$model",
        "$name",
        "$namedtuple",
        "$opaque",
        "$pickle",
        "$redacted",
        "$secret",
    }
)


def _no_payload(digest: str) -> bytes:
    raise DecodeError(f"{digest} is not read here")


_WITHOUT_PAYLOAD: dict[str, Callable[[Any], Any]] = {
    "$numpy": numpy.decode_scalar,
    "$dtype": numpy.decode_dtype,
    "$device": torch.decode_device,
}
_WITH_PAYLOAD: dict[str, Callable[[Any, bytes], Any]] = {
    "$array": lambda said, data: numpy.read_array(data),
    "$tensor": torch.decode,
    "$frame": pandas.decode,
    "$pickle": pickle.decode,
}


_NO_PLAIN_DATA = _WITH_CODE | _WITH_PAYLOAD.keys() | {"$json", "$device"}


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
