"""What a record refers to in the store, and what it mentions.

A reference is something that must be there; a mention is any text that might be one. What checks and exports goes
by references; what deletes goes by mentions, so that a field that this version does not know still keeps its object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from .. import codec
from ..digest import PREFIX
from ..errors import DamageError, ObjectNotFoundError
from ..records import JSON, Record, StoredBytes
from .objects.objects import Objects
from .objects.trees import TreeEntry

_DIGEST = re.compile(PREFIX.encode() + rb"[0-9a-f]{64}")
# A git tree's id, of SHA-1 or SHA-256, as a JSON string.
_TREE = re.compile(rb'"([0-9a-f]{40}|[0-9a-f]{64})"')

# What a tree object begins with: see `recorder.store.objects.trees`.
TREE_HEAD = b'{"kind":"tree"}\n'


class Reference(NamedTuple):
    """Something in the store that a record refers to.

    `name` is an object's digest or a snapshot's git tree; `what` says for what it is there; `size_bytes` is what the
    record says of its size, None where it does not say.
    """

    kind: Literal["object", "tree", "snapshot"]
    name: str
    what: str
    size_bytes: int | None = None


def references(record: Record) -> Iterator[Reference]:
    """Everything that the record needs to be whole, the members of folders not among it."""
    if record.environment is not None:
        yield Reference("object", record.environment, "the environment")
    if record.runtime is not None:
        for digest in dict.fromkeys((record.runtime.start, record.runtime.last)):
            yield Reference("object", digest, "the runtime")
    if record.code is not None and record.code.snapshot is not None:
        yield Reference("snapshot", record.code.snapshot, "the code")
    for project in () if record.code is None else record.code.projects:
        if project.snapshot is not None:
            yield Reference("snapshot", project.snapshot, f"project {project.name!r}")
    yield from _in_form(record.function.pickled, "the function")
    for name, form in record.config.items():
        yield from _in_form(form, f"argument {name!r}")
    for change in record.changes:
        yield from _in_form([change.old, change.new], f"argument {change.key!r}")
    yield from _in_form(record.result, "the result")
    for output in record.outputs:
        what = f"output {output.name!r}"
        if output.kind == "value":
            yield from _in_form(output.form, what)
        elif output.stored:
            kind: Literal["object", "tree"] = "object" if output.kind == "file" else "tree"
            size = output.size_bytes if kind == "object" else None
            yield Reference(kind, output.digest, what, size)
    for content, what in (
        (record.series, "the series"),
        (record.stdout, "stdout"),
        (record.stderr, "stderr"),
        (record.arrivals, "the console's arrivals"),
    ):
        yield from _in_content(content, what)


def kept_inputs(record: Record) -> Iterator[Reference]:
    """The inputs that the store holds: as an object, or in the snapshot under their path."""
    for item in record.inputs:
        if item.stored:
            yield Reference("object", item.digest, f"input {item.path!r}", item.size_bytes)


def members(folder: Reference, entries: Iterable[TreeEntry]) -> Iterator[Reference]:
    """The files of a folder whose list has those entries."""
    for entry in entries:
        if entry.digest is not None:
            what = f"{folder.what}, {entry.path}"
            yield Reference("object", entry.digest, what, entry.size_bytes)


def objects_of(found: Iterable[Reference], objects: Objects) -> Iterator[Reference]:
    """Those of the references that are objects, and the members of folders; of one that cannot be read only itself."""
    for reference in found:
        if reference.kind == "snapshot":
            continue
        yield reference
        if reference.kind == "tree":
            try:
                entries = objects.read_tree(reference.name).entries
            except (DamageError, ObjectNotFoundError):
                continue  # `recorder check` says so
            yield from members(reference, entries)


def _in_form(form: JSON, what: str) -> Iterator[Reference]:
    for digest in sorted(codec.references(form)):
        yield Reference("object", digest, what)


def _in_content(content: StoredBytes | None, what: str) -> Iterator[Reference]:
    if content is not None and content.text is None:
        yield Reference("object", content.digest, what, content.size_bytes)


def mentioned_objects(data: bytes) -> set[str]:
    """Every digest that stands anywhere in the bytes."""
    return {found.decode() for found in _DIGEST.findall(data)}


def mentioned_snapshots(data: bytes) -> set[str]:
    """Everything in the bytes of a journal that might be a git tree's id."""
    return {found.decode() for found in _TREE.findall(data)}
