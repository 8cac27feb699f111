"""Forms: plain JSON that represents a Python value exactly.

Values that JSON represents exactly are their own form: None, bool, int up to 2**53, finite float, str, list, and dict
whose keys are strings that do not begin with ``$``. Any other value is a dict with one key, the tag, for example
``{"$tuple": [1, 2]}``. The functions of this module work on forms alone, without decoding them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..digest import canonical_json, digest_json, is_digest
from ..records import JSON

# Tags of unordered collections, whose members are sorted by their canonical JSON.
UNORDERED = frozenset({"$set", "$frozenset"})


def tag_of(form: JSON) -> str | None:
    """Return the tag of a form, or None for plain JSON."""
    if isinstance(form, dict) and len(form) == 1:
        key = next(iter(form))
        return key if isinstance(key, str) and key.startswith("$") else None
    return None


def canonical(form: JSON) -> JSON:
    """Return the form with the pairs of dicts sorted by their canonical JSON."""
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
    """Return the digest of the represented value; dicts with the same items in another order have the same digest.

    A form that was moved into an object has the same identity as the original form.
    """
    if tag_of(form) == "$json":
        return str(form["$json"]["identity"])
    return digest_json("value", canonical(form))


def references(form: JSON) -> frozenset[str]:
    """Return the digests of all payloads that the form refers to."""
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
    """Return True if the tag occurs anywhere in the form."""
    if isinstance(form, list):
        return any(has_tag(item, tag) for item in form)
    if isinstance(form, dict):
        return tag_of(form) == tag or any(has_tag(value, tag) for value in form.values())
    return False


# Called for each part of a form from the top down with the part, its path, and the names of the keys on the way to it.
# Returns a replacement, or the part itself to descend into it.
Replace = Callable[[JSON, str, tuple[str, ...]], JSON]
_LISTS = frozenset({"$tuple", "$set", "$frozenset"})
_FIELDS = frozenset({"$dataclass", "$instance", "$model", "$namedtuple"})


def replace_parts(form: JSON, path: str, names: tuple[str, ...], replace: Replace) -> JSON:
    """Return the form with parts replaced by `replace`. Payloads are not read."""
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
    content = form[tag]
    if tag in _LISTS:
        return {tag: [inner(part, f"[{i}]") for i, part in enumerate(content)]}
    if tag in _FIELDS:
        fields = {key: inner(part, f".{key}", key) for key, part in content["fields"].items()}
        return {tag: {**content, "fields": fields}}
    pairs = content if tag == "$dict" else content["items"] if tag == "$collection" else None
    if pairs is None:
        return form
    if tag == "$collection" and content["type"] == "deque":
        new_pairs = [inner(part, f"[{i}]") for i, part in enumerate(pairs)]
    else:
        new_pairs = [_replace_pair(key, part, inner) for key, part in pairs]
    return {tag: new_pairs if tag == "$dict" else {**content, "items": new_pairs}}


def _replace_pair(key: JSON, part: JSON, inner: Callable[..., JSON]) -> list[JSON]:
    key = inner(key, " key")
    name = (key,) if isinstance(key, str) else ()
    return [key, inner(part, f"[{describe(key, width=30)}]", *name)]


def redacted(marker: str, *, type: str) -> JSON:
    """Return the form that replaces a credential.

    `type` is the type of the value: ``str``, ``int``, ``module:QualName``, or ``secret module:QualName`` for pydantic's
    SecretStr and similar classes.
    """
    return {"$redacted": {"marker": marker, "type": type}}


def flatten(config: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the entries of nested dicts, and the fields of dataclasses and models, under dotted keys.

    Dicts with a key that contains a dot, and empty dicts, are not flattened, so that no two values share a key.
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
    """Return the entries of a plain dict, or the fields of a dataclass, instance or model; None for other forms."""
    tag = tag_of(form)
    if tag in ("$dataclass", "$instance", "$model"):
        fields: dict[str, JSON] = form[tag]["fields"]
        return fields
    if isinstance(form, dict) and tag is None:
        return form
    return None


def describe(form: JSON, *, width: int = 60) -> str:
    """Return a short description similar to repr, at most `width` characters, without decoding the form."""
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


def _describe_tagged(tag: str, content: Any, room: int) -> str:
    if tag in _PLAIN_TAGS:
        text: str = _PLAIN_TAGS[tag](content)
        return text
    if tag == "$tuple":
        return f"({_describe_items(content, room)}{',' if len(content) == 1 else ''})"
    if tag in UNORDERED:
        text = "{" + _describe_items(content, room) + "}" if content else "set()"
        return text if tag == "$set" else f"frozenset({text if content else ''})"
    if tag == "$dict":
        return "{" + _describe_pairs(content, room) + "}"
    if tag in ("$dataclass", "$instance", "$model", "$namedtuple"):
        return f"{_class_name(content['type'])}({_named(content['fields'], room)})"
    if tag == "$collection":
        return f"{content['type']}({_describe(content['items'], room)})"
    return f"<{tag[1:]} {_describe(content, room)}>"


def _class_name(name: str) -> str:
    return name.rpartition(":")[2]


def _sized(content: dict[str, Any], what: str) -> str:
    shape = ", ".join(str(n) for n in content.get("shape", []))
    return f"{what}[{shape}] {content['object'].removeprefix('blake3:')[:8]}"


_PLAIN_TAGS: dict[str, Any] = {
    "$float": lambda content: str(content),
    "$int": lambda content: str(content),
    "$str": lambda content: f"<str of {len(content)} base64 characters, not UTF-8>",
    "$bytes": lambda content: f"<{len(content) * 3 // 4} bytes>",
    "$bytearray": lambda content: f"<bytearray of {len(content) * 3 // 4} bytes>",
    "$complex": lambda content: f"({content[0]}+{content[1]}j)",
    "$path": lambda content: f"{content['type']}({content['text']!r})",
    "$datetime": lambda content: str(content["text"]).replace("T", " "),
    "$enum": lambda content: f"{_class_name(content['type'])}.{content['name']}",
    "$numpy": lambda content: f"{content['dtype']}({content['text']})",
    "$array": lambda content: _sized(content, content["dtype"]),
    "$tensor": lambda content: _sized(content, f"tensor {content['dtype']}"),
    "$frame": lambda content: _sized(content, content["type"]),
    "$name": lambda content: str(content).replace(":", "."),
    "$pickle": lambda content: (
        f"<{_class_name(content['type'])} {content['object'].removeprefix('blake3:')[:8]}>"
    ),
    "$opaque": lambda content: f"<{_class_name(content['type'])}, opaque>",
    "$json": lambda content: str(content["text"]),
    "$secret": lambda content: f"{_class_name(content['type'])}('**********')",
    "$redacted": lambda content: f"<redacted, {content['marker'].rpartition('-')[2][:8]}>",
}
