"""The credentials of a run: the known ones, and the places where each was redacted.

`.names` recognizes credentials by name, `.patterns` by format. A value found under such a name, in the config or in
the environment variables, counts as a credential wherever else it appears.
"""

from __future__ import annotations

import functools
import json
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .. import codec
from ..digest import PREFIX, canonical_json, keyed_digest
from ..records import JSON, Redacted
from . import patterns
from .key import derive
from .names import SecretKind, is_plain, kind_of, promises_secret
from .scrub import REDACTED

# A shorter text is too often part of another one to be searched for everywhere.
KNOWN_CHARACTERS = 8
_MAX_VALUE = 1 << 16


def marker_of(form: JSON) -> str:
    """Return the keyed marker of a value's form, ``KEY-MARKER`` in hex digits. KEY identifies the user's key."""
    digest = keyed_digest(
        canonical_json(codec.canonical(form)), key=derive("recorder redacted value 1")
    )
    return f"{derive('recorder key name 1').hex()[:8]}-{digest.hex()[:24]}"


def same_key(marker: str) -> bool:
    """Return True if the marker was made with this process's key."""
    return marker.partition("-")[0] == derive("recorder key name 1").hex()[:8]


def secret_digest(digest: str) -> str:
    """Return the keyed digest of a file of credentials. Short contents cannot be guessed from it."""
    return PREFIX + keyed_digest(digest.encode(), key=derive("recorder secret file 1")).hex()


