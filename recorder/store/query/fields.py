"""What stands under a name in a run's document: a field of the record, a key of the config, a metric, the result.

A bare name is a field (`FIELDS`), else a key of the config, else a metric's last value; ``config.``, ``metrics.`` and
``result.`` before it say which is meant, and ``metrics.loss.min`` (``max``, ``count``) more of a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ... import codec
from ...records import JSON

Document: TypeAlias = Mapping[str, JSON]
# Gives a value of a document.
Find: TypeAlias = Callable[[Document], Any]

# What a bare name means before it is looked for in the config: the field of the document behind it.
FIELDS: dict[str, tuple[str, ...]] = {
    "number": ("number",), "id": ("id",), "experiment": ("experiment",), "status": ("status",),
    "tags": ("tags",), "note": ("note",), "started": ("started",), "finished": ("finished",),
    "duration": ("duration_s",), "seed": ("seed_info", "value"), "verdict": ("verdict", "verdict"),
    "replay_of": ("replay_of",), "parent": ("parent",), "origin": ("origin",),
    "commit": ("code", "commit"), "branch": ("code", "branch"), "dirty": ("code", "dirty"),
    "snapshot": ("code", "snapshot"), "environment": ("environment",), "host": ("process", "host"),
    "user": ("process", "user"), "error": ("failure", "type"),
}  # fmt: skip
_SPACES = ("config", "metrics", "result")


def known_names(document: Document) -> set[str]:
    """Every name that a query may use for that run, besides `FIELDS`."""
    config = codec.flatten(document.get("config") or {})
    names = {*config, *(f"config.{key}" for key in config)}
    for key in list(config):
        parts = key.split(".")
        names |= {".".join(parts[:n]) for n in range(1, len(parts))}
    for metric in document.get("metrics") or {}:
        names |= {metric, f"metrics.{metric}"}
        names |= {f"metrics.{metric}.{part}" for part in ("last", "min", "max", "count")}
    result = document.get("result")
    if isinstance(result, Mapping):
        names |= {f"result.{key}" for key in codec.flatten(dict(result))}
    return names | {"result"}


def parse_key(name: str) -> Find:
    """What gives the value of a name, such as ``metrics.loss``, in a document; None where it has none."""
    field = FIELDS.get(name)
    if field is not None:
        return lambda document: _walk(document, field)
    space, _, rest = name.partition(".")
    if space in _SPACES and (rest or space == "result"):
        return lambda document: _in_space(document, space, rest)

    def bare(document: Document) -> Any:
        for where in ("config", "metrics"):
            found = _in_space(document, where, name)
            if found is not None:
                return found
        return None

    return bare


def _walk(document: Any, path: Iterable[str]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _in_space(document: Document, space: str, name: str) -> Any:
    if space == "metrics":
        return _metric(document.get("metrics") or {}, name)
    form = document.get(space)
    if not name:
        return _plain(form)
    return _plain(_nested(form, name))


def _nested(form: JSON, name: str) -> JSON:
    """What a form holds under a dotted name: a key with dots in it first."""
    fields = codec.fields_of(form)
    if fields is None:
        return None
    if name in fields:
        return fields[name]
    return next(
        (
            found
            for key, rest in _splits(name)
            if (found := _nested(fields.get(key), rest)) is not None
        ),
        None,
    )


def _splits(name: str) -> Iterator[tuple[str, str]]:
    parts = name.split(".")
    for n in range(1, len(parts)):
        yield ".".join(parts[:n]), ".".join(parts[n:])


def _metric(metrics: Mapping[str, Any], name: str) -> Any:
    if name in metrics:
        return _plain(metrics[name].get("last"))
    metric, _, part = name.rpartition(".")
    if metric in metrics and part in ("last", "min", "max", "count"):
        return _plain(metrics[metric].get(part))
    return None


def _plain(form: JSON) -> Any:
    """A form as a value to compare with: numbers as numbers, sequences as lists, the rest as it is shown."""
    tag = codec.tag_of(form)
    if tag is None:
        return [_plain(item) for item in form] if isinstance(form, list) else form
    said = form[tag]
    if tag in ("$float", "$int"):
        return float(said) if tag == "$float" else int(said)
    if tag in ("$tuple", "$set", "$frozenset"):
        return [_plain(item) for item in said]
    if tag == "$path":
        return FormText(said["text"])
    if tag == "$numpy":
        return _number(str(said["text"]))
    return FormText(codec.describe(form))


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return FormText(text)


class FormText(str):
    """The text of a form that plain JSON cannot say."""
