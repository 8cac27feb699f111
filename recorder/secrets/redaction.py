"""Redaction of encoded values: each credential is replaced by ``{"$redacted": ...}`` before anything is written.

A value is redacted as a whole: a URL that contains a password, or a pickled object that contains one anywhere, just
like a plain password.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import codec
from ..codec import tag_of
from ..records import JSON
from .contents import texts_of
from .names import is_about, is_secret_result, kind_of, promises_secret
from .register import Secrets

# Searching a larger payload would take a second, so only its attributes are searched.
MAX_PAYLOAD_BYTES = 1 << 25
_BYTES = frozenset({"$str", "$bytes", "$bytearray", "$uuid"})
_SAFE = frozenset(
    {"$redacted", "$array", "$tensor", "$frame", "$json", "$numpy", "$dtype", "$device", "$name"}
)
_INSIDE = frozenset(
    {
        "$tuple",
        "$set",
        "$frozenset",
        "$dict",
        "$dataclass",
        "$instance",
        "$model",
        "$namedtuple",
        "$collection",
    }
)


class Redaction:
    """A redaction of forms that lists each credential in `secrets` under ``PLACE.path``."""

    def __init__(
        self, secrets: Secrets, *, place: str, encoded: codec.Encoded, is_result: bool = False
    ) -> None:
        self._secrets = secrets
        self._place = place
        self._encoded = encoded
        self._is_result = is_result
        self._promises = is_secret_result if is_result else promises_secret

    def apply(self, form: JSON, path: str = "") -> JSON:
        """Return the form without credentials, or the same form if it has none."""
        if not isinstance(form, list | dict):
            return self._replace(form, path, (path,) if path else ())
        return codec.replace_parts(form, path, (path,) if path else (), self._replace)

    def _replace(self, form: JSON, path: str, names: tuple[str, ...]) -> JSON:
        kind = type(form)
        if form is None or kind is bool:
            return form
        if self._secrets.public and self._secrets.is_named(path, self._secrets.public):
            return form
        if kind is str:
            reason = self._text_reason(form, path, names)
            return self._redact(form, path, reason, "str") if reason else form
        if kind in (int, float):
            reason = self._number_reason(path, names)
            return self._redact(form, path, reason, kind.__name__) if reason else form
        if kind is dict:
            tag = tag_of(form)
            return (
                self._clean_keys(form, path)
                if tag is None
                else self._tagged(form, tag, path, names)
            )
        return form

    def _redact(self, form: JSON, path: str, reason: str, type: str) -> JSON:
        where = f"{self._place}.{path}" if path else self._place
        if isinstance(form, str):
            self._secrets.know(form, f"the value of {where}")
        return codec.redacted(self._secrets.note(where, form, reason), type=type)

    # Reasons

    def _named_reason(self, path: str) -> str:
        named = self._secrets.named
        return "named by the experiment" if named and self._secrets.is_named(path, named) else ""

    def _text_reason(self, text: str, path: str, names: tuple[str, ...]) -> str:
        if not text:
            return ""
        reason = self._named_reason(path)
        if not reason and names:
            reason = self._name_reason(text, names)
        return reason or self._secrets.reason(text)

    def _name_reason(self, text: str, names: tuple[str, ...]) -> str:
        own = names[-1]
        if self._promises(kind_of(own), text):
            return f"the name {own}"
        if len(names) > 1 and not is_about(own):
            for name in names[:-1]:
                kind = kind_of(name)
                if kind is not None and self._promises(kind, text):
                    return f"the name {name}"
        return ""

    def _number_reason(self, path: str, names: tuple[str, ...]) -> str:
        """Return the reason to redact a number. A name can mark a number only as a password."""
        if not self._is_result and names and kind_of(names[-1]) == "password":
            return f"the name {names[-1]}"
        return self._named_reason(path)

    # Tagged forms

    def _tagged(self, form: JSON, tag: str, path: str, names: tuple[str, ...]) -> JSON:
        if tag in ("$set", "$frozenset"):
            return self._set(form, tag, path, names)
        if tag in _INSIDE:
            return form
        reason = self._tagged_reason(form, tag, path, names)
        if not reason:
            return form
        text = _text_in(form, tag)
        if text is not None:
            self._secrets.know(text, f"the value of {path}")
        content = form[tag]
        type = str(content["type"]) if isinstance(content, dict) and "type" in content else tag[1:]
        if tag == "$secret":
            type = f"secret {type}"
        return self._redact(form, path, reason, type)

    def _tagged_reason(self, form: JSON, tag: str, path: str, names: tuple[str, ...]) -> str:
        reason = self._named_reason(path)
        if reason or (tag in _SAFE):
            return reason if tag != "$redacted" else ""
        if tag == "$secret":
            return "a value of a type for secrets"
        if tag == "$pickle":
            return self._pickle_reason(form[tag]["object"], names)
        text = _text_in(form, tag)
        if text is not None:
            return self._text_reason(text, path, names)
        for text in _texts(form[tag]):
            reason = self._secrets.reason(text)
            if reason:
                return reason
        return ""

    def _set(self, form: JSON, tag: str, path: str, names: tuple[str, ...]) -> JSON:
        """Redact a set as a whole, because its items have no paths."""
        for item in form[tag]:
            if codec.replace_parts(item, path, names, self._replace) != item:
                return self._redact(form, path, "a set with a credential in it", tag[1:])
        return form

    def _clean_keys(self, form: dict[str, JSON], path: str) -> JSON:
        """Redact a dict as a whole if a key contains a credential, because keys appear in paths."""
        for key in form:
            reason = self._secrets.reason(key)
            if reason:
                return self._redact(form, path, f"a key with {reason}", "dict")
        return form

    def _pickle_reason(self, digest: str, names: tuple[str, ...]) -> str:
        if names and kind_of(names[-1]) in ("password", "secret"):
            return f"the name {names[-1]}"
        reason = self._contents_reason(self._encoded.pickled.get(digest))
        if reason:
            return reason
        payload = self._encoded.objects.get(digest, b"")
        return self._secrets.payload_reason(payload) if len(payload) <= MAX_PAYLOAD_BYTES else ""

    def _contents_reason(self, value: Any) -> str:
        found = ""
        for name, text in texts_of(value):
            if self._promises(kind_of(name), text):
                found = f"it has {name}"
                self._secrets.know(text, f"the name {name}")
            else:
                found = found or self._secrets.reason(text)
        return found


def _text_in(form: JSON, tag: str) -> str | None:
    """Return the string that a tagged form of a string or of bytes represents, or None for any other form."""
    if tag == "$secret":
        inner = form[tag]["value"]
        return inner if isinstance(inner, str) else _text_in(inner, tag_of(inner) or "")
    if tag not in _BYTES:
        return None
    value = codec.decode(form, _no_payload)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "surrogateescape")
    return str(value)


def _no_payload(digest: str) -> bytes:
    raise KeyError(digest)


def _texts(content: Any) -> Iterator[str]:
    """Yield every string in the content of a tagged form."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)


def redact_encoded(
    encoded: codec.Encoded, secrets: Secrets, *, place: str, path: str = "", is_result: bool = False
) -> codec.Encoded:
    """Redact an encoded value (with no `inline_limit`), outline it, and drop the payloads it no longer refers to.

    In a result (`is_result`), ambiguous names count only if the value looks random, and numbers do not count.
    """
    redaction = Redaction(secrets, place=place, encoded=encoded, is_result=is_result)
    form = redaction.apply(encoded.form, path)
    # Most values of a config are scalars, which need no outlining.
    if form is None or type(form) in (bool, int, float):
        return encoded if form is encoded.form else encoded._replace(form=form, objects={})
    objects = dict(encoded.objects)
    form = codec.outline(form, objects)
    named = codec.references(form)
    return encoded._replace(form=form, objects={d: p for d, p in objects.items() if d in named})
