"""Forms: JSON that says exactly what a value was, and what can be told from a form alone.

A form is plain JSON where plain JSON says it exactly: None, bool, int up to 2**53, a finite float, str, list, and
a dict whose keys are strings that do not begin with ``$``. Anything else is a dict of one key, the tag:
``{"$tuple": [1, 2]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..digest import canonical_json, digest_json, is_digest
from ..records import JSON

# Tags whose list has no order of its own, and is written in the order of its members' canonical text.
UNORDERED = frozenset({"$set", "$frozenset"})


def tag_of(form: JSON) -> str | None:
    """The form's tag, None for plain JSON."""
    if isinstance(form, dict) and len(form) == 1:
        key = next(iter(form))
        return key if isinstance(key, str) and key.startswith("$") else None
    return None


def canonical(form: JSON) -> JSON:
    """The form with what has no order (the pairs of a dict) in the order of its canonical text."""
    if isinstance(form, list):
        return [canonical(item) for item in form]
    if not isinstance(form, dict):
        return form
    tag = tag_of(form)
    if tag == "$dict":
        return {"$dict": sorted((canonical(pair) for pair in form["$dict"]), key=canonical_json)}
    if tag == "$opaque":
        return form
    return {key: canonical(value) for key, value in form.items()}


def identity(form: JSON) -> str:
    """The digest of what the form says: equal dicts in another order have the same.

    A form kept as an object has the identity of the form that it stands for.
    """
    if tag_of(form) == "$json":
        return str(form["$json"]["identity"])
    return digest_json("value", canonical(form))


def references(form: JSON) -> frozenset[str]:
    """The digest of every payload that the form names."""
    return frozenset(_references(form))


def _references(form: JSON) -> Iterator[str]:
    if isinstance(form, list):
        for item in form:
            yield from _references(item)
    elif isinstance(form, dict):
        for key, value in form.items():
            if key == "object" and is_digest(value):
                yield value
            elif key == "objects" and isinstance(value, list):
                yield from (item for item in value if is_digest(item))
            else:
                yield from _references(value)


def has_tag(form: JSON, tag: str) -> bool:
    """Whether the tag stands anywhere in the form."""
    if isinstance(form, list):
        return any(has_tag(item, tag) for item in form)
    if isinstance(form, dict):
        return tag_of(form) == tag or any(has_tag(value, tag) for value in form.values())
    return False


# Sees each part of a form from the top downwards: its path, the names on the way to it. What it gives takes the
# part's place; the part itself lets what is inside be seen.
Replace = Callable[[JSON, str, tuple[str, ...]], JSON]
_LISTS = frozenset({"$tuple", "$set", "$frozenset"})
_FIELDS = frozenset({"$dataclass", "$instance", "$model", "$namedtuple"})


def replace_parts(form: JSON, path: str, names: tuple[str, ...], replace: Replace) -> JSON:
    """The form with parts of it replaced, the same form where none is. Payloads are not looked into."""
    new = replace(form, path, names)
    if new is not form or not isinstance(form, list | dict):
        return new

    def inner(part: JSON, step: str, *name: str) -> JSON:
        return replace_parts(part, path + step, (*names, *name), replace)

    if isinstance(form, list):
        return [inner(part, f"[{i}]") for i, part in enumerate(form)]
    tag = tag_of(form)
    if tag is None:
        return {key: inner(part, f".{key}" if path else key, key) for key, part in form.items()}
    said = form[tag]
    if tag in _LISTS:
        return {tag: [inner(part, f"[{i}]") for i, part in enumerate(said)]}
    if tag in _FIELDS:
        fields = {key: inner(part, f".{key}", key) for key, part in said["fields"].items()}
        return {tag: {**said, "fields": fields}}
    pairs = said if tag == "$dict" else said["items"] if tag == "$collection" else None
    if pairs is None:
        return form
    if tag == "$collection" and said["type"] == "deque":
        new_pairs = [inner(part, f"[{i}]") for i, part in enumerate(pairs)]
    else:
        new_pairs = [_replace_pair(key, part, inner) for key, part in pairs]
    return {tag: new_pairs if tag == "$dict" else {**said, "items": new_pairs}}


def _replace_pair(key: JSON, part: JSON, inner: Callable[..., JSON]) -> list[JSON]:
    key = inner(key, " key")
    name = (key,) if isinstance(key, str) else ()
    return [key, inner(part, f"[{describe(key, width=30)}]", *name)]


def redacted(marker: str, *, type: str) -> JSON:
    """The form that stands for a credential: its marker, and the type of the value.

    That is ``str``, ``int``, ``module:QualName``, or ``secret module:QualName`` for pydantic's SecretStr and its like.
    """
    return {"$redacted": {"marker": marker, "type": type}}


def flatten(config: Mapping[str, JSON]) -> dict[str, JSON]:
    """Nested dicts and the fields of dataclasses and models under dotted keys.

    A key that holds a dot, and an empty dict, stay as they are, so that nothing is lost or runs together.
    """
    flat: dict[str, JSON] = {}
    for key, form in config.items():
        for path, leaf in _leaves(key, form):
            flat[path] = leaf
    return flat


