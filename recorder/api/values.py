"""Values of a run as Python has them: what is data is made, what would run code is described until it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import codec
from ..errors import TrustError
from ..records import JSON, Record
from ..store.content.contents import nearest
from ..store.signature import is_trusted
from ..store.store import RunStore

# Nothing can make a value of these, trusted or not.
_WITHOUT_VALUE = ("$opaque", "$redacted")


class Tagged:
    """A value that is described and not made: to make it would import or unpickle what the user wrote.

    Instances of classes of the user's, functions, enums, pickles; also what has no value any more (a credential that
    was redacted, what nothing could encode). `tag` says which, ``dataclass``; `form` is the codec's form.
    """

    def __init__(self, form: JSON, values: Values) -> None:
        self.form = form
        self._values = values

    @property
    def tag(self) -> str:
        """What it is: ``dataclass``, ``enum``, ``pickle``, ``redacted``, ..."""
        return (codec.tag_of(self.form) or "").removeprefix("$")

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of an instance by name, as data; none where it has no such."""
        found = codec.fields_of(self.form) or {}
        return {name: self._values.data(form) for name, form in found.items()}

    def load(self) -> Any:
        """The value itself, by importing its class or unpickling it. Raises TrustError, DecodeError."""
        return self._values.value(self.form)

    def __repr__(self) -> str:
        return codec.describe(self.form, width=200)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tagged) and codec.identity(self.form) == codec.identity(other.form)

    def __hash__(self) -> int:
        return hash(codec.identity(self.form))


class Values:
    """Makes values of the forms in one run's record."""

    def __init__(self, store: RunStore, record: Record) -> None:
        self._store = store
        self._record = record

    def data(self, form: JSON) -> Any:
        """The value, with a `Tagged` wherever to make it would run code or needs a package that is not here."""
        try:
            return codec.decode_data(form, self._store.read, instead=self._tagged)
        except ImportError:
            return codec.decode_data(form, None, instead=self._tagged)

    def value(self, form: JSON) -> Any:
        """All of the value; user code is imported and pickles are loaded where the run is one's own.

        Raises TrustError where it is not, DecodeError, ObjectNotFoundError, or ImportError.
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
    """Raises TrustError for a run whose code may not be run unasked; `what` is what would."""
    if not is_trusted(record):
        number = record.number
        raise TrustError(
            f"{what} of run {number} is not loaded: that runs code, and somebody else signed the run, or it was"
            f" changed since; store.trust({number}) if you know where it is from",
            run=number,
        )


class Config(Mapping[str, Any]):
    """A run's arguments by name, or nested ones by dotted keys, as values; what would run code is `Tagged`.

    >>> record.config["lr"]
    0.1
    >>> record.config["optim.momentum"]
    0.9
    >>> record.config["layers"]
    (32, 16)

    `flat` has all of it by dotted keys, `forms` what the record holds.
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
        """Every value by its dotted key."""
        return {key: self._values.data(form) for key, form in codec.flatten(self.forms).items()}

    def __repr__(self) -> str:
        shown = (f"{key!r}: {codec.describe(form, width=60)}" for key, form in self.forms.items())
        return "{" + ", ".join(shown) + "}"


def _nested(forms: Mapping[str, JSON], path: list[str]) -> JSON:
    """The form below which the dotted key leads, which `flatten` has gone through."""
    found: JSON = dict(forms)
    for name in path:
        found = (codec.fields_of(found) or {})[name]
    return found
