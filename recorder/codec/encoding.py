"""Encoding: any value into a form, and the payloads that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..digest import digest_bytes
from ..records import JSON
from . import classes, numpy, pandas, pickle, plain, torch
from .forms import describe, identity, references

# A form whose JSON is longer than this becomes an object of its own.
INLINE_BYTES = 4096
_DEEPEST = 200


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
                else classes.encode_other(value, path, self.encode)
            )
            for family in () if form is not None else (numpy, torch, pandas):
                form = form if form is not None else family.encode(value, self.objects)
            if form is None and value is self._apart:
                form = classes.encode_instance(value, path, self.encode)
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


def encode_function(function: Callable[..., Any], *, classes: tuple[type, ...] = ()) -> Encoded:
    """A function by value, with the globals that it uses: for one that no module holds. See `decode_function`."""
    objects: dict[str, bytes] = {}
    form = pickle.encode_function(function, objects, classes=classes)
    if form is None:
        return Encoded(pickle.opaque(function), {}, ("",))
    # Who looks for credentials in it finds what the classes hold by its names.
    held = (function, *map(vars, classes))
    return Encoded(form, objects, pickled={form["$pickle"]["object"]: held})
