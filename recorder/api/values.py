"""Decode the values of a run. Data is decoded at once; values that would run code only on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import codec
from ..errors import TrustError
from ..records import JSON, Record
from ..store.content.contents import nearest
from ..store.signature import is_trusted
from ..store.store import RunStore

# Tags of forms that hold no value, trusted or not.
_WITHOUT_VALUE = ("$opaque", "$redacted")


class Tagged:
    """A value that is described but not decoded, because decoding would import or unpickle user code.

    Examples are instances of the project's classes, functions, enums and pickles; also redacted credentials and values
    that could not be encoded, which have no value any more. `form` is the form of `recorder.codec`.
    """

    def __init__(self, form: JSON, values: Values) -> None:
        self.form = form
        self._values = values

    @property
    def tag(self) -> str:
        """The kind of value: ``dataclass``, ``enum``, ``pickle``, ``redacted``, ..."""
        return (codec.tag_of(self.form) or "").removeprefix("$")

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of an instance by name, as data; empty if the value has none."""
        found = codec.fields_of(self.form) or {}
        return {name: self._values.data(form) for name, form in found.items()}

    def load(self) -> Any:
        """Return the value itself, by importing its class or unpickling it. Raises TrustError, DecodeError."""
        return self._values.value(self.form)

    def __repr__(self) -> str:
        return codec.describe(self.form, width=200)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tagged) and codec.identity(self.form) == codec.identity(other.form)

    def __hash__(self) -> int:
        return hash(codec.identity(self.form))


class Values:
    """A decoder for the forms in one run's record."""

    def __init__(self, store: RunStore, record: Record) -> None:
        self._store = store
        self._record = record

    def data(self, form: JSON) -> Any:
        """Decode data; parts that would run code, or need a package that is not installed, become `Tagged`."""
        try:
            return codec.decode_data(form, self._store.read, instead=self._tagged)
        except ImportError:
            return codec.decode_data(form, None, instead=self._tagged)

    def value(self, form: JSON) -> Any:
        """Decode the whole value. If the run is trusted, user code is imported and pickles are loaded.

        Raises:
            TrustError: Decoding would run code, and the run is not trusted.
            DecodeError: The value cannot be decoded.
            ObjectNotFoundError: The object that holds the value is missing.
            ImportError: A package that the value needs is not installed.
        """
        left: list[JSON] = []
        found = codec.decode_data(form, self._store.read, instead=left.append)
        if not left:
            return found
        if any(codec.tag_of(part) not in _WITHOUT_VALUE for part in left):
            check_trust(self._record, codec.describe(left[0], width=60))
        return codec.decode(form, self._store.read)

    def _tagged(self, form: JSON) -> Tagged:
        return Tagged(form, self)


def check_trust(record: Record, what: str) -> None:
    """Raise TrustError if the run is not trusted; `what` names the content that would run code."""
    if not is_trusted(record):
        number = record.number
        raise TrustError(
            f"{what} of run {number} is not loaded: loading runs code, and the run was signed by somebody else or"
            f" changed since; if you trust its source: store.trust({number})",
            run=number,
        )


class Config(Mapping[str, Any]):
    """A run's arguments by name, nested ones by dotted keys; values that would run code are `Tagged`.

    >>> run.config["lr"]
    0.1
    >>> run.config["optim.momentum"]
    0.9
    >>> run.config["layers"]
    (32, 16)

    `forms` are the encoded values of the record.
    """

    def __init__(self, forms: Mapping[str, JSON], values: Values) -> None:
        self.forms = forms
        self._values = values

    def __getitem__(self, key: str) -> Any:
        if key in self.forms:
            return self._values.data(self.forms[key])
        flat = codec.flatten(self.forms)
        if key in flat:
            return self._values.data(flat[key])
        inner = {k: v for k, v in flat.items() if k.startswith(f"{key}.")}
        if not inner:
            raise KeyError(f"no {key!r} in the config: {nearest(key, list(flat))[0]}")
        return self._values.data(_nested(self.forms, key.split(".")))

    def __iter__(self) -> Iterator[str]:
        return iter(self.forms)

    def _ipython_key_completions_(self) -> list[str]:
        return list(dict.fromkeys([*self.forms, *codec.flatten(self.forms)]))

    def __len__(self) -> int:
        return len(self.forms)

    @property
    def flat(self) -> dict[str, Any]:
        """All values by dotted key."""
        return {key: self._values.data(form) for key, form in codec.flatten(self.forms).items()}

    def __repr__(self) -> str:
        shown = (f"{key!r}: {codec.describe(form, width=60)}" for key, form in self.forms.items())
        return "{" + ", ".join(shown) + "}"


def _nested(forms: Mapping[str, JSON], path: list[str]) -> JSON:
    """Return the form at a path that is a prefix of a flattened key."""
    found: JSON = dict(forms)
    for name in path:
        found = (codec.fields_of(found) or {})[name]
    return found
