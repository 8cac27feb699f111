"""Decoding: a form, and the payloads that it names, into the value again."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

import msgspec

from ..errors import DecodeError
from ..records import JSON
from . import classes, numpy, pandas, pickle, plain, torch
from .forms import tag_of

Load = Callable[[str], bytes]


def inline(form: JSON, load: Load) -> JSON:
    """The form that `outline` has made an object of; any other as it is."""
    if tag_of(form) == "$json":
        return msgspec.json.decode(load(form["$json"]["object"]))
    return form


def decode(form: JSON, load: Load) -> Any:
    """The value of a form; `load` gives a payload's bytes by its digest.

    Types of the user's are imported by name, and pickles are loaded: this runs code. Raises DecodeError, or
    what `load` raises.
    """
    return _decoded(form, load, None, frozenset())


def decode_function(form: JSON, load: Load) -> tuple[Any, tuple[type, ...]]:
    """The function that `encode_function` has encoded, and the classes that came along. This runs code."""
    found = decode(form, load)
    return found if isinstance(found, tuple) else (found, ())


def _decoded(form: JSON, load: Load, instead: Callable[[JSON], Any] | None, left: Set[str]) -> Any:
    try:
        return _decode(form, load, instead, left)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        if isinstance(error, DecodeError):
            raise
        said = f"{type(error).__name__}: {error}"
        raise DecodeError(f"not a form that this version can read: {said}") from error
    except RecursionError as error:
        raise DecodeError("a form nested too deep") from error


def decode_data(form: JSON, load: Load | None, *, instead: Callable[[JSON], Any]) -> Any:
    """The value of a form as far as it is data: nothing of the user's is imported, and nothing unpickled.

    In the place of what would (an instance of a class of the user's, a pickle), and of what has no value (opaque,
    redacted), stands what `instead` makes of its form; without `load` of arrays, tensors and frames too. Raises
    DecodeError, or what `load` raises.
    """
    return _decoded(form, load or _no_payload, instead, _WITH_CODE if load else _NO_PLAIN_DATA)


def _decode(form: JSON, load: Load, instead: Callable[[JSON], Any] | None, left: Set[str]) -> Any:
    def inner(part: JSON) -> Any:
        return _decode(part, load, instead, left)

    tag = tag_of(form)
    if tag is None:
        return plain.decode_plain(form, inner)
    said = form[tag]
    if instead is not None and (tag in left or plain.names_factory(form)):
        return instead(form)
    if tag in _BY_TAG:
        return _BY_TAG[tag](said, inner)
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


def _no_payload(digest: str) -> bytes:
    raise DecodeError(f"{digest} is not read here")


_BY_TAG = {**plain.DECODERS, **classes.DECODERS}
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
# Tags whose values are made by importing or unpickling what the user wrote, or cannot be made at all.
_WITH_CODE = classes.DECODERS.keys() | {"$opaque", "$pickle", "$redacted"}
_NO_PLAIN_DATA = _WITH_CODE | _WITH_PAYLOAD.keys() | {"$json", "$device"}
