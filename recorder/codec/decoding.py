"""Decoding of forms and their payloads to values."""

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
    """Return the form that `outline` moved into an object, or `form` itself if it is inline."""
    if tag_of(form) == "$json":
        return msgspec.json.decode(load(form["$json"]["object"]))
    return form


def decode(form: JSON, load: Load) -> Any:
    """Return the value of a form. This runs code: it imports the user's modules and loads pickles.

    `load` returns a payload by its digest. Raises DecodeError, or any error of `load`.
    """
    return _decoded(form, load, None, frozenset())


def decode_function(form: JSON, load: Load) -> tuple[Any, tuple[type, ...]]:
    """Return the function that `encode_function` encoded, and its classes. This runs code."""
    found = decode(form, load)
    return found if isinstance(found, tuple) else (found, ())


def _decoded(form: JSON, load: Load, instead: Callable[[JSON], Any] | None, left: Set[str]) -> Any:
    try:
        return _decode(form, load, instead, left)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        if isinstance(error, DecodeError):
            raise
        detail = f"{type(error).__name__}: {error}"
        raise DecodeError(f"this version of recorder cannot decode the value: {detail}") from error
    except RecursionError as error:
        raise DecodeError("the value is nested too deeply to decode") from error


def decode_data(form: JSON, load: Load | None, *, instead: Callable[[JSON], Any]) -> Any:
    """Return the value of a form without importing the user's code or unpickling anything.

    Parts that would need either (instances of the user's classes, pickles), and parts without a value (opaque,
    redacted), are replaced by ``instead(form)``. Without `load`, arrays, tensors and frames are replaced as well.
    Raises DecodeError, or any error of `load`.
    """
    return _decoded(form, load or _no_payload, instead, _WITH_CODE if load else _NO_PLAIN_DATA)


def _decode(form: JSON, load: Load, instead: Callable[[JSON], Any] | None, left: Set[str]) -> Any:
    def inner(part: JSON) -> Any:
        return _decode(part, load, instead, left)

    tag = tag_of(form)
    if tag is None:
        return plain.decode_plain(form, inner)
    content = form[tag]
    if instead is not None and (tag in left or plain.names_factory(form)):
        return instead(form)
    if tag in _BY_TAG:
        return _BY_TAG[tag](content, inner)
    if tag in _WITHOUT_PAYLOAD:
        return _WITHOUT_PAYLOAD[tag](content)
    if tag in _WITH_PAYLOAD:
        return _WITH_PAYLOAD[tag](content, load(content["object"]))
    if tag == "$json":
        return inner(inline(form, load))
    if tag == "$redacted":
        raise DecodeError("the value is a redacted credential, which the store does not contain")
    if tag == "$opaque":
        raise DecodeError(
            f"the value of type {content['type']} could not be encoded when it was recorded"
        )
    raise DecodeError(f"unknown tag {tag}: a newer version of recorder wrote this value")


def _no_payload(digest: str) -> bytes:
    raise DecodeError(f"payload {digest} is not available without a store")


_BY_TAG = {**plain.DECODERS, **classes.DECODERS}
_WITHOUT_PAYLOAD: dict[str, Callable[[Any], Any]] = {
    "$numpy": numpy.decode_scalar,
    "$dtype": numpy.decode_dtype,
    "$device": torch.decode_device,
}
_WITH_PAYLOAD: dict[str, Callable[[Any, bytes], Any]] = {
    "$array": lambda content, data: numpy.read_array(data),
    "$tensor": torch.decode,
    "$frame": pandas.decode,
    "$pickle": pickle.decode,
}
# Tags whose values need imports or unpickling, or that have no value.
_WITH_CODE = classes.DECODERS.keys() | {"$opaque", "$pickle", "$redacted"}
_NO_PLAIN_DATA = _WITH_CODE | _WITH_PAYLOAD.keys() | {"$json", "$device"}
