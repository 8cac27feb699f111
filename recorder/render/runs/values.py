"""Values and folders in full, for ``recorder cat``."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence

from ... import codec
from ...errors import DecodeError
from ...records import JSON
from ...store.objects.trees import TreeEntry
from ..text import printable, size

# A container that fits this width stays on one line.
_LINE = 88
# Forms that numpy, torch or pandas decode, and that contain no code.
_TABLES = ("$array", "$tensor", "$frame")


def value_text(form: JSON, load: Callable[[str], bytes]) -> str | bytes:
    """Return a value in full, with a newline; bytes and strings unchanged. Nothing is unpickled or imported."""
    form = codec.inline(form, load)
    tag = codec.tag_of(form)
    if isinstance(form, str):
        return form if form.endswith("\n") else f"{form}\n"
    if tag in ("$bytes", "$bytearray"):
        return base64.b64decode(form[tag])
    if tag in _TABLES:
        return f"{_table(form, load)}\n"
    if _is_plain(form):
        return json.dumps(form, indent=2, ensure_ascii=False) + "\n"
    return "".join(_lines(form, "", "")) + "\n"


def _table(form: JSON, load: Callable[[str], bytes]) -> str:
    try:
        return str(codec.decode(form, load))
    except (ImportError, DecodeError) as error:
        return f"{codec.describe(form)}  (cannot be read here: {error})"


def _is_plain(form: JSON) -> bool:
    """Return True if plain JSON represents the value completely."""
    if isinstance(form, list):
        return all(map(_is_plain, form))
    if isinstance(form, dict):
        return codec.tag_of(form) is None and all(map(_is_plain, form.values()))
    return True


def _lines(form: JSON, indent: str, end: str) -> Iterator[str]:
    """Yield the form as Python would write it, long containers over several lines."""
    short = codec.describe(form, width=_LINE)
    fields = None if codec.tag_of(form) else form if isinstance(form, dict) else None
    items = form if isinstance(form, list) else None
    if len(short) < _LINE - len(indent) or (not fields and not items):
        yield (short if len(short) < _LINE else codec.describe(form, width=1 << 40)) + end
        return
    inner = f"{indent}  "
    yield "{\n" if fields else "[\n"
    for key, value in (fields or {}).items():
        yield f"{inner}{key!r}: "
        yield from _lines(value, inner, ",\n")
    for value in items or ():
        yield inner
        yield from _lines(value, inner, ",\n")
    yield f"{indent}{'}' if fields else ']'}{end}"


def entries_text(entries: Sequence[TreeEntry]) -> str:
    """Return the entries of a folder, one per line with its size."""
    rows = [(one, size(one.size_bytes) if one.kind == "file" else one.kind) for one in entries]
    width = max([len(about) for _, about in rows] + [0])
    return "\n".join(
        f"{about:>{width}}  {printable(entry.path)}{_end(entry)}" for entry, about in rows
    )


def _end(entry: TreeEntry) -> str:
    return f" -> {printable(entry.target or '')}" if entry.kind == "link" else ""
