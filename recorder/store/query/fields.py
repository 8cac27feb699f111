"""Look up names in the document of a run: fields of the record, config keys, metrics, the result.

A bare name is a field (`FIELDS`), else a config key, else the last value of a metric. The prefixes ``config.``,
``metrics.`` and ``result.`` select one of these; ``metrics.loss.min`` (``max``, ``count``) gives more of a metric.

``inputs`` and ``outputs`` are the paths of the files that the run read and wrote (unless the config or a metric has
that name): ``"data.csv" in inputs``; ``inputs["data.csv"]`` is a digest, which equals the first digits of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ... import codec
from ...records import JSON

Document: TypeAlias = Mapping[str, JSON]
# A function that returns a value of a document.
Find: TypeAlias = Callable[[Document], Any]

# The path in the document of each name that is a field; such a name is not looked up in the config.
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
_FILES = ("inputs", "outputs")


def known_names(document: Document) -> set[str]:
    """Return all names, except `FIELDS`, that a query can use for that run."""
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
    for files, key in (("inputs", "path"), ("outputs", "name")):
        names |= {files, *(f"{files}.{one[key]}" for one in document.get(files) or ())}
    return names | {"result"}


def parse_key(name: str) -> Find:
    """Return a function that looks up a name, such as ``metrics.loss``, in a document, giving None if it is absent."""
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
        return _file(document, space, rest) if space in _FILES else None

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
    """Return the value of a dotted name in a form; a key that contains dots takes precedence."""
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


def _file(document: Document, files: str, path: str) -> Any:
    """Return the paths of all inputs or outputs, or the digest of one: by path, or by the end of a path."""
    key = "path" if files == "inputs" else "name"
    digests = {one[key]: one.get("digest") or "" for one in document.get(files) or ()}
    if not path:
        return Paths(digests)
    ending = [name for name in digests if name == path or name.endswith(f"/{path}")]
    name = path if path in digests else ending[0] if len(ending) == 1 else None
    return None if name is None else Digest(digests[name])


def _plain(form: JSON) -> Any:
    """Return a form as a value for comparisons: numbers, lists, and strings as they are displayed."""
    tag = codec.tag_of(form)
    if tag is None:
        return [_plain(item) for item in form] if isinstance(form, list) else form
    content = form[tag]
    if tag in ("$float", "$int"):
        return float(content) if tag == "$float" else _integer(content)
    if tag in ("$tuple", "$set", "$frozenset"):
        return [_plain(item) for item in content]
    if tag == "$path":
        return FormText(content["text"])
    if tag == "$numpy":
        return _number(str(content["text"]))
    return FormText(codec.describe(form))


def _integer(text: str) -> Any:
    try:
        return int(text)
    except ValueError:  # more digits than `sys.get_int_max_str_digits`
        return FormText(text)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return FormText(text)


class FormText(str):
    """The displayed string of a value that has no plain JSON form."""


class Digest(str):
    """The digest of a file."""


class Paths(list[str]):
    """The paths of files; ``in`` also finds the end of a path, as `recorder cat` does."""

    def __contains__(self, path: object) -> bool:
        return any(name == path or name.endswith(f"/{path}") for name in self)