def _leaves(path: str, form: JSON) -> Iterator[tuple[str, JSON]]:
    inner = fields_of(form)
    if not inner or any("." in key or not key for key in inner):
        yield path, form
    else:
        for key, value in inner.items():
            yield from _leaves(f"{path}.{key}", value)


def fields_of(form: JSON) -> dict[str, JSON] | None:
    """What the form holds by name: a plain dict's entries, a dataclass's or model's fields; None without."""
    tag = tag_of(form)
    if tag in ("$dataclass", "$instance", "$model"):
        fields: dict[str, JSON] = form[tag]["fields"]
        return fields
    if isinstance(form, dict) and tag is None:
        return form
    return None


def describe(form: JSON, *, width: int = 60) -> str:
    """A short text of what the form says, much like repr, at most `width` characters; it decodes nothing."""
    text = " ".join(_describe(form, width).split())
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _describe(form: JSON, room: int) -> str:
    tag = tag_of(form)
    if tag is not None:
        return _describe_tagged(tag, form[tag], room)
    if isinstance(form, list):
        return f"[{_describe_items(form, room)}]"
    if isinstance(form, dict):
        return "{" + _describe_pairs([[k, v] for k, v in form.items()], room) + "}"
    return repr(form)


def _describe_items(items: list[JSON], room: int) -> str:
    parts: list[str] = []
    for item in items:
        if room <= 0:
            parts.append("…")
            break
        parts.append(_describe(item, room))
        room -= len(parts[-1]) + 2
    return ", ".join(parts)


def _describe_pairs(pairs: list[list[JSON]], room: int) -> str:
    parts: list[str] = []
    for key, value in pairs:
        if room <= 0:
            parts.append("…")
            break
        parts.append(f"{_describe(key, room)}: {_describe(value, room)}")
        room -= len(parts[-1]) + 2
    return ", ".join(parts)


def _named(pairs: Mapping[str, JSON], room: int) -> str:
    return ", ".join(
        f"{key}={_describe(value, room)}" for key, value in list(pairs.items())[: room // 3 + 1]
    )


def _describe_tagged(tag: str, said: Any, room: int) -> str:
    if tag in _PLAIN_TAGS:
        text: str = _PLAIN_TAGS[tag](said)
        return text
    if tag == "$tuple":
        return f"({_describe_items(said, room)}{',' if len(said) == 1 else ''})"
    if tag in UNORDERED:
        text = "{" + _describe_items(said, room) + "}" if said else "set()"
        return text if tag == "$set" else f"frozenset({text if said else ''})"
    if tag == "$dict":
        return "{" + _describe_pairs(said, room) + "}"
    if tag in ("$dataclass", "$instance", "$model", "$namedtuple"):
        return f"{_class_name(said['type'])}({_named(said['fields'], room)})"
    if tag == "$collection":
        return f"{said['type']}({_describe(said['items'], room)})"
    return f"<{tag[1:]} {_describe(said, room)}>"


def _class_name(name: str) -> str:
    return name.rpartition(":")[2]


def _sized(said: dict[str, Any], what: str) -> str:
    shape = ", ".join(str(n) for n in said.get("shape", []))
    return f"{what}[{shape}] {said['object'].removeprefix('blake3:')[:8]}"


_PLAIN_TAGS: dict[str, Any] = {
    "$float": lambda said: str(said),
    "$int": lambda said: str(said),
    "$str": lambda said: f"<str of {len(said)} base64 characters, not UTF-8>",
    "$bytes": lambda said: f"<{len(said) * 3 // 4} bytes>",
    "$bytearray": lambda said: f"<bytearray of {len(said) * 3 // 4} bytes>",
    "$complex": lambda said: f"({said[0]}+{said[1]}j)",
    "$path": lambda said: f"{said['type']}({said['text']!r})",
    "$datetime": lambda said: str(said["text"]).replace("T", " "),
    "$enum": lambda said: f"{_class_name(said['type'])}.{said['name']}",
    "$numpy": lambda said: f"{said['dtype']}({said['text']})",
    "$array": lambda said: _sized(said, said["dtype"]),
    "$tensor": lambda said: _sized(said, f"tensor {said['dtype']}"),
    "$frame": lambda said: _sized(said, said["type"]),
    "$name": lambda said: str(said).replace(":", "."),
    "$pickle": lambda said: (
        f"<{_class_name(said['type'])} {said['object'].removeprefix('blake3:')[:8]}>"
    ),
    "$opaque": lambda said: f"<{_class_name(said['type'])}, opaque>",
    "$json": lambda said: str(said["text"]),
    "$secret": lambda said: f"{_class_name(said['type'])}('**********')",
    "$redacted": lambda said: f"<redacted, {said['marker'].rpartition('-')[2][:8]}>",
}
