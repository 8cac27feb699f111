"""Encoding of values to forms and payloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..digest import digest_bytes
from ..records import JSON
from . import classes, numpy, pandas, pickle, plain, torch
from .forms import describe, identity, references

# A form with longer JSON becomes a separate object.
INLINE_BYTES = 4096
_DEEPEST = 200


class Encoded(NamedTuple):
    """An encoded value.

    Attributes:
        form: The form, plain JSON.
        objects: Payloads that the form refers to, by their digest.
        opaque: Dotted places of parts that could not be encoded.
        pickled: Parts that are encoded as a pickle only, by the digest of the payload.
    """

    form: JSON
    objects: dict[str, bytes]
    opaque: tuple[str, ...] = ()
    pickled: Mapping[str, Any] = {}


class _UnshapelyError(Exception):
    """A value that contains itself, or is nested too deeply for a form."""


class _Encoder:
    """Encodes one value. `apart` is the instance to encode by its attributes."""

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
            raise _UnshapelyError
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
                else classes.encode_other(value, path, self.encode)
            )
            for family in () if form is not None else (numpy, torch, pandas):
                form = form if form is not None else family.encode(value, self.objects)
            if form is None and value is self._apart:
                form = classes.encode_instance(value, path, self.encode)
        except _UnshapelyError:
            raise
        except Exception:  # noqa: BLE001 - a user's __len__, __eq__ or property can raise anything; try a pickle
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
    """Encode any value; never raise.

    A value that contains itself, or is nested deeper than 200 levels, is pickled as a whole. A form whose JSON is
    longer than `inline_limit` bytes becomes an object, ``{"$json": ...}``; None leaves that to `outline`. With `apart`,
    an instance of a user's class is encoded by its attributes if they are its entire state.
    """
    encoder = _Encoder(apart=value if apart else None)
    try:
        form = encoder.encode(value, "")
    except (_UnshapelyError, RecursionError):
        encoder = _Encoder()
        form = encoder.pickle(value, "")
    if inline_limit is not None:
        form = outline(form, encoder.objects, limit=inline_limit)
    return Encoded(form, encoder.objects, tuple(encoder.opaque), encoder.pickled)


def outline(form: JSON, objects: dict[str, bytes], *, limit: int = INLINE_BYTES) -> JSON:
    """Return `form` if its JSON has at most `limit` bytes, or else a reference to an object added to `objects`."""
    if type(form) in _ATOMS and not (type(form) is str and len(form) > limit // 4):
        return form
    data = msgspec.json.encode(form)
    if len(data) <= limit:
        return form
    digest = digest_bytes(data)
    reference = {
        "object": digest,
        "identity": identity(form),
        "objects": sorted(references(form)),
        "size_bytes": len(data),
        "text": describe(form, width=60),
    }
    objects[digest] = data
    return {"$json": reference}


def encode_function(function: Callable[..., Any], *, classes: tuple[type, ...] = ()) -> Encoded:
    """Encode a function that no module holds by value, with the globals that it uses. See `decode_function`."""
    objects: dict[str, bytes] = {}
    form = pickle.encode_function(function, objects, classes=classes)
    if form is None:
        return Encoded(pickle.opaque(function), {}, ("",))
    # The search for credentials goes through the attributes of the classes by name.
    held = (function, *map(vars, classes))
    return Encoded(form, objects, pickled={form["$pickle"]["object"]: held})
