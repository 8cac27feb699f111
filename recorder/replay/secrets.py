"""Redacted arguments that the user supplies for a replay.

The store has a keyed marker for each redacted value. The marker confirms that a supplied value is the recorded one,
while the store contains neither.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .. import codec
from ..codec import tag_of
from ..errors import ConfigError, RecorderError
from ..records import JSON, Record
from ..secrets.register import marker_of, same_key
from ..store.store import RunStore

VARIABLE_PREFIX = "RECORDER_SECRET_"
_PLACE = "config."


def variable_of(key: str) -> str:
    """Return the environment variable that ``--secret KEY`` reads: RECORDER_SECRET_DB_PASSWORD for ``db.password``."""
    return VARIABLE_PREFIX + "".join(c if c.isalnum() else "_" for c in key).upper()


def find_needed(store: RunStore, record: Record) -> dict[str, JSON]:
    """Return the placeholder of each redacted value in the config (``{"marker", "type"}``) by its key."""
    if not any(one.place.startswith(_PLACE) for one in record.redacted):
        return {}
    needed: dict[str, JSON] = {}

    def look(form: JSON, path: str, names: tuple[str, ...]) -> JSON:
        if tag_of(form) == "$redacted":
            needed[path] = form["$redacted"]
        return form

    for name, form in record.config.items():
        codec.replace_parts(_inline(store, form), name, (name,), look)
    return needed


def _inline(store: RunStore, form: JSON) -> JSON:
    try:
        return codec.inline(form, store.read)
    except RecorderError:
        return form  # the plan reports the missing object


def fill(store: RunStore, form: JSON, *, name: str, given: Mapping[str, JSON]) -> JSON:
    """Replace the redacted parts of an argument's form by the forms in `given`, by key; None for the others."""

    def put(part: JSON, path: str, names: tuple[str, ...]) -> JSON:
        return given.get(path) if tag_of(part) == "$redacted" else part

    return codec.replace_parts(codec.inline(form, store.read), name, (name,), put)


def match(needed: Mapping[str, Any], text: str) -> tuple[JSON, bool]:
    """Return the form of a value that is given as a string, and whether it is the recorded value.

    Args:
        needed: The placeholder, see `find_needed`.
        text: The value as a string.

    Raises:
        ConfigError: No string can express a value of that type.
    """
    forms = list(_forms(str(needed["type"]), text))
    if not forms:
        raise ConfigError(
            f"a redacted {needed['type']} cannot be given as a string; change it with --set"
        )
    for form in forms:
        if marker_of(form) == needed["marker"]:
            return form, True
    return forms[0], False


def _forms(type: str, text: str) -> Iterator[JSON]:
    if type == "str":
        yield codec.encode(text, inline_limit=None).form
    elif type in ("int", "float"):
        try:
            yield int(text) if type == "int" else float(text)
        except ValueError:
            return
    elif type in ("bytes", "bytearray"):
        yield {f"${type}": base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()}
    elif type.startswith("secret "):
        name = type.partition(" ")[2]
        inner = [*_forms("str", text), *_forms("bytes", text)]
        for form in reversed(inner) if name.endswith("Bytes") else inner:
            yield {"$secret": {"type": name, "value": form}}


def is_set(key: str, settings: Iterable[str]) -> bool:
    """Return whether a setting replaces the value of the key, directly or with a part of the config around it."""
    plain = key.replace("[", ".").replace("]", "")
    return any(plain == one or plain.startswith(f"{one}.") for one in settings)


class Given(msgspec.Struct, frozen=True):
    """The supplied secrets: a form by key, obstacles to the replay, and notes."""

    forms: dict[str, JSON]
    blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def take_secrets(
    store: RunStore, record: Record, *, secrets: Mapping[str, str], settings: Iterable[str]
) -> Given:
    """Compare the supplied values with the recorded markers.

    Raises:
        ConfigError: The run needs no secret of that key.
    """
    needed = find_needed(store, record)
    settings = tuple(settings)
    for key in secrets:
        if key not in needed:
            known = (
                f"it needs {', '.join(needed)}" if needed else "nothing in its config was redacted"
            )
            raise ConfigError(f"run {record.number} needs no secret {key!r}: {known}", key=key)
    given = Given({})
    blockers, notes = [], []
    for key in secrets:
        form, same = match(needed[key], secrets[key])
        given.forms[key] = form
        if not same and same_key(needed[key]["marker"]):
            blockers.append(
                f"the value for {key} is not the recorded one; to change it: --set {key}=VALUE"
            )
        elif not same:
            notes.append(
                f"recorder cannot tell whether {key} is the recorded value: it was redacted with another key"
            )
    missing = [key for key in needed if key not in secrets and not is_set(key, settings)]
    if missing:
        options = " ".join(f"--secret {key}" for key in missing)
        noun = "value" if len(missing) == 1 else "values"
        blockers.insert(
            0,
            f"it needs the {noun} of {', '.join(missing)}, redacted in the store; add {options} (which reads"
            f" {variable_of(missing[0])} or asks; or --secret KEY=VALUE)",
        )
    return Given(given.forms, tuple(blockers), tuple(notes))