class Secrets:
    """The credentials of one run, and the places where each was redacted.

    `named` are config keys (dotted) whose values are always credentials, `public` those whose values never are.
    """

    def __init__(self, *, named: Sequence[str] = (), public: Sequence[str] = ()) -> None:
        self.named = tuple(named)
        self.public = tuple(public)
        self._known: dict[str, str] = dict(known_variables())
        # The reasons of credentials that are single words, and so not searched for.
        self.plain: dict[str, None] = {}
        self._bytes: tuple[bytes, ...] | None = None
        self._found: dict[tuple[str, str], Redacted] = {}

    @property
    def found(self) -> tuple[Redacted, ...]:
        """The redacted values, sorted by place."""
        return tuple(sorted(self._found.values(), key=lambda found: (found.place, found.marker)))

    @property
    def count(self) -> int:
        """The number of credentials known by their text."""
        return len(self._known)

    @property
    def values(self) -> tuple[bytes, ...]:
        """The known credentials as they may appear in a text."""
        if self._bytes is None:
            texts = {variant for text in self._known for variant in _variants(text)}
            self._bytes = tuple(text.encode("utf-8", "surrogatepass") for text in texts)
        return self._bytes

    def know(self, text: str, reason: str) -> bool:
        """Search for this text everywhere from now on, and return True if it was not known before.

        A single word is not searched for: it would blank that word in every other text. It is listed in `plain`.
        """
        if len(text) >= KNOWN_CHARACTERS and is_plain(text):
            self.plain[reason] = None
            return False
        if not KNOWN_CHARACTERS <= len(text) <= _MAX_VALUE or text in self._known:
            return False
        self._known[text] = reason
        self._bytes = None
        return True

    def refresh(self) -> None:
        """Take in the environment variables again: the program may have set one since."""
        for text, reason in known_variables().items():
            self.know(text, reason)

    def blank(self, path: Path, place: str, values: Sequence[bytes]) -> None:
        """Overwrite `values` in a file by asterisks of the same length, and list them under `place`."""
        try:
            data = path.read_bytes()
        except OSError:
            return  # not captured
        spans = [span for value in values for span in _places(data, value)]
        if spans:
            with path.open("r+b") as file:
                for start, end in spans:
                    self.note_text(place, data[start:end])
                    file.seek(start)
                    file.write(b"*" * (end - start))

    def note(self, place: str, form: JSON, reason: str) -> str:
        """List a redacted value and return its marker."""
        marker = marker_of(form)
        self._found.setdefault((place, marker), Redacted(place=place, marker=marker, reason=reason))
        return marker

    def add(self, found: Sequence[Redacted]) -> None:
        """List values that were redacted elsewhere."""
        self._found.update({(item.place, item.marker): item for item in found})

    def reason(self, text: str) -> str:
        """Return the reason why the text is or contains a credential, whatever its name, or ""."""
        for known, reason in self._known.items():
            if known in text:
                return reason
        return format_of(text)

    def payload_reason(self, data: bytes) -> str:
        """Return the reason why the bytes contain a credential, or ""."""
        for known, reason in self._known.items():
            if known.encode("utf-8", "surrogatepass") in data:
                return reason
        return (patterns.name_of(data) or "a known format") if patterns.find(data) else ""

    def scrub(self, text: str, place: str) -> str:
        """Return the text without credentials. What was removed is listed under `place`."""
        data = text.encode("utf-8", "surrogatepass")
        parts: list[bytes] = []
        at = 0
        for start, end in patterns.find(data, self.values):
            self.note_text(place, data[start:end])
            parts += (data[at:start], REDACTED)
            at = end
        if not parts:
            return text
        return b"".join((*parts, data[at:])).decode("utf-8", "surrogatepass")

    def note_text(self, place: str, data: bytes) -> None:
        """List a credential that was removed from a text."""
        text = data.decode("utf-8", "surrogateescape")
        known = self._known.get(text)
        form = codec.encode(text, inline_limit=None).form
        self.note(place, form, known or patterns.name_of(data) or "a credential in a text")

    def is_named(self, path: str, keys: Sequence[str]) -> bool:
        """Return True if the user named that place of the config, or one that contains it."""
        return any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in keys)

    def scrub_arguments(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return a command line without credentials: values of options with telling names, and known formats."""
        found: list[str] = []
        for i, arg in enumerate(argv):
            place = f"argv[{i}]"
            option, equals, value = arg.partition("=")
            before = argv[i - 1] if i else ""
            if equals and promises_secret(_argument_kind(option), value):
                self.note(place, value, f"the value of {option.lstrip('-')}")
                found.append(f"{option}={REDACTED.decode()}")
            elif (
                before.startswith("-")
                and "=" not in before
                and not arg.startswith("--")
                and promises_secret(_argument_kind(before), arg)
            ):
                self.note(place, arg, f"the value of {before}")
                found.append(REDACTED.decode())
            elif arg in self._known:
                self.note(place, arg, self._known[arg])
                found.append(REDACTED.decode())
            else:
                found.append(self.scrub(arg, place))
        return tuple(found)


def format_of(text: str) -> str:
    """Return the name of the known format of a credential in the text, or ""."""
    if len(text) < patterns.SHORTEST and "=" not in text and ":" not in text:
        return ""
    return _short_format(text) if len(text) <= 256 else _format_in(text)


def _format_in(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return (patterns.name_of(data) or "a known format") if patterns.find(data) else ""


# In a sweep, every run has the same strings.
_short_format = functools.lru_cache(maxsize=2048)(_format_in)


def _places(data: bytes, value: bytes) -> Iterator[tuple[int, int]]:
    at = data.find(value)
    while at >= 0:
        yield at, at + len(value)
        at = data.find(value, at + len(value))


def _argument_kind(option: str) -> SecretKind | None:
    return kind_of(option.lstrip("-+").rpartition(".")[2])


def _variants(text: str) -> Iterator[str]:
    """Yield the text as it is, and as repr, JSON, and URLs write it."""
    yield text
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield urllib.parse.quote(text, safe="")
    yield urllib.parse.quote_plus(text)


def known_variables() -> Mapping[str, str]:
    """Return the credentials in this process's environment variables, with the reason, by value."""
    found = {}
    for name in os.environ:
        kind = kind_of(name)
        if kind is not None:
            value = os.environ.get(name, "")
            if (
                len(value) >= KNOWN_CHARACTERS
                and promises_secret(kind, value)
                and not is_plain(value)
                and not _is_path(value)
            ):
                found[value] = f"the value of the variable {name}"
    return found


@functools.lru_cache(maxsize=64)
def _is_path(value: str) -> bool:
    """Return True for the path of an existing file, as in GOOGLE_APPLICATION_CREDENTIALS. A path is not a secret."""
    try:
        return value.startswith(("/", "~", ".")) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
