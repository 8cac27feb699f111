"""The values that a replay needs from its user: what was redacted in the config, and put back from a text.

A value's keyed marker says whether the one given is the one recorded, without either being in the store.
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
    """The environment variable from which ``--secret KEY`` reads: ``db.password`` from RECORDER_SECRET_DB_PASSWORD."""
    return VARIABLE_PREFIX + "".join(c if c.isalnum() else "_" for c in key).upper()


def find_needed(store: RunStore, record: Record) -> dict[str, JSON]:
    """What stands in the config for each redacted value (``{"marker", "type"}``), by its key."""
    if not any(one.place.startswith(_PLACE) for one in record.redacted):
        return {}
    found: dict[str, JSON] = {}

    def look(form: JSON, path: str, names: tuple[str, ...]) -> JSON:
        if tag_of(form) == "$redacted":
            found[path] = form["$redacted"]
        return form

    for name, form in record.config.items():
        codec.replace_parts(_inline(store, form), name, (name,), look)
    return found


def _inline(store: RunStore, form: JSON) -> JSON:
    try:
        return codec.inline(form, store.read)
    except RecorderError:
        return form  # the object is missing, which the plan says


def fill(store: RunStore, form: JSON, *, name: str, given: Mapping[str, JSON]) -> JSON:
    """The argument's form with the forms of `given`, by key, in the place of what was redacted, None for the rest."""

    def put(part: JSON, path: str, names: tuple[str, ...]) -> JSON:
        return given.get(path) if tag_of(part) == "$redacted" else part

    return codec.replace_parts(codec.inline(form, store.read), name, (name,), put)


def match(needed: Mapping[str, Any], text: str) -> tuple[JSON, bool]:
    """The form of the value that a text gives, and whether it is the recorded one.

    Raises ConfigError where no text can give such a value.
    """
    forms = list(_forms(str(needed["type"]), text))
    if not forms:
        raise ConfigError(
            f"a redacted {needed['type']} cannot be given as a text: change it with --set"
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
    """Whether one of the settings gives the key another value, by itself or with all that it lies in."""
    plain = key.replace("[", ".").replace("]", "")
    return any(plain == one or plain.startswith(f"{one}.") for one in settings)


class Given(msgspec.Struct, frozen=True):
    """What came of the values given: a form for each key, what stands in the way, and what to say."""

    forms: dict[str, JSON]
    blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def take_secrets(
    store: RunStore, record: Record, *, secrets: Mapping[str, str], settings: Iterable[str]
) -> Given:
    """Hold the values given against the recorded markers. Raises ConfigError for a key that needs none."""
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
                f"the value given for {key} is not the recorded one: to change it, write --set {key}=VALUE"
            )
        elif not same:
            notes.append(
                f"whether {key} is the recorded value cannot be told: it was redacted under another key"
            )
    missing = [key for key in needed if key not in secrets and not is_set(key, settings)]
    if missing:
        blockers.insert(0, _ask(missing))
    return Given(given.forms, tuple(blockers), tuple(notes))


def _ask(missing: list[str]) -> str:
    options = " ".join(f"--secret {key}" for key in missing)
    which = "value" if len(missing) == 1 else "values"
    return (
        f"it needs the {which} of {', '.join(missing)}, redacted in the store: add {options} (reads"
        f" {variable_of(missing[0])}, or asks; --secret KEY=VALUE gives it)"
    )
