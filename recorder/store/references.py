"""The references of a record to objects and snapshots, and its mentions of them.

A reference must exist in the store; a mention is any string that might be a reference. Checks and exports follow
references. Garbage collection follows mentions, so that a field unknown to this version still keeps its object.
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
# The id of a git tree, SHA-1 or SHA-256, as a JSON string.
_TREE = re.compile(rb'"([0-9a-f]{40}|[0-9a-f]{64})"')

# The first line of a tree, see `recorder.store.objects.trees`.
TREE_HEAD = b'{"kind":"tree"}\n'


class Reference(NamedTuple):
    """A reference of a record to an object or a snapshot.

    `name` is the digest of an object or the git tree of a snapshot; `what` is its role in the record; `size_bytes` is
    its size according to the record, None if the record does not state it.
    """

    kind: Literal["object", "tree", "snapshot"]
    name: str
    what: str
    size_bytes: int | None = None


def references(record: Record) -> Iterator[Reference]:
    """Yield all references that the record needs to be complete, except the members of folders."""
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
        (record.arrivals, "the console index"),
    ):
        yield from _in_content(content, what)


def kept_inputs(record: Record) -> Iterator[Reference]:
    """Yield references to the stored inputs; each is an object, or a file of the snapshot under its path."""
    for item in record.inputs:
        if item.stored:
            yield Reference("object", item.digest, f"input {item.path!r}", item.size_bytes)


def members(folder: Reference, entries: Iterable[TreeEntry]) -> Iterator[Reference]:
    """Yield references to the files in a folder that has those entries."""
    for entry in entries:
        if entry.digest is not None:
            what = f"{folder.what}, {entry.path}"
            yield Reference("object", entry.digest, what, entry.size_bytes)


def objects_of(needed: Iterable[Reference], objects: Objects) -> Iterator[Reference]:
    """Yield the references to objects, and to the files in folders whose trees can be read."""
    for reference in needed:
        if reference.kind == "snapshot":
            continue
        yield reference
        if reference.kind == "tree":
            try:
                entries = objects.read_tree(reference.name).entries
            except (DamageError, ObjectNotFoundError):
                continue  # reported by `recorder check`
            yield from members(reference, entries)


def _in_form(form: JSON, what: str) -> Iterator[Reference]:
    for digest in sorted(codec.references(form)):
        yield Reference("object", digest, what)


def _in_content(content: StoredBytes | None, what: str) -> Iterator[Reference]:
    if content is not None and content.text is None:
        yield Reference("object", content.digest, what, content.size_bytes)


def mentioned_objects(data: bytes) -> set[str]:
    """Return every digest anywhere in the bytes."""
    return {digest.decode() for digest in _DIGEST.findall(data)}


def mentioned_snapshots(data: bytes) -> set[str]:
    """Return every string in the bytes of a journal that might be the id of a git tree."""
    return {tree.decode() for tree in _TREE.findall(data)}
